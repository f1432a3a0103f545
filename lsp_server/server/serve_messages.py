"""What `crosslight serve` says and asks beside the editor's messages, which it passes on to an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from lsp_server.engine.greeting import ALIVE, UNANSWERED
from lsp_server.server.language_server import CrosslightServer

__all__ = ["HANDLERS"]


def unanswered(ls: CrosslightServer, params: object) -> None:
    """Note for which document a completion was answered with nothing, in a former engine's place."""
    uri = params.get("uri") if isinstance(params, dict) else None
    if isinstance(uri, str):
        ls.session.left_unanswered(uri)


def alive(*_: object) -> None:
    """Answer; what matters is that the event loop does."""


HANDLERS: Final[Mapping[str, Callable[..., Any]]] = {UNANSWERED: unanswered, ALIVE: alive}
