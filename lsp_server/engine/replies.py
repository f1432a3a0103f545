"""What an editor is told in an engine's place."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from lsp_server.engine.jsonrpc import CONTENT_MODIFIED, REQUEST_FAILED, failure, notification, response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lsp_server.engine.jsonrpc import Id

__all__ = ["EMPTY", "ERROR", "INFO", "WARNING", "log_line", "shown", "unanswered"]

EMPTY: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "textDocument/inlineCompletion": {"items": []},
        "textDocument/completion": {"isIncomplete": True, "items": []},
    }
)
"""Editors show nothing for these, where an error would be logged or shown, and take away what they showed."""
ERROR, WARNING, INFO = 1, 2, 3  # of window/logMessage and window/showMessage


def unanswered(id_: Id, method: str) -> bytes:
    """Return the answer of which editors show least, where there is none.

    Clients pass over ContentModified without a word, which they do with no other error.
    """
    if method in EMPTY:
        return response(id_, EMPTY[method])
    if method == "workspace/executeCommand":  # the user waits for it
        return failure(id_, REQUEST_FAILED, "Crosslight's engine ended; try again")
    return failure(id_, CONTENT_MODIFIED, "the engine ended")


def log_line(kind: int, text: str) -> bytes:
    """Return a line for the editor's log."""
    return notification("window/logMessage", {"type": kind, "message": text})


def shown(kind: int, text: str) -> bytes:
    """Return a message that the editor shows."""
    return notification("window/showMessage", {"type": kind, "message": text})
