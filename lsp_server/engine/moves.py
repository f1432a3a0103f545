"""Where a conversation between an editor and engines stands, and what comes of a message."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

__all__ = ["Moves", "Phase"]


class Phase(enum.Enum):
    """Where a conversation stands."""

    AWAY = "away"
    """No engine; one is being found."""
    GREETING = "greeting"
    """An engine that was not yet told what the editor said before."""
    LIVE = "live"
    """Messages pass in both directions."""
    RESTING = "resting"
    """The engine ended as it should; another one is found when there is work."""
    HOPELESS = "hopeless"
    """No engine can be had, and the user knows; tried again when a document is opened or a command given."""


@dataclass(slots=True)
class Moves:
    """What is to be sent, in order."""

    to_editor: list[bytes] = field(default_factory=list)
    to_engine: list[bytes] = field(default_factory=list)
    is_wanted: bool = False
    """An engine should be found now."""
    is_over: bool = False
    """The editor said `exit`."""
    is_refused: str | None = None
    """Why this engine cannot go on where the last one ended."""
