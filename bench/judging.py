"""What the retrieval benches share: indexed packages, and when a needed definition counts as found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crossfile import Needed

from indexer.build import Vectors, build_index
from indexer.cached_reader import CachedReader
from indexer.catalogue import Catalogue
from indexer.embed import repair
from indexer.types import Embedder, Import, Retriever
from indexer.vectors import VectorStore

ALL: tuple[Retriever, ...] = ("symbol", "bm25", "vector")
ARMS: Mapping[str, tuple[Retriever, ...]] = {
    "symbol": ("symbol",),
    "bm25": ("bm25",),
    "vector": ("vector",),
    "joined": ALL,
    "without symbol": ("bm25", "vector"),
    "without bm25": ("symbol", "vector"),
    "without vector": ("symbol", "bm25"),
}
RANKS = (1, 5, 10, 20)
COLUMNS = ("mrr", *(f"recall@{n}" for n in RANKS), *(f"shown@{n}" for n in RANKS))
_CLASS_LIKE = frozenset(("class", "interface", "type"))


@dataclass(frozen=True, slots=True)
class Repository:
    """An indexed package."""

    catalogue: Catalogue
    vectors: VectorStore
    embedder: Embedder


class WithoutImports:
    """A catalogue that does not know what one file imports under some names."""

    def __init__(self, catalogue: Catalogue | CachedReader, path: str, names: frozenset[str]) -> None:
        self._catalogue = catalogue
        self._path = path
        self._names = names

    def __getattr__(self, name: str) -> object:
        return getattr(self._catalogue, name)

    def imports_of(self, path: str) -> list[tuple[Import, tuple[str, ...]]]:
        """Return a file's imports but for those names."""
        rows = self._catalogue.imports_of(path)
        return [row for row in rows if path != self._path or row[0].local_name not in self._names]


def index(root: Path, folder: Path, embedder: Embedder) -> Repository:
    """Index a folder, or bring its index up to date."""
    catalogue = Catalogue.open(folder / "catalogue.sqlite")
    store = VectorStore.open(folder / "chroma", collection="bench", embedder=embedder.name)
    repair(catalogue, store, embedder)
    build_index(
        root,
        catalogue=catalogue,
        open_vectors=lambda: Vectors(store, embedder),
        on_progress=lambda _: None,
        cancelled=lambda: False,
    )
    return Repository(catalogue, store, embedder)


def accepted(needed: Needed, catalogue: Catalogue) -> tuple[frozenset[str], frozenset[str]]:
    """Return the ids that are the needed definition, and those that at least show its signature.

    A field is no definition of its own: its class, whose skeleton shows it, is what is needed. Overloads
    count as one.
    """
    in_file = catalogue.definitions_in(needed.path)
    around = [d for d in in_file if d.span.start_line <= needed.line < d.span.end_line]
    classes = [d for d in around if d.kind in _CLASS_LIKE]
    exact = [d for d in around if d.name == needed.name] or classes[-1:] or around[-1:]
    names = {d.qualified_name for d in exact}
    ids = frozenset(d.id for d in in_file if d.qualified_name in names)
    return ids, ids | {d.id for d in classes}


def without_imports(prefix: str, names: frozenset[str]) -> str:
    """Return a prefix whose import statements no longer bring in these names."""
    kept: list[str] = []
    for line in prefix.split("\n"):
        is_statement = re.match(r"\s*(?:from|import)\b", line)
        if is_statement or re.match(r"\s+\w+(?: as \w+)?,?\s*(?:#.*)?$", line):
            head, word, rest = line.partition("import ") if is_statement else ("", "", line)
            for name in names:
                rest = re.sub(rf"\b{name}\b(?: as \w+)?,?\s*", "", rest)
            if is_statement and not rest.strip(" ()"):
                continue
            line = head + word + rest  # noqa: PLW2901 - the line without those names
        kept.append(line)
    return "\n".join(kept)


def scores(ids: Sequence[str], exact: frozenset[str], shown: frozenset[str]) -> list[float]:
    """Return reciprocal rank, whether it is among the first n, and whether at least its signature is."""
    first = next((rank for rank, id_ in enumerate(ids, start=1) if id_ in exact), 10**9)
    first_shown = next((rank for rank, id_ in enumerate(ids, start=1) if id_ in shown), 10**9)
    return [1 / first, *(float(first <= n) for n in RANKS), *(float(first_shown <= n) for n in RANKS)]


def table_of(
    rows: Mapping[tuple[str, str, str], Sequence[Sequence[float]]],
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Return means by condition, arm and group; of all arms but the joined one only the whole."""
    table: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (condition, arm, group), found in rows.items():
        if arm != "joined" and group not in {"all", "cross-file", "line", "block"}:
            continue
        means = np.mean(found, axis=0)
        named = {column: round(float(mean), 3) for column, mean in zip(COLUMNS, means, strict=True)}
        table.setdefault(condition, {}).setdefault(arm, {})[group] = {"n": len(found), **named}
    return table
