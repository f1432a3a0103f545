"""The catalogue of one repository: what the index knows, in one SQLite file, and the truth.

Writing goes by file: `apply` compares what was parsed with what is stored and touches only the definitions
that differ. The catalogue does not know how text is parsed, what a vector is, or where the repository lies;
it only remembers which definitions still lack a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from indexer.catalogue_reader import CatalogueReader, FileStamp, Statistics
from indexer.storage import storage_errors
from indexer.terms import split_identifiers
from indexer.types import Definition, Import, ParsedFile, Reference

__all__ = ["Catalogue", "Changes", "FileStamp", "ResolveImport", "Statistics", "split_identifiers"]

ResolveImport = Callable[[Import, str, str], Sequence[str]]
"""(import, path of the importing file, its language) -> files that it may mean, best first."""


_MAX_NAMES_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Changes:
    """The ids of the definitions that a write touched; no id stands in two of the fields."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    """Only the span differs: neither terms nor vectors are written."""
    removed: tuple[str, ...] = ()


class Catalogue(CatalogueReader):
    """One connection to the catalogue of one repository, to read from and to write to."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, making it if need be; see `CatalogueReader`."""
        super().__init__(path)
        self._name_ids: dict[str, int] = {}
        self._in_transaction = False

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """Open the catalogue at `path`; with `read_only`, a write through it fails.

        Raises:
            StoreError: It cannot be opened or written.
            DiskSpaceError: There is no room for it.
        """
        catalogue = cls(path)
        if read_only:
            catalogue._connection.execute("PRAGMA query_only = ON")
        return catalogue

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all writes of the block one transaction: committed at its end, undone if it raises.

        Blocks nest; the outermost one counts.

        Raises:
            StoreError: The catalogue cannot be written.
            DiskSpaceError: The disk is full.
        """
        if self._in_transaction:
            yield
            return
        with storage_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            self._in_transaction = True
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._name_ids.clear()
                if self._connection.in_transaction:  # SQLite rolls back by itself on some errors
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._in_transaction = False

    def apply(self, parsed: ParsedFile, stamp: FileStamp) -> Changes:
        """Store what parsing a file gave, writing only what differs from what is stored.

        Its imports stay unresolved until `link_imports`; the definitions added or changed count as without a
        vector until `mark_embedded`.
        """
        with self.transaction():
            file_id = self._write_file(parsed, stamp)
            changes = self._write_definitions(file_id, parsed.definitions)
            self._write_uses(file_id, parsed.references)
            self._write_imports(file_id, parsed.imports)
        return changes

    def touch(self, stamps: Mapping[str, FileStamp]) -> None:
        """Store new stamps of files whose content did not change."""
        rows = [(stamp.content_hash, stamp.size, stamp.mtime_ns, path) for path, stamp in stamps.items()]
        with self.transaction():
            self._many("UPDATE files SET content_hash = ?, size = ?, mtime_ns = ? WHERE path = ?", rows)

    def remove(self, paths: Collection[str]) -> Changes:
        """Forget files, and all that came from them."""
        removed: list[str] = []
        with self.transaction():
            for path in paths:
                row = self._one("SELECT id FROM files WHERE path = ?", path)
                if row is None:
                    continue
                removed += self._write_definitions(row[0], ()).removed
                for table in ("uses", "imports", "import_targets"):
                    self._connection.execute(f"DELETE FROM {table} WHERE file_id = ?", row)  # noqa: S608
                self._connection.execute("DELETE FROM files WHERE id = ?", row)
                self._set("relink", "1")
        return Changes(removed=tuple(removed))

    def leave_out(self, path: str, stamp: FileStamp, reason: str) -> Changes:
        """Forget a file because of its content, and remember which content that was."""
        with self.transaction():
            row = (path, stamp.size, stamp.mtime_ns, reason)
            sql = "INSERT OR REPLACE INTO left_out (path, size, mtime_ns, reason) VALUES (?, ?, ?, ?)"
            self._connection.execute(sql, row)
            return self.remove([path])

    def forget_left_out(self, paths: Iterable[str]) -> None:
        """Remember nothing of files that are indexed now, or gone."""
        with self.transaction():
            self._many("DELETE FROM left_out WHERE path = ?", [(path,) for path in paths])

    def is_linked(self) -> bool:
        """Return whether `link_imports` has nothing to do."""
        return self._setting("relink") is None and self._one("SELECT 1 FROM files WHERE linked = 0") is None

    def link_imports(self, resolve: ResolveImport) -> int:
        """Resolve the imports of the files that were written; of all files, when a file appeared or went.

        Returns:
            The number of files whose imports were resolved.
        """
        with self.transaction():
            where = "" if self._setting("relink") else "WHERE linked = 0"
            files = self._all(f"SELECT id, path, language FROM files {where}")  # noqa: S608
            for file_id, path, language in files:
                self._link_file(file_id, path, language, resolve)
            self._connection.execute("UPDATE files SET linked = 1 WHERE linked = 0")
            self._connection.execute("DELETE FROM settings WHERE key = 'relink'")
        return len(files)

    def set_embedder(self, name: str) -> bool:
        """Say whose vectors are kept from now on; if they are another's, all definitions count as without.

        Returns:
            Whether the vector store must be emptied.
        """
        with self.transaction():
            if self._setting("embedder") == name:
                return False
            self.forget_vectors()
            self._set("embedder", name)
        return True

    def forget_vectors(self) -> None:
        """Count every definition as without a vector: the vector store was lost or emptied."""
        with self.transaction():
            self._connection.execute("UPDATE definitions SET embedded = 0 WHERE embedded = 1")
            self._connection.execute("DELETE FROM stale_vectors")

    def unembedded_ids(self) -> list[str]:
        """Return the ids of the definitions that lack a vector of their present content."""
        return [row[0] for row in self._all("SELECT id FROM definitions WHERE embedded = 0 ORDER BY number")]

    def unembedded_after(self, number: int, n: int) -> list[tuple[int, str]]:
        """Return the first `n` definitions without a vector that come after a number, as (number, id)."""
        sql = "SELECT number, id FROM definitions WHERE embedded = 0 AND number > ? ORDER BY number LIMIT ?"
        return self._all(sql, number, n)

    def count_unembedded(self) -> int:
        """Return how many definitions lack a vector of their present content."""
        return int(self._all("SELECT count(*) FROM definitions WHERE embedded = 0")[0][0])

    def mark_embedded(self, definitions: Iterable[Definition]) -> None:
        """Note that the vector store acknowledged these; one that changed meanwhile stays without."""
        rows = [(definition.id, definition.content_hash) for definition in definitions]
        with self.transaction():
            self._many("UPDATE definitions SET embedded = 1 WHERE id = ? AND content_hash = ?", rows)

    def mark_unembedded(self, ids: Collection[str]) -> None:
        """Note that the vector store lacks these."""
        with self.transaction():
            self._many("UPDATE definitions SET embedded = 0 WHERE id = ?", [(id_,) for id_ in ids])

    def embedded_ids(self) -> set[str]:
        """Return the ids that the vector store is said to hold."""
        return {row[0] for row in self._all("SELECT id FROM definitions WHERE embedded = 1")}

    def stale_vectors(self, n: int) -> list[str]:
        """Return ids that the vector store should no longer hold, at most `n`."""
        return [row[0] for row in self._all("SELECT id FROM stale_vectors LIMIT ?", n)]

    def clear_stale(self, ids: Collection[str]) -> None:
        """Note that the vector store no longer holds these."""
        with self.transaction():
            self._many("DELETE FROM stale_vectors WHERE id = ?", [(id_,) for id_ in ids])

    def compact(self) -> None:
        """Merge the lexical index after many writes, so that queries read fewer pieces, and trim the log."""
        with self.transaction():
            self._connection.execute("INSERT INTO terms (terms) VALUES ('optimize')")
        with storage_errors(self.path):
            self._connection.execute("PRAGMA optimize")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _write_file(self, parsed: ParsedFile, stamp: FileStamp) -> int:
        values = (
            *(stamp.content_hash, stamp.size, stamp.mtime_ns, parsed.language, parsed.role),
            *(parsed.n_lines, parsed.has_errors, parsed.path),
        )
        row = self._one("SELECT id FROM files WHERE path = ?", parsed.path)
        if row is not None:
            self._connection.execute(
                "UPDATE files SET content_hash = ?, size = ?, mtime_ns = ?, language = ?, role = ?,"
                " n_lines = ?, has_errors = ? WHERE path = ?",
                values,
            )
            return int(row[0])
        self._set("relink", "1")  # an import elsewhere may mean this new file
        cursor = self._connection.execute(
            "INSERT INTO files (content_hash, size, mtime_ns, language, role, n_lines, has_errors, path)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        return int(cursor.lastrowid or 0)

    def _write_definitions(self, file_id: int, definitions: Sequence[Definition]) -> Changes:
        columns = "id, number, content_hash, start_byte, end_byte, start_line, end_line"
        rows = self._all(f"SELECT {columns} FROM definitions WHERE file_id = ?", file_id)  # noqa: S608
        stored = {id_: (number, content_hash, tuple(span)) for id_, number, content_hash, *span in rows}
        wanted = {definition.id: definition for definition in definitions}
        kept = stored.keys() & wanted.keys()
        same = {id_ for id_ in kept if stored[id_][1] == wanted[id_].content_hash}
        changes = Changes(
            added=tuple(id_ for id_ in wanted if id_ not in kept),
            changed=tuple(id_ for id_ in wanted if id_ in kept and id_ not in same),
            moved=tuple(id_ for id_ in wanted if id_ in same and stored[id_][2] != _span(wanted[id_])),
            removed=tuple(id_ for id_ in stored if id_ not in kept),
        )
        self._delete_definitions([stored[id_][0] for id_ in changes.removed])
        self._change_definitions([(stored[id_][0], wanted[id_]) for id_ in changes.changed])
        self._move_definitions([(stored[id_][0], wanted[id_]) for id_ in changes.moved])
        self._add_definitions(file_id, [wanted[id_] for id_ in changes.added])
        return changes

    def _add_definitions(self, file_id: int, definitions: Sequence[Definition]) -> None:
        for definition in definitions:
            cursor = self._connection.execute(
                "INSERT INTO definitions (file_id, kind, name, qualified_name, signature, docstring,"
                " content_hash, text, start_byte, end_byte, start_line, end_line, id)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (file_id, *_content(definition), *_span(definition), definition.id),
            )
            self._add_terms(int(cursor.lastrowid or 0), definition)
        # An id that went and came back before its vector was deleted has one to replace, not a stale one.
        self._many("DELETE FROM stale_vectors WHERE id = ?", [(definition.id,) for definition in definitions])

    def _change_definitions(self, numbered: Sequence[tuple[int, Definition]]) -> None:
        for number, definition in numbered:
            self._delete_terms(number)
            self._connection.execute(
                "UPDATE definitions SET kind = ?, name = ?, qualified_name = ?, signature = ?, docstring = ?,"
                " content_hash = ?, text = ?, start_byte = ?, end_byte = ?, start_line = ?, end_line = ?,"
                " embedded = 0 WHERE number = ?",
                (*_content(definition), *_span(definition), number),
            )
            self._add_terms(number, definition)

    def _move_definitions(self, numbered: Sequence[tuple[int, Definition]]) -> None:
        self._many(
            "UPDATE definitions SET start_byte = ?, end_byte = ?, start_line = ?, end_line = ?"
            " WHERE number = ?",
            [(*_span(definition), number) for number, definition in numbered],
        )

    def _delete_definitions(self, numbers: Sequence[int]) -> None:
        rows = [(number,) for number in numbers]
        for number in numbers:
            self._delete_terms(number)
        self._many("INSERT OR IGNORE INTO stale_vectors SELECT id FROM definitions WHERE number = ?", rows)
        self._many("DELETE FROM definitions WHERE number = ?", rows)

    def _add_terms(self, number: int, definition: Definition) -> None:
        terms = _search_terms(
            definition.qualified_name, definition.signature, definition.docstring, definition.text
        )
        self._connection.execute(
            "INSERT INTO terms (rowid, name, head, body) VALUES (?, ?, ?, ?)", (number, *terms)
        )

    def _delete_terms(self, number: int) -> None:
        sql = "SELECT qualified_name, signature, docstring, text FROM definitions WHERE number = ?"
        terms = _search_terms(*self._all(sql, number)[0])
        self._connection.execute(
            "INSERT INTO terms (terms, rowid, name, head, body) VALUES ('delete', ?, ?, ?, ?)",
            (number, *terms),
        )

    def _write_uses(self, file_id: int, references: Sequence[Reference]) -> None:
        lines: dict[str, list[int]] = {}
        for reference in references:
            lines.setdefault(reference.name, []).append(reference.line)
        wanted = {self._name_id(name): ",".join(map(str, sorted(at))) for name, at in lines.items()}
        stored = dict(self._all("SELECT name_id, lines FROM uses WHERE file_id = ?", file_id))
        gone = [(file_id, name_id) for name_id in stored if name_id not in wanted]
        self._many("DELETE FROM uses WHERE file_id = ? AND name_id = ?", gone)
        different = [(file_id, *use) for use in wanted.items() if stored.get(use[0]) != use[1]]
        self._many("INSERT OR REPLACE INTO uses (file_id, name_id, lines) VALUES (?, ?, ?)", different)

    def _write_imports(self, file_id: int, imports: Sequence[Import]) -> None:
        if [imported for _, imported in self._imports(file_id)] == list(imports):
            return  # what they resolve to is still right, or `linked` is still 0
        self._connection.execute("DELETE FROM imports WHERE file_id = ?", (file_id,))
        rows = [
            (file_id, ordinal, imported.local_name, imported.module, imported.name, imported.line)
            for ordinal, imported in enumerate(imports)
        ]
        columns = "file_id, ordinal, local_name, module, name, line"
        self._many(f"INSERT INTO imports ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608
        self._connection.execute("UPDATE files SET linked = 0 WHERE id = ?", (file_id,))

    def _link_file(self, file_id: int, path: str, language: str, resolve: ResolveImport) -> None:
        found = {
            (ordinal, rank, target)
            for ordinal, imported in self._imports(file_id)
            for rank, target in enumerate(resolve(imported, path, language))
        }
        stored = set(self._all("SELECT ordinal, rank, path FROM import_targets WHERE file_id = ?", file_id))
        self._many(
            "DELETE FROM import_targets WHERE file_id = ? AND ordinal = ? AND rank = ?",
            [(file_id, ordinal, rank) for ordinal, rank, _ in stored - found],
        )
        self._many(
            "INSERT INTO import_targets (file_id, ordinal, rank, path) VALUES (?, ?, ?, ?)",
            [(file_id, *target) for target in found - stored],
        )

    def _name_id(self, name: str) -> int:
        known = self._name_ids.get(name)
        if known is not None:
            return known
        row = self._one("SELECT id FROM names WHERE name = ?", name)
        if row is None:
            cursor = self._connection.execute("INSERT INTO names (name) VALUES (?)", (name,))
            row = (int(cursor.lastrowid or 0),)
        if len(self._name_ids) >= _MAX_NAMES_KEPT:
            self._name_ids.clear()
        self._name_ids[name] = int(row[0])
        return self._name_ids[name]

    def _set(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", (key, value))

    def _many(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            self._connection.executemany(sql, rows)


def _content(definition: Definition) -> tuple[str, ...]:
    """Return the columns that `content_hash` covers, and it, in the order of the statements above."""
    return (
        *(definition.kind, definition.name, definition.qualified_name, definition.signature),
        *(definition.docstring, definition.content_hash, definition.text),
    )


def _span(definition: Definition) -> tuple[int, int, int, int]:
    span = definition.span
    return span.start_byte, span.end_byte, span.start_line, span.end_line


def _search_terms(qualified_name: str, signature: str, docstring: str, text: str) -> tuple[str, str, str]:
    """Return the terms of the three columns; deleting a row needs exactly what was inserted."""
    columns = (qualified_name, f"{signature}\n{docstring}", text)
    name, head, body = (" ".join(split_identifiers(column)) for column in columns)
    return name, head, body
