"""The edited file's own definitions, as its unsaved buffer has them and not as the disk does.

Parsing a file of 5,000 lines takes longer than all of a retrieval. So the last few buffers are kept as they
were read: as long as everything that was typed since lies within the lines that the prompt shows, the
definitions outside of those lines are the same, and only their places move. This file does not know how
definitions are ranked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from indexer.affixes import n_common_at_end, n_common_at_start
from indexer.languages import TooSlowError, language_of
from indexer.parse import parse_definitions
from indexer.resolve import DefinitionSource
from indexer.source import hash_of
from indexer.types import Definition, Import, RetrievalQuery, Span

_MAX_BUFFERS = 8
_MAX_BYTES = 1_000_000
_MAX_PARSE_S = 0.5
"""Of processor time; a minified file is not worth a late completion."""
_HEADER_LINES = 12
"""A definition's header is looked for so far below its decorators and comments."""
_NO_HEADERS = ("#", "//", "/*", "*", "@")


class StampedSource(DefinitionSource, Protocol):
    """A catalogue that knows the versions of its files."""

    def content_hash(self, path: str) -> str | None:
        """Return the hash of a file's bytes as it was indexed, None for an unknown one."""
        ...


@dataclass(frozen=True, slots=True)
class _Buffer:
    """A text as it was read."""

    source: bytes
    definitions: tuple[Definition, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """What differs between two versions of a text: one range, in bytes and lines of each."""

    start: int
    old_end: int
    new_end: int
    first_line: int
    last_line: int
    """Of the new version."""
    n_lines_added: int


class OwnFiles:
    """The last few buffers; for one thread at a time."""

    def __init__(self) -> None:
        self._buffers: OrderedDict[str, _Buffer] = OrderedDict()

    def definitions(self, query: RetrievalQuery, catalogue: StampedSource) -> tuple[Definition, ...]:
        """Return what the edited file defines, spans as in the buffer; nothing for a file without a language.

        The line of the cursor is not read: it is seldom whole, and what is broken there must not hide what
        follows.
        """
        path = query.path
        if path is None or language_of(path) is None:
            return ()
        source = (query.prefix + query.suffix).encode("utf-8", "replace")
        if len(source) > _MAX_BYTES:
            return ()
        kept = self._buffers.pop(path, None)
        buffer = kept and _moved(kept, source, visible_lines(query))
        if buffer is None:
            kept = _saved(path, source, catalogue) or _read(path, _without_cursor_line(query))
            buffer = _moved(kept, source, visible_lines(query)) or kept
        self._buffers[path] = kept or buffer  # what was read, which what is derived from it may be less than
        while len(self._buffers) > _MAX_BUFFERS:
            self._buffers.popitem(last=False)
        return buffer.definitions


class WithBuffer:
    """A catalogue in which one file is as its buffer has it."""

    def __init__(
        self,
        catalogue: DefinitionSource,
        path: str,
        own: Sequence[Definition],
        files: Collection[str] | None = None,
    ) -> None:
        """Put a buffer in.

        Args:
            catalogue: All other files.
            path: The buffer's.
            own: What it defines.
            files: All paths, where the buffer's may be new; else those of the catalogue.
        """
        self._catalogue = catalogue
        self._files = files
        self._path = path
        self._own = {definition.id: definition for definition in own}

    def definitions(self, ids: Sequence[str]) -> list[Definition]:
        """Return the definitions with these ids, in that order; what the buffer no longer has is left out."""
        found = {d.id: d for d in self._catalogue.definitions([id_ for id_ in ids if id_ not in self._own])}
        found = {id_: d for id_, d in found.items() if d.path != self._path} | self._own
        return [found[id_] for id_ in ids if id_ in found]

    def definitions_named(self, names: Collection[str]) -> list[Definition]:
        """Return every definition with one of these names."""
        found = [d for d in self._catalogue.definitions_named(names) if d.path != self._path]
        return found + [d for d in self._own.values() if d.name in names]

    def definitions_in(self, path: str) -> list[Definition]:
        """Return the definitions of one file."""
        return list(self._own.values()) if path == self._path else self._catalogue.definitions_in(path)

    def count_named(self, names: Collection[str]) -> Mapping[str, int]:
        """Return how many definitions each name has at most: those of this file may count twice."""
        counts = dict(self._catalogue.count_named(names))
        for definition in self._own.values():
            if definition.name in names:
                counts[definition.name] = counts.get(definition.name, 0) + 1
        return counts

    def names_starting(self, prefix: str, n: int) -> list[str]:
        """Return names of definitions that begin so, shortest first."""
        own = {d.name for d in self._own.values() if d.name.startswith(prefix)}
        found = own.union(self._catalogue.names_starting(prefix, n))
        return sorted(found, key=lambda name: (len(name), name))[:n]

    def count_users(self, names: Collection[str]) -> Mapping[str, int]:
        """Return in how many files each of these names is used."""
        return self._catalogue.count_users(names)

    def imports_of(self, path: str) -> list[tuple[Import, tuple[str, ...]]]:
        """Return the imports of one file, as it was saved."""
        return self._catalogue.imports_of(path)

    def files(self) -> Collection[str]:
        """Return every indexed path, and new ones."""
        return self._catalogue.files() if self._files is None else self._files

    def bm25(self, terms: Iterable[str], n: int, exclude_path: str | None = None) -> list[tuple[str, float]]:
        """Return (definition id, score), best first."""
        return self._catalogue.bm25(terms, n, exclude_path)


def visible_lines(query: RetrievalQuery) -> range:
    """Return the lines of the buffer that the prompt shows, the cursor's among them if any is."""
    at = query.prefix.count("\n")
    before, after = query.visible_lines_before, query.visible_lines_after
    return range(
        max(0, at - before + 1) if before > 0 else at, at + after if after > 0 else at + (before > 0)
    )


def header_line(definition: Definition) -> int:
    """Return the line, from 0, on which a definition's header has its name, below decorators and comments."""
    for n_lines, line in enumerate(definition.text.split("\n", _HEADER_LINES)[:_HEADER_LINES]):
        if definition.name in line and not line.lstrip().startswith(_NO_HEADERS):
            return definition.span.start_line + n_lines
    return definition.span.start_line


def _saved(path: str, source: bytes, catalogue: StampedSource) -> _Buffer | None:
    """Return what the catalogue knows of the file, if the buffer is as it was indexed."""
    if catalogue.content_hash(path) != hash_of(source):
        return None
    return _Buffer(source, tuple(catalogue.definitions_in(path)))


def _read(path: str, source: bytes) -> _Buffer:
    try:
        return _Buffer(source, parse_definitions(path, source, max_parse_s=_MAX_PARSE_S))
    except TooSlowError:
        return _Buffer(source, ())


def _without_cursor_line(query: RetrievalQuery) -> bytes:
    if query.visible_lines_before == 0:
        return (query.prefix + query.suffix).encode("utf-8", "replace")
    before = query.prefix[: query.prefix.rfind("\n") + 1]
    end = query.suffix.find("\n")
    return (before + (query.suffix[end:] if end >= 0 else "")).encode("utf-8", "replace")


def _moved(buffer: _Buffer, source: bytes, visible: range) -> _Buffer | None:
    """Return a buffer's definitions where they stand in a later version of it.

    None when something changed outside of the visible lines.
    """
    change = _change(buffer.source, source)
    if change is None:
        return buffer
    if change.first_line not in visible or change.last_line not in visible:
        return None
    moved = (_after_change(definition, change) for definition in buffer.definitions)
    return _Buffer(source, tuple(definition for definition in moved if definition is not None))


def _after_change(definition: Definition, change: _Change) -> Definition | None:
    """Return a definition as it stands after a change, None where the change may be in its very header."""
    span, n_bytes = definition.span, change.new_end - change.old_end
    if span.end_byte <= change.start:
        return definition
    if span.start_byte >= change.old_end:
        moved = Span(
            span.start_byte + n_bytes,
            span.end_byte + n_bytes,
            span.start_line + change.n_lines_added,
            span.end_line + change.n_lines_added,
        )
        return replace(definition, span=moved)
    if header_line(definition) >= change.first_line:
        return None
    end = (max(span.end_byte, change.old_end) + n_bytes, span.end_line + change.n_lines_added)
    text = definition.text
    if definition.kind in {"function", "method", "macro", "section"}:  # the text is the source, line by line
        text = "\n".join(text.split("\n")[: change.first_line - span.start_line])
    return replace(definition, span=Span(span.start_byte, end[0], span.start_line, end[1]), text=text)


def _change(old: bytes, new: bytes) -> _Change | None:
    start = n_common_at_start(old, new)
    if start == len(old) == len(new):
        return None
    n_end = n_common_at_end(old, new, min(len(old), len(new)) - start)
    old_end, new_end = len(old) - n_end, len(new) - n_end
    first_line = new.count(b"\n", 0, start)
    n_lines = new.count(b"\n", start, new_end)
    added = n_lines - old.count(b"\n", start, old_end)
    return _Change(start, old_end, new_end, first_line, first_line + n_lines, added)
