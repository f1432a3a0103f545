"""The documents that one editor has open, a notebook's cells among them.

A cell is a document of its own with its own positions; what the notebook's earlier cells say stands before
it, as if they were one file. Knows neither models nor when anything is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lsp_server.server.buffer import Encoding, Position, TextBuffer
from lsp_server.server.places import Place, WorkspaceFolders, language_for
from lsp_server.server.recent_edits import RecentEdits

__all__ = ["Change", "Document", "Documents"]

_MOST_RECENT = 16
_CELL_SEPARATOR = "\n\n"


@dataclass(frozen=True, slots=True)
class Change:
    """One edit; without a start, `text` is the whole new text."""

    text: str
    start: Position | None = None
    end: Position | None = None


@dataclass(slots=True, eq=False)
class Document:
    """One open document."""

    uri: str
    language_id: str
    language: str | None
    """By the index's names; None where it knows none."""
    version: int
    buffer: TextBuffer
    place: Place | None
    """None for what is no file of the user's own."""
    notebook: str | None = None
    """The URI of the notebook that this is a cell of."""
    is_changed: bool = False
    """Whether it was edited since it was opened or saved."""
    overlaid_version: int | None = None
    """The version that retrieval was told of, or that was compared with the file; None before either."""


@dataclass(slots=True)
class _Notebook:
    cells: list[str] = field(default_factory=list)


class Documents:
    """All documents of one connection; an edit of what was never opened is ignored."""

    def __init__(self, encoding: Encoding, folders: WorkspaceFolders) -> None:
        self._encoding: Encoding = encoding
        self._folders = folders
        self._documents: dict[str, Document] = {}
        self._notebooks: dict[str, _Notebook] = {}
        self._recent: dict[str, None] = {}  # URIs, opened or edited last: last
        self.recent_edits = RecentEdits()

    def __iter__(self) -> Iterator[Document]:
        return iter(self._documents.values())

    def get(self, uri: str) -> Document | None:
        """Return an open document."""
        return self._documents.get(uri)

    def open(
        self, uri: str, language_id: str, version: int, text: str, notebook: str | None = None
    ) -> Document:
        """Take a document's text over from the disk."""
        language = language_for(language_id, uri, text)
        # a cell lies where its notebook does
        place = self._folders.place(notebook or uri, language)
        document = Document(
            uri, language_id, language, version, TextBuffer(text, self._encoding), place, notebook
        )
        self._documents[uri] = document
        self._touch(uri)
        return document

    def change(self, uri: str, version: int, changes: Iterable[Change]) -> Document | None:
        """Apply edits, one after the other, each to what the one before left."""
        document = self._documents.get(uri)
        if document is None:
            return None
        for change in changes:
            if change.start is None:
                document.buffer.replace_all(change.text)
                continue
            document.buffer.replace(change.start, change.end or change.start, change.text)
            first = document.buffer.locate(change.start)[0]
            last = first + change.text.count("\n")
            self.recent_edits.note(uri, first, map(document.buffer.line, range(first, last + 1)))
        document.version = version
        document.is_changed = True
        self._touch(uri)
        return document

    def save(self, uri: str) -> Document | None:
        """Note that the disk has what the buffer has."""
        document = self._documents.get(uri)
        if document is not None:
            document.is_changed = False
        return document

    def close(self, uri: str) -> Document | None:
        """Give a document's text back to the disk."""
        self._recent.pop(uri, None)
        return self._documents.pop(uri, None)

    def place_again(self) -> None:
        """Look anew where every document lies, after folders came or went."""
        for document in self._documents.values():
            document.place = self._folders.place(document.notebook or document.uri, document.language)

    def around(self, document: Document, position: Position) -> tuple[str, str]:
        """Return the text before and after a cursor; before a cell's stand the notebook's earlier cells."""
        prefix, suffix = document.buffer.split(position)
        return self._earlier_cells(document) + prefix, suffix

    def recent_files(self, but: Document) -> tuple[Path, ...]:
        """Return the files that were opened or edited last, last first, without one."""
        files = (self._documents[uri].place for uri in reversed(self._recent) if uri != but.uri)
        return tuple(place.file for place in files if place is not None and place.file is not None)

    def edits_elsewhere(self, document: Document) -> tuple[str, ...]:
        """Return what was edited last in other documents of a document's repository, the latest one first."""
        root = document.place.root if document.place is not None else None
        if root is None:
            return ()
        others = (self._documents.get(uri) for uri in self.recent_edits.uris() if uri != document.uri)
        near = [one for one in others if one is not None and one.place is not None and one.place.root == root]
        return tuple(self.recent_edits.of(one.uri) for one in near)

    def open_notebook(self, uri: str, cells: Sequence[str]) -> None:
        """Note the order of a notebook's cells; their texts are opened one by one."""
        self._notebooks[uri] = _Notebook(list(cells))

    def move_cells(self, uri: str, start: int, n_removed: int, cells: Sequence[str]) -> None:
        """Replace some of a notebook's cells by others."""
        notebook = self._notebooks.setdefault(uri, _Notebook())
        notebook.cells[start : start + n_removed] = cells

    def close_notebook(self, uri: str) -> None:
        """Forget a notebook and whatever of its cells is open."""
        self._notebooks.pop(uri, None)
        for cell in [one.uri for one in self._documents.values() if one.notebook == uri]:
            self.close(cell)

    def _earlier_cells(self, document: Document) -> str:
        notebook = self._notebooks.get(document.notebook or "")
        if notebook is None or document.uri not in notebook.cells:
            return ""
        earlier = map(self._documents.get, notebook.cells[: notebook.cells.index(document.uri)])
        texts = [one.buffer.text for one in earlier if one is not None and one.language == document.language]
        return "".join(text.rstrip("\n") + _CELL_SEPARATOR for text in texts if text.strip())

    def _touch(self, uri: str) -> None:
        self._recent.pop(uri, None)
        self._recent[uri] = None
        while len(self._recent) > _MOST_RECENT:
            del self._recent[next(iter(self._recent))]
