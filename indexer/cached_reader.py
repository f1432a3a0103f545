"""The catalogue's answers, kept until somebody else writes to it.

Around one cursor the same few files and names are asked about at every keystroke, and a row that is read
again costs SQLite's work and that of making its objects. SQLite tells with one cheap number whether another
connection has committed anything; then all that was kept is forgotten. So this is for connections that only
read: what they wrote themselves, that number would not tell. For one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from indexer.catalogue_reader import CatalogueReader
from indexer.repo_files import RepoFiles
from indexer.types import Definition, Import, Reference

_T = TypeVar("_T")

_MAX_KEPT = 20_000
"""Definitions, counts and lists; some 30 MB at most, as definitions of code are."""


class CachedReader:
    """What retrieval asks of a catalogue, answered from memory where it was asked before."""

    def __init__(self, reader: CatalogueReader) -> None:
        self._reader = reader
        self._version = -1
        self._definitions: dict[str, Definition | None] = {}
        self._named: dict[str, list[Definition]] = {}
        self._in_file: dict[str, list[Definition]] = {}
        self._n_named: dict[str, int] = {}
        self._n_users: dict[str, int] = {}
        self._starting: dict[tuple[str, int], list[str]] = {}
        self._imports: dict[str, list[tuple[Import, tuple[str, ...]]]] = {}
        self._best: dict[tuple[tuple[str, ...], int, str | None], list[tuple[str, float]]] = {}
        self._files: RepoFiles | None = None
        self._n_kept = 0

    def refresh(self) -> bool:
        """Forget what was kept if the catalogue has changed since; to be called before each question.

        So one retrieval sees at most one state of what it asks twice.

        Returns:
            Whether it was forgotten: what others derived from it is out of date then.
        """
        version = self._reader.data_version()
        if version == self._version and self._n_kept <= _MAX_KEPT:
            return False
        self._version = version
        self._n_kept = 0
        self._files = None
        for kept in (self._definitions, self._named, self._in_file, self._n_named, self._n_users):
            kept.clear()
        self._starting.clear()
        self._imports.clear()
        self._best.clear()
        return True

    def definitions(self, ids: Sequence[str]) -> list[Definition]:
        """Return the definitions with these ids, in the order of `ids`; unknown ids are left out."""

        def load(missing: list[str]) -> dict[str, Definition | None]:
            found = {definition.id: definition for definition in self._reader.definitions(missing)}
            return {id_: found.get(id_) for id_ in missing}

        found = self._kept(self._definitions, ids, load)
        return [definition for definition in found if definition is not None]

    def definitions_named(self, names: Collection[str]) -> list[Definition]:
        """Return every definition whose own name is one of `names` (case-sensitive), in no order."""

        def load(missing: list[str]) -> dict[str, list[Definition]]:
            found: dict[str, list[Definition]] = {name: [] for name in missing}
            for definition in self._reader.definitions_named(missing):
                found[definition.name].append(definition)
                self._n_kept += 1
            return found

        return [one for named in self._kept(self._named, names, load) for one in named]

    def definitions_in(self, path: str) -> list[Definition]:
        """Return the definitions of one file, in its order."""
        if path not in self._in_file:
            self._in_file[path] = self._reader.definitions_in(path)
            self._n_kept += 1 + len(self._in_file[path])
        return list(self._in_file[path])

    def count_named(self, names: Collection[str]) -> dict[str, int]:
        """Return how many definitions each of `names` has; a name without one is missing."""
        return self._counted(self._n_named, names, self._reader.count_named)

    def count_users(self, names: Collection[str]) -> dict[str, int]:
        """Return in how many files each of `names` is used; an unused name is missing."""
        return self._counted(self._n_users, names, self._reader.count_users)

    def names_starting(self, prefix: str, n: int) -> list[str]:
        """Return at most `n` names of definitions that begin with `prefix`, shortest first."""
        if (prefix, n) not in self._starting:
            self._starting[prefix, n] = self._reader.names_starting(prefix, n)
            self._n_kept += 1
        return list(self._starting[prefix, n])

    def imports_of(self, path: str) -> list[tuple[Import, tuple[str, ...]]]:
        """Return the imports of one file with the repository's files they may mean, best first."""
        if path not in self._imports:
            self._imports[path] = self._reader.imports_of(path)
            self._n_kept += 1 + len(self._imports[path])
        return list(self._imports[path])

    def files(self) -> RepoFiles:
        """Return every indexed path, arranged for the resolution of imports."""
        if self._files is None:
            self._files = RepoFiles(self._reader.paths())
        return self._files

    def content_hash(self, path: str) -> str | None:
        """Return the hash of a file's bytes as it was indexed, None for a file that is not."""
        return self._reader.content_hash(path)

    def importers_of(self, path: str) -> list[str]:
        """Return the paths of the files with an import whose best candidate is `path`, sorted."""
        return self._reader.importers_of(path)

    def references_in(self, path: str) -> list[Reference]:
        """Return the uses of names in one file, by line."""
        return self._reader.references_in(path)

    def bm25(self, terms: Iterable[str], n: int, exclude_path: str | None = None) -> list[tuple[str, float]]:
        """Return (definition id, score) of the definitions that match any of `terms` best, best first."""
        key = (self._reader.selective(terms), n, exclude_path)
        if key not in self._best:
            self._best[key] = self._reader.bm25_of(*key)
            self._n_kept += 1 + len(self._best[key])
        return list(self._best[key])

    def _counted(
        self,
        kept: dict[str, int],
        names: Collection[str],
        count: Callable[[Collection[str]], Mapping[str, int]],
    ) -> dict[str, int]:
        def load(missing: list[str]) -> dict[str, int]:
            found = count(missing)
            return {name: found.get(name, 0) for name in missing}

        wanted = list(dict.fromkeys(names))
        return {name: n for name, n in zip(wanted, self._kept(kept, wanted, load), strict=True) if n}

    def _kept(
        self, kept: dict[str, _T], keys: Collection[str], load: Callable[[list[str]], dict[str, _T]]
    ) -> list[_T]:
        """Return what belongs to each key; what is not kept is asked for at once."""
        wanted = list(dict.fromkeys(keys))
        if missing := [key for key in wanted if key not in kept]:
            kept.update(load(missing))
            self._n_kept += len(missing)
        return [kept[key] for key in wanted]
