"""What a session is asked, and how that ended."""

from __future__ import annotations

from dataclasses import dataclass

from lsp_server.server.buffer import Position

__all__ = ["Answer", "Request", "Selected", "SupersededError"]


@dataclass(frozen=True, slots=True)
class Selected:
    """The item that is selected in the editor's own popup."""

    start: Position
    end: Position
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """A cursor that something is wanted at."""

    uri: str
    position: Position
    invoked: bool = False
    """Whether the user asked by hand, and not by typing."""
    selected: Selected | None = None


class SupersededError(Exception):
    """A newer request or edit of the document came first: what is shown is for that one to say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How the last request ended."""

    uri: str
    reason: str | None
    """Why nothing was shown; None when something was."""
    source: str = ""
    """`model`; `foreseen` where it had been asked before; `known` where it was not."""
    latency_ms: float = 0.0
    """From the request to its answer, also where that was nothing."""
    retrieval_notes: tuple[str, ...] = ()
    """What retrieval left out of the model's evidence, or why there was none."""
