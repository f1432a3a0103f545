"""What each part of a running Crosslight takes of the machine's memory (Linux).

    python bench/memory.py            # in the installed package `rich`
    python bench/memory.py PACKAGE

Starts the parts one after the other, as the product does, and takes the proportional set size after each: of
this process and of the index worker's. A part is what its start added, so the parts add up to the total. The
table goes to standard error, one JSON object (megabytes) to standard output.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import psutil
from installed import package_folder
from latency.resources import pss_mb
from latency.workspace import environment
from rich.console import Console
from rich.table import Table

from indexer.catalogue_reader import CatalogueReader
from indexer.repository import IndexFolder
from lsp_server import assemble
from lsp_server.completer import Completer, CompletionRequest
from lsp_server.config import Settings
from lsp_server.document import Cursor, open_document
from lsp_server.paths import Folders
from lsp_server.requests import make_request
from lsp_server.running_model import RunningModel
from model import memory_bank, session, tokenizer
from model.prompt import PromptDefinition, definition_ids, sink_ids

LIBRARIES: Final = (memory_bank, session, tokenizer)
"""Imported before the first look: what they take is not the model's."""
MEMORY_TOKENS: Final = 2_000
N_FILES: Final = 4
FIRST_LINE: Final = 120
"""Where the cursors stand: far enough into a file for a prompt of the full length."""


class Parts:
    """Megabytes by part."""

    def __init__(self) -> None:
        self.mb: dict[str, float] = {}

    @contextmanager
    def adding(self, name: str) -> Iterator[None]:
        """Count what this process takes more, once it is done, than before."""
        before = _pss(os.getpid())
        yield
        gc.collect()
        self.mb[name] = _pss(os.getpid()) - before


def main() -> None:
    """Start the parts, and print what each added."""
    root = package_folder(sys.argv[1] if len(sys.argv) > 1 else "rich")
    settings, models = Settings(), Folders.of_user().models
    parts = Parts()
    parts.mb["python and libraries"] = _pss(os.getpid())
    with ExitStack() as stack:
        # a short path: a socket lies in it
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="crosslight-"))
        stack.enter_context(environment(XDG_CACHE_HOME=scratch, XDG_RUNTIME_DIR=scratch))
        folders = replace(Folders.of_user(), models=models)
        client = stack.enter_context(assemble.connect_index(folders))
        stack.callback(client.stop)
        with parts.adding("index: what asking for it takes"):
            client.index(root)
            client.open(root)
        measure_model(parts, folders, settings, root)
        (worker,) = psutil.Process().children()
        parts.mb["index worker: catalogue, vectors, embedder"] = _pss(worker.pid)
    print_table(parts.mb)


def measure_model(parts: Parts, folders: Folders, settings: Settings, root: Path) -> None:
    """Load the model, complete, encode, and complete elsewhere."""
    installed = assemble.open_store(folders).find(settings.model.name)
    with parts.adding("tokenizer"):
        first = tokenizer.Tokenizer.from_file(installed.folder / "tokenizer.json", installed.manifest.control)
    with ExitStack() as stack:
        with parts.adding("decoder: weights and graph"):
            del first  # the model loads its own, in the room of this one
            gc.collect()
            model = stack.enter_context(closing(assemble.start_model(folders, settings)))
        completer = Completer(model, settings)
        requests = list(islice(cursors(root), N_FILES))
        with parts.adding("buffer and working memory, after a full prompt"):
            completer.complete(requests[0])
        with parts.adding(f"memories of {MEMORY_TOKENS:,} tokens, encoded"):
            encode(model, settings, folders, root)
        with parts.adding(f"{len(requests) - 1} more places, kept"):
            for request in requests[1:]:
                completer.complete(request)


def cursors(root: Path) -> Iterator[CompletionRequest]:
    """Yield a request at the end of a line in each of a package's longer files."""
    for file in sorted(root.rglob("*.py")):
        if file.read_text("utf-8").count("\n") > 2 * FIRST_LINE:
            document = open_document(Cursor(file, FIRST_LINE, None))
            yield make_request(document, root, None, multi_line=False)


def encode(model: RunningModel, settings: Settings, folders: Folders, root: Path) -> None:
    """Have definitions of the repository encoded until they are `MEMORY_TOKENS`."""
    assert model.bank is not None
    with CatalogueReader(IndexFolder.of(folders.index, root).catalogue_file) as catalogue:
        found = catalogue.recent(1_000)
    wanted, n_tokens = [], 0
    for one in found:
        source = PromptDefinition(one.path, one.text)
        ids = definition_ids(model.codec, source, settings.retrieval.definition_tokens)
        if n_tokens + len(ids) <= MEMORY_TOKENS:
            wanted.append(ids)
            n_tokens += len(ids)
    with model.bank.foreground():
        model.bank.recall(sink_ids(model.codec, root.name), wanted, encode_ms=None)


def print_table(mb: dict[str, float]) -> None:
    """Print the parts and their sum."""
    total = sum(mb.values())
    table = Table("part", "MB")
    table.columns[1].justify = "right"
    for name, value in {**mb, "together": total}.items():
        table.add_row(name, f"{value:.0f}")
    Console(stderr=True).print(table)
    print(json.dumps({name: round(value, 1) for name, value in {**mb, "together": total}.items()}))


def _pss(pid: int) -> float:
    found = pss_mb([pid])
    if found is None:
        sys.exit("this system does not tell what a process takes: /proc/PID/smaps_rollup is missing")
    return found


if __name__ == "__main__":
    main()
