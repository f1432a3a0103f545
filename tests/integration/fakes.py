"""What the tests of the index share: an embedder without weights, small repositories, and a worker to run."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.terms import split_identifiers


class HashingEmbedder:
    """Vectors that are near each other when texts share words; the same everywhere and always."""

    def __init__(self, name: str = "hashing-32") -> None:
        self.name = name
        self.n_dimensions = 32
        self.n_embedded = 0

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.full((len(texts), self.n_dimensions), 1e-3, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for term in split_identifiers(text):
                row[hashlib.md5(term.encode()).digest()[0] % self.n_dimensions] += 1
        self.n_embedded += len(texts)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return root


INVOICING = {
    "billing/invoice.py": (
        "class Invoice:\n"
        '    """What a customer owes."""\n\n'
        "    def total(self, currency: str) -> float:\n"
        "        return sum(line.amount for line in self.lines)\n\n"
        "    def overdue_days(self, today: int) -> int:\n"
        "        return today - self.due\n"
    ),
    "billing/__init__.py": "",
    "shop.py": (
        "from billing.invoice import Invoice\n\n\n"
        "def remind(invoice: Invoice) -> str:\n"
        '    return f"pay {invoice.total(1)}"\n'
    ),
    "notes.md": "# Shipping\n\nParcels leave on Mondays.\n",
}

WORKER_PROGRAM = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from fakes import HashingEmbedder
from indexer.worker import serve
serve(Path({index!r}), Path({runtime!r}), idle_s={idle_s!r},
      make_embedder=lambda: None if Path({index!r}, "no model").exists() else HashingEmbedder(),
      is_outdated=Path({index!r}, "outdated").exists)
"""


def worker_command(index: Path, runtime: Path, idle_s: float = 60.0) -> list[str]:
    """Return the command that becomes an index worker."""
    here = Path(__file__).resolve()
    paths = [str(here.parent), str(here.parents[2])]
    program = WORKER_PROGRAM.format(paths=paths, index=str(index), runtime=str(runtime), idle_s=idle_s)
    return [sys.executable, "-W", "error::ResourceWarning", "-c", program]


def wait_for(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Return as soon as `condition` holds; fail if it does not for a long time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)
