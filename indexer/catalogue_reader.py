"""What retrieval asks of a repository's catalogue.

One object is one connection, for one thread at a time. While another connection writes, each statement here
sees a consistent state. This file does not write, and does not know how rows get there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from indexer.schema import open_database
from indexer.storage import storage_errors
from indexer.types import Definition, Import, Reference, Span

_DEFINITIONS = """
    SELECT definitions.id, files.path, files.language, kind, files.role, definitions.name, qualified_name,
        signature, docstring, start_byte, end_byte, start_line, end_line, text, definitions.content_hash
    FROM definitions JOIN files ON files.id = file_id
"""

# SQLite's own limit on parameters is higher; a longer list is asked for in pieces.
_MAX_PARAMETERS = 500

# How many postings one lexical query may visit, rarest terms first. A term that stands in every third
# definition costs the most and tells nothing that the rarer ones do not.
_MAX_POSTINGS = 5_000
_MAX_TERMS = 32


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells whether a file changed: size and time first, the hash of its bytes when those differ."""

    content_hash: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts over the whole catalogue."""

    n_files: int
    n_lines: int
    n_definitions: int
    n_embedded: int
    """How many definitions the vector store acknowledged with their present content."""
    embedder: str | None
    """The name of the embedder that made those vectors."""
    files_by_language: Mapping[str, int]


class CatalogueReader:
    """One connection to the catalogue of one repository, to read from."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, making it if need be.

        `rebuilt_because` then says why an existing file was moved aside (damage, another version), or is
        None.

        Raises:
            StoreError: It cannot be opened or written.
            DiskSpaceError: There is no room for it.
        """
        self.path = path
        self._connection, self.rebuilt_because = open_database(path)
        self._frequencies: dict[str, int] = {}
        self._frequencies_version = -1

    def close(self) -> None:
        """Close the connection; what was committed stays."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def files(self) -> dict[str, FileStamp]:
        """Return every indexed path with its stamp."""
        rows = self._all("SELECT path, content_hash, size, mtime_ns FROM files")
        return {path: FileStamp(*stamp) for path, *stamp in rows}

    def left_out(self) -> dict[str, tuple[int, int, str]]:
        """Return the files whose content said not to index them: path -> (size, mtime_ns, reason)."""
        rows = self._all("SELECT path, size, mtime_ns, reason FROM left_out")
        return {path: (size, mtime_ns, reason) for path, size, mtime_ns, reason in rows}

    def data_version(self) -> int:
        """Return a number that is another one after any other connection has committed a change."""
        return int(self._all("PRAGMA data_version")[0][0])

    def content_hash(self, path: str) -> str | None:
        """Return the hash of a file's bytes as it was indexed, None for a file that is not."""
        row = self._one("SELECT content_hash FROM files WHERE path = ?", path)
        return row[0] if row else None

    def paths(self) -> frozenset[str]:
        """Return every indexed path."""
        return frozenset(row[0] for row in self._all("SELECT path FROM files"))

    def definitions(self, ids: Sequence[str]) -> list[Definition]:
        """Return the definitions with these ids, in the order of `ids`; unknown ids are left out."""
        found = {row[0]: row for row in self._in_pieces(_DEFINITIONS + " WHERE definitions.id IN ({})", ids)}
        return [_definition(found[id_]) for id_ in ids if id_ in found]

    def definitions_named(self, names: Collection[str]) -> list[Definition]:
        """Return every definition whose own name is one of `names` (case-sensitive), in no order."""
        return [_definition(row) for row in self._in_pieces(_DEFINITIONS + " WHERE name IN ({})", names)]

    def count_named(self, names: Collection[str]) -> dict[str, int]:
        """Return how many definitions each of `names` has; a name without one is missing."""
        sql = "SELECT name, count(*) FROM definitions WHERE name IN ({}) GROUP BY name"
        return dict(self._in_pieces(sql, names))

    def names_starting(self, prefix: str, n: int) -> list[str]:
        """Return at most `n` names of definitions that begin with `prefix`, shortest first."""
        sql = (
            "SELECT DISTINCT name FROM definitions WHERE name >= ? AND name < ? || char(1114111)"
            " ORDER BY length(name), name LIMIT ?"
        )
        return [row[0] for row in self._all(sql, prefix, prefix, n)]

    def count_users(self, names: Collection[str]) -> dict[str, int]:
        """Return in how many files each of `names` is used; an unused name is missing."""
        sql = (
            "SELECT names.name, count(*) FROM names JOIN uses ON name_id = names.id"
            " WHERE names.name IN ({}) GROUP BY names.id"
        )
        return dict(self._in_pieces(sql, names))

    def definitions_in(self, path: str) -> list[Definition]:
        """Return the definitions of one file, in its order."""
        rows = self._all(_DEFINITIONS + " WHERE files.path = ? ORDER BY start_byte, end_byte DESC", path)
        return [_definition(row) for row in rows]

    def recent(self, n: int) -> list[Definition]:
        """Return definitions of the files that were modified last, newest file first, at most `n`."""
        sql = _DEFINITIONS + " ORDER BY files.mtime_ns DESC, files.id, start_byte LIMIT ?"
        return [_definition(row) for row in self._all(sql, n)]

    def imports_of(self, path: str) -> list[tuple[Import, tuple[str, ...]]]:
        """Return the imports of one file with the repository's files they may mean, best first."""
        row = self._one("SELECT id FROM files WHERE path = ?", path)
        if row is None:
            return []
        targets: dict[int, list[str]] = {}
        sql = "SELECT ordinal, path FROM import_targets WHERE file_id = ? ORDER BY ordinal, rank"
        for ordinal, target in self._all(sql, row[0]):
            targets.setdefault(ordinal, []).append(target)
        return [(imported, tuple(targets.get(ordinal, ()))) for ordinal, imported in self._imports(row[0])]

    def importers_of(self, path: str) -> list[str]:
        """Return the paths of the files with an import whose best candidate is `path`, sorted."""
        sql = (
            "SELECT DISTINCT files.path FROM import_targets JOIN files ON files.id = file_id"
            " WHERE import_targets.path = ? AND rank = 0 ORDER BY files.path"
        )
        return [row[0] for row in self._all(sql, path)]

    def references_in(self, path: str) -> list[Reference]:
        """Return the uses of names in one file, by line."""
        sql = (
            "SELECT names.name, lines FROM uses JOIN names ON names.id = name_id"
            " WHERE file_id = (SELECT id FROM files WHERE path = ?)"
        )
        uses = [
            Reference(name, int(line)) for name, lines in self._all(sql, path) for line in lines.split(",")
        ]
        return sorted(uses, key=lambda use: (use.line, use.name))

    def bm25(self, terms: Iterable[str], n: int, exclude_path: str | None = None) -> list[tuple[str, float]]:
        """Return the definitions that match any of `terms` best.

        Okapi BM25 as SQLite's FTS5 computes it, over the terms of name, header and body with weights 8, 3
        and 1. Where the terms together stand in very many definitions, the commonest of them are left out.

        Args:
            terms: As `split_identifiers` gives them; any text is safe, and repeats count once.
            n: How many to return at most.
            exclude_path: A file whose definitions are left out.

        Returns:
            (definition id, score), best first; higher is better, comparable within one query only.
        """
        return self.bm25_of(self.selective(terms), n, exclude_path)

    def bm25_of(
        self, terms: Sequence[str], n: int, exclude_path: str | None = None
    ) -> list[tuple[str, float]]:
        """Do what `bm25` does with terms that `selective` chose."""
        query = " OR ".join(f'"{term}"' for term in terms)
        if not query or n <= 0:
            return []
        sql = (
            "SELECT definitions.id, -score FROM"
            " (SELECT rowid AS number, rank AS score FROM terms WHERE terms MATCH ? ORDER BY rank LIMIT ?)"
            " JOIN definitions USING (number)"
            " WHERE file_id IS NOT (SELECT id FROM files WHERE path = ?) ORDER BY score, number LIMIT ?"
        )
        sql_own = "SELECT count(*) FROM definitions WHERE file_id = (SELECT id FROM files WHERE path = ?)"
        n_own = self._all(sql_own, exclude_path)[0][0] if exclude_path is not None else 0
        return [(id_, score) for id_, score in self._all(sql, query, n + n_own, exclude_path, n)]

    def statistics(self) -> Statistics:
        """Count what the catalogue holds."""
        by_language = self._all("SELECT language, count(*), sum(n_lines) FROM files GROUP BY language")
        n_definitions = self._all("SELECT count(*) FROM definitions")[0][0]
        n_unembedded = self._all("SELECT count(*) FROM definitions WHERE embedded = 0")[0][0]
        return Statistics(
            n_files=sum(row[1] for row in by_language),
            n_lines=sum(row[2] for row in by_language),
            n_definitions=n_definitions,
            n_embedded=n_definitions - n_unembedded,
            embedder=self._setting("embedder"),
            files_by_language={row[0]: row[1] for row in sorted(by_language, key=lambda row: -row[1])},
        )

    def selective(self, terms: Iterable[str]) -> tuple[str, ...]:
        """Return the known terms, rarest first, as many as may be visited; at least one if any is known.

        A word that is still being typed is seldom known, so most keystrokes leave them as they are.
        """
        version = self.data_version()
        if version != self._frequencies_version:
            self._frequencies.clear()
            self._frequencies_version = version
        cleaned = {term.lower() for term in terms if term and not set(term) & set('" \t\r\n\0')}
        counted = sorted((self._frequency(term), term) for term in cleaned)
        chosen: list[str] = []
        n_postings = 0
        for frequency, term in counted:
            n_postings += frequency
            if chosen and (n_postings > _MAX_POSTINGS or len(chosen) == _MAX_TERMS):
                break
            if frequency > 0:
                chosen.append(term)
        return tuple(chosen)

    def _frequency(self, term: str) -> int:
        """Return in how many definitions a term stands, as of the last commit that `selective` has seen."""
        if term not in self._frequencies:
            row = self._one("SELECT doc FROM terms_vocabulary WHERE term = ?", term)
            self._frequencies[term] = row[0] if row else 0
        return self._frequencies[term]

    def _imports(self, file_id: int) -> list[tuple[int, Import]]:
        sql = "SELECT ordinal, local_name, module, name, line FROM imports WHERE file_id = ? ORDER BY ordinal"
        return [(ordinal, Import(*rest)) for ordinal, *rest in self._all(sql, file_id)]

    def _setting(self, key: str) -> str | None:
        row = self._one("SELECT value FROM settings WHERE key = ?", key)
        return row[0] if row else None

    def _all(self, sql: str, *parameters: object) -> list[Any]:
        with storage_errors(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    def _one(self, sql: str, *parameters: object) -> Any | None:  # noqa: ANN401 - a row
        rows = self._all(sql, *parameters)
        return rows[0] if rows else None

    def _in_pieces(self, sql: str, values: Collection[str]) -> Iterator[Any]:
        """Run a query whose `{}` stands for a list of parameters, however long the list is."""
        remaining = list(dict.fromkeys(values))
        while remaining:
            piece, remaining = remaining[:_MAX_PARAMETERS], remaining[_MAX_PARAMETERS:]
            yield from self._all(sql.format(",".join("?" * len(piece))), *piece)


def _definition(row: sqlite3.Row | tuple[Any, ...]) -> Definition:
    id_, path, language, kind, role, name, qualified_name, signature, docstring, *span, text, content_hash = (
        row
    )
    return Definition(
        id=id_,
        path=path,
        language=language,
        kind=kind,
        role=role,
        name=name,
        qualified_name=qualified_name,
        signature=signature,
        docstring=docstring,
        span=Span(*span),
        text=text,
        content_hash=content_hash,
    )
