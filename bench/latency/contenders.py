"""What takes part in the bench, and what it is asked.

A contender answers requests one after the other, with whatever its caches hold from the last one. Times are
those that a user would wait in the program itself; passing texts between processes of the bench is not in
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from indexer.types import Definition, RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.completer import Retrieve
from model.types import TokenCodec

__all__ = ["Contender", "OpenedFile", "Request", "Timing", "handing_out", "n_written"]


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that the user has just opened."""

    repo_name: str
    path: str
    related: Callable[[], Sequence[Definition]]
    """Asks the index for what the file is likely to need soon."""


@dataclass(frozen=True, slots=True)
class Request:
    """A cursor, and the definitions for it."""

    repo_name: str
    path: str
    language: str
    prefix: str
    suffix: str
    retrieve: Retrieve
    """For contenders that retrieve at each request."""
    held: tuple[Retrieved, ...]
    """For contenders that read the same definitions at each request of a session."""
    encode_ms: float | None
    """How long a completion may wait for definitions to be encoded; None: as long as it takes."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What one completion took, and of what."""

    first_token_ms: float
    """From the request to the choice of the first token, retrieval included where the contender retrieves."""
    line_ms: float
    """To the text of the whole line, as it would be shown."""
    n_written: int
    """Tokens of the text as the tokenizer splits it, and one for its end; 0 where nothing is shown. Counted
    alike for all: what a contender typed again or drafted is none of it."""
    prompt_tokens: int
    """Attended to at the first generated token: read now, copied, or kept from before."""
    computed_tokens: int
    """Of them, those that were read now."""
    definition_tokens: int
    """Of `prompt_tokens`, those of definitions."""
    text: str
    is_warm: bool | None = None
    """Whether all memories that were wanted were at hand; None without memories."""


class Contender(Protocol):
    """Something that completes."""

    @property
    def name(self) -> str:
        """In tables and results."""
        ...

    def open(self, file: OpenedFile) -> None:
        """Begin with a file of which no cache holds anything, and prepare for it what can be."""
        ...

    def idle(self, pause_ms: float) -> None:
        """Do, untimed, what a user's pause of this length leaves time for."""
        ...

    def warm(self, definitions: Sequence[Retrieved], request: Request) -> None:
        """Do, untimed, all that can be done ahead for definitions that a later request will come with."""
        ...

    def complete(self, request: Request) -> Timing:
        """Complete the rest of the cursor's line."""
        ...


def n_written(codec: TokenCodec, text: str) -> int:
    """Return what `Timing.n_written` says of a text."""
    return len(codec.encode(text)) + 1 if text else 0


def handing_out(definitions: Sequence[Retrieved]) -> Retrieve:
    """Return what answers every query with the same definitions, all of them."""
    rows = tuple(definitions)

    def retrieve(_: RetrievalQuery) -> RetrievalResult:
        return RetrievalResult(rows, (), {}, {})

    return retrieve
