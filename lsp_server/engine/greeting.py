"""What `serve` and an engine say to each other, beside what an editor says.

The first message on a connection, and its answer: whoever connects says what for; the engine tells about
itself. Then an editor's messages follow, with a few of ours between them, which no editor sees.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from lsp_server.engine.errors import MalformedError
from lsp_server.engine.jsonrpc import Message

__all__ = ["ALIVE", "GOODBYE", "GREETING_METHOD", "PROTOCOL", "UNANSWERED", "Wants", "wants_in"]

PROTOCOL: Final = 2
"""Raised whenever the greeting or what follows it changes; engines of other protocols are left alone."""
GREETING_METHOD: Final = "crosslight/greet"
GOODBYE: Final = "$/crosslight/goodbye"
"""An engine's last word when it ends as it should."""
UNANSWERED: Final = "$/crosslight/unanswered"
"""Tells an engine of the document (`uri`) for which `serve` answered a completion itself, with nothing."""
ALIVE: Final = "$/crosslight/alive"
"""Asks an engine that was silent for some time whether it still answers; the answer does not matter."""

Wants = Literal["editor", "status", "stop"]
"""What a connection is for."""


def wants_in(message: Message) -> Wants:
    """Return what a greeting asks for.

    Raises:
        MalformedError: It is none of this protocol.
    """
    if message.method == GREETING_METHOD and message.params.get("protocol") == PROTOCOL:
        for wants in get_args(Wants):
            if message.params.get("wants") == wants:
                return wants  # type: ignore[no-any-return]  # one of the literals
    raise MalformedError("this is no greeting")
