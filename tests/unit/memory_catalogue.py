"""A catalogue in memory, with what retrieval asks of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from indexer.errors import StoreError
from indexer.terms import split_identifiers
from indexer.types import Definition, Import, Kind, Reference, Role, Span


def definition(
    path: str,
    qualified_name: str,
    text: str = "",
    *,
    kind: Kind = "function",
    role: Role = "source",
    signature: str = "",
    line: int = 0,
) -> Definition:
    name = qualified_name.rpartition(".")[2]
    header = signature or f"def {name}()"
    text = text or header
    return Definition(
        id=f"{path}:{qualified_name}",
        path=path,
        language="python",
        kind=kind,
        role=role,
        name=name,
        qualified_name=qualified_name,
        signature=header,
        docstring="",
        span=Span(line * 10, line * 10 + len(text), line, line + text.count("\n") + 1),
        text=text,
        content_hash=text,
    )


@dataclass
class MemoryCatalogue:
    all: Sequence[Definition]
    imports: Mapping[str, list[tuple[Import, tuple[str, ...]]]] = field(default_factory=dict)
    users: Mapping[str, int] = field(default_factory=dict)
    uses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """File -> the names that it uses."""
    lexical_error: str = ""

    def definitions(self, ids: Sequence[str]) -> list[Definition]:
        known = {d.id: d for d in self.all}
        return [known[id_] for id_ in ids if id_ in known]

    def definitions_named(self, names: Collection[str]) -> list[Definition]:
        return [d for d in self.all if d.name in names]

    def definitions_in(self, path: str) -> list[Definition]:
        return [d for d in self.all if d.path == path]

    def count_named(self, names: Collection[str]) -> Mapping[str, int]:
        return Counter(d.name for d in self.all if d.name in names)

    def names_starting(self, prefix: str, n: int) -> list[str]:
        return sorted({d.name for d in self.all if d.name.startswith(prefix)}, key=lambda s: (len(s), s))[:n]

    def count_users(self, names: Collection[str]) -> Mapping[str, int]:
        return {name: n for name, n in self.users.items() if name in names}

    def imports_of(self, path: str) -> list[tuple[Import, tuple[str, ...]]]:
        return self.imports.get(path, [])

    def content_hash(self, path: str) -> str | None:
        return None

    def importers_of(self, path: str) -> list[str]:
        return [
            file for file, rows in self.imports.items() if any(targets[:1] == (path,) for _, targets in rows)
        ]

    def references_in(self, path: str) -> list[Reference]:
        return [Reference(name, 0) for name in self.uses.get(path, ())]

    def files(self) -> Mapping[str, object]:
        return dict.fromkeys(d.path for d in self.all)

    def bm25(self, terms: Iterable[str], n: int, exclude_path: str | None = None) -> list[tuple[str, float]]:
        if self.lexical_error:
            raise StoreError(self.lexical_error)
        wanted = set(terms)
        scored = [(d.id, float(len(wanted & set(split_identifiers(d.text))))) for d in self.all]
        return sorted([row for row in scored if row[1]], key=lambda row: (-row[1], row[0]))[:n]


@dataclass
class FixedVectors:
    """A vector store that always gives the same answer."""

    rows: Sequence[tuple[str, float]]

    def query(
        self, vector: npt.NDArray[np.float32], n: int, exclude_path: str | None = None
    ) -> list[tuple[str, float]]:
        return list(self.rows[:n])


class UnitEmbedder:
    name = "unit"
    n_dimensions = 2

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.tile(np.array([1.0, 0.0], dtype=np.float32), (len(texts), 1))


class Clock:
    """Seconds that pass by a fixed step at each reading."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s
