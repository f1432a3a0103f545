"""The open documents of an editor as another engine must be told of them: text, version, notebooks.

Edits are kept as they came and applied when there are many, or when the text is wanted, which is after an
engine's death only: a keystroke costs an append. How edits change a text is for `lsp_server.server.buffer`
alone, so that what is told anew is what the engine had.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lsp_server.server.buffer import Encoding, TextBuffer

__all__ = ["ODD", "OpenDocuments"]

ODD: Final = (LookupError, TypeError, AttributeError, ValueError)
"""What parameters that are not as the protocol says lead to."""

_MIN_KEPT_BYTES = 1 << 16
_BYTES_OF_AN_EDIT = 1 << 10
"""About what an edit of a few characters takes as Python objects."""


@dataclass(slots=True)
class _Text:
    """One document: its text as it was, and the edits since."""

    item: dict[str, Any]
    """A `TextDocumentItem`; its text is out of date while there are edits."""
    edits: list[dict[str, Any]] = field(default_factory=list)
    edits_bytes: int = 0

    def edit(self, changes: Iterable[dict[str, Any]], encoding: Encoding) -> None:
        """Take `TextDocumentContentChangeEvent`s."""
        for change in changes:
            if "range" not in change:
                self.item["text"] = str(change["text"])
                self.edits.clear()
                self.edits_bytes = 0
                continue
            self.edits.append(change)
            self.edits_bytes += _BYTES_OF_AN_EDIT + len(change["text"])
        # Applying costs a pass over the text: as often as that pass is paid for by what was typed.
        if self.edits_bytes > max(_MIN_KEPT_BYTES, len(self.item["text"]) // 4):
            self.apply(encoding)

    def apply(self, encoding: Encoding) -> dict[str, Any]:
        """Bring the item up to date, and return it."""
        if self.edits:
            from lsp_server.server.buffer import TextBuffer  # noqa: PLC0415 - seldom wanted

            buffer = TextBuffer(self.item["text"], encoding)
            for change in self.edits:
                _apply(buffer, change)
            self.item["text"] = buffer.text
            self.edits.clear()
            self.edits_bytes = 0
        return self.item


class OpenDocuments:
    """All of them, in the order in which they were opened.

    What an editor says of a document that it never opened is passed over. Malformed parameters raise one
    of `ODD`.
    """

    def __init__(self) -> None:
        self._texts: dict[str, _Text] = {}
        self._cells: dict[str, _Text] = {}
        self._notebooks: dict[str, dict[str, Any]] = {}

    def observe(self, method: str, params: dict[str, Any], encoding: Encoding) -> bool:
        """Follow a notification, and return whether it was about documents."""
        match method:
            case "textDocument/didOpen":
                item = params["textDocument"]
                self._texts[item["uri"]] = _text(item)
            case "textDocument/didChange":
                self._change(self._texts, params["textDocument"], params["contentChanges"], encoding)
            case "textDocument/didClose":
                self._texts.pop(params["textDocument"]["uri"], None)
            case "notebookDocument/didOpen":
                notebook = params["notebookDocument"]
                self._notebooks[notebook["uri"]] = {**notebook, "cells": list(notebook["cells"])}
                self._cells |= {item["uri"]: _text(item) for item in params["cellTextDocuments"]}
            case "notebookDocument/didChange":
                self._change_notebook(params, encoding)
            case "notebookDocument/didClose":
                self._notebooks.pop(params["notebookDocument"]["uri"], None)
                for item in params["cellTextDocuments"]:
                    self._cells.pop(item["uri"], None)
            case _:
                return False
        return True

    def items(self, encoding: Encoding) -> Iterator[dict[str, Any]]:
        """Yield the text documents as they are now, as `TextDocumentItem`s."""
        for text in self._texts.values():
            yield text.apply(encoding)

    def notebooks(self, encoding: Encoding) -> Iterator[dict[str, Any]]:
        """Yield the notebooks as they are now, as `DidOpenNotebookDocumentParams`."""
        for notebook in self._notebooks.values():
            cells = [self._cells.get(cell["document"]) for cell in notebook["cells"]]
            texts = [cell.apply(encoding) for cell in cells if cell is not None]
            yield {"notebookDocument": notebook, "cellTextDocuments": texts}

    def _change(
        self, texts: dict[str, _Text], document: dict[str, Any], changes: list[Any], encoding: Encoding
    ) -> None:
        text = texts.get(document["uri"])
        if text is not None:
            text.item["version"] = document["version"]
            text.edit(changes, encoding)

    def _change_notebook(self, params: dict[str, Any], encoding: Encoding) -> None:
        notebook = self._notebooks.get(params["notebookDocument"]["uri"])
        if notebook is None:
            return
        notebook["version"] = params["notebookDocument"]["version"]
        change = params["change"]
        if "metadata" in change:
            notebook["metadata"] = change["metadata"]
        cells = change.get("cells") or {}
        if structure := cells.get("structure"):
            array = structure["array"]
            start, n_deleted = int(array["start"]), int(array["deleteCount"])
            notebook["cells"][start : start + n_deleted] = array.get("cells") or []
            for item in structure.get("didOpen") or ():
                self._cells[item["uri"]] = _text(item)
            for item in structure.get("didClose") or ():
                self._cells.pop(item["uri"], None)
        for cell in cells.get("data") or ():
            notebook["cells"] = [
                cell if old["document"] == cell["document"] else old for old in notebook["cells"]
            ]
        for content in cells.get("textContent") or ():
            self._change(self._cells, content["document"], content["changes"], encoding)


def _text(item: dict[str, Any]) -> _Text:
    """Return a document of its own, whose fields may change."""
    return _Text({**item, "text": str(item["text"])})


def _apply(buffer: TextBuffer, change: dict[str, Any]) -> None:
    from lsp_server.server.buffer import Position  # noqa: PLC0415 - seldom wanted

    with suppress(*ODD):  # the engine had no use for it either
        start, end = (
            Position(int(change["range"][key]["line"]), int(change["range"][key]["character"]))
            for key in ("start", "end")
        )
        buffer.replace(start, end, change["text"])
