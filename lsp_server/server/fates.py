"""What becomes of the suggestions that one editor was given: seen, accepted, still there later.

Tells the statistics, which are all that outlives the session. Whether an accepted text was kept is asked of
the document it went into, after half a minute and after five.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from lsp_server.server.buffer import Position
from lsp_server.server.documents import Documents
from lsp_server.server.statistics import KeptAfter, Statistics

__all__ = ["Fates", "Suggestion"]

_MOST_OFFERED: Final = 64
_LOOKS: Final[tuple[tuple[KeptAfter, float], ...]] = (("30s", 30.0), ("5min", 300.0))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is shown."""

    id: str
    uri: str
    language_id: str
    text: str
    """What is inserted; begins with the popup's selected item, where there is one."""
    start: Position
    end: Position
    """What it takes the place of."""


class Fates:
    """The suggestions of one session that something may still become of; for one event loop."""

    def __init__(
        self,
        statistics: Statistics,
        documents: Documents,
        looks: tuple[tuple[KeptAfter, float], ...] = _LOOKS,
    ) -> None:
        """Know of no suggestion.

        Args:
            statistics: Told of everything.
            documents: Asked whether an accepted text still stands there.
            looks: When, in seconds after it was accepted.
        """
        self._statistics = statistics
        self._documents = documents
        self._looks = looks
        self._offered: OrderedDict[str, Suggestion] = OrderedDict()
        self._timers: set[asyncio.TimerHandle] = set()
        self._editor_tells = False
        """Whether this editor says what was seen; until it does, all that it was given counts."""

    def offered(self, suggestion: Suggestion, language: str, source: str, latency_ms: float) -> None:
        """Note what an editor was given; what is left of it while it is typed is the same suggestion."""
        first = self._offered.pop(suggestion.id, None)
        self._offered[suggestion.id] = first or suggestion
        while len(self._offered) > _MOST_OFFERED:
            self._offered.popitem(last=False)
        if first is None:
            self._statistics.offered(
                suggestion.id,
                language,
                source=source,
                n_characters=len(suggestion.text),
                latency_ms=latency_ms,
                shown=not self._editor_tells,
            )

    def shown(self, id_: str) -> None:
        """Note that a suggestion was seen."""
        self._editor_tells = True
        if id_ in self._offered:
            self._statistics.shown(id_)

    def accepted(self, id_: str, n_units: int | None) -> None:
        """Note that a suggestion was accepted.

        Args:
            id_: The suggestion's.
            n_units: How much of it, in UTF-16 units from its start; None for all.
        """
        suggestion = self._offered.get(id_)
        if suggestion is None:
            return
        text = suggestion.text
        if n_units is not None:
            encoded = text.encode("utf-16-le")[: 2 * max(0, n_units)]
            text = encoded.decode("utf-16-le", "ignore")
        self._statistics.accepted(id_, len(text))
        for after, seconds in self._looks:
            self._look_later(suggestion, text, after, seconds)

    def close(self) -> None:
        """Look no more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _look_later(self, suggestion: Suggestion, text: str, after: KeptAfter, seconds: float) -> None:
        def look() -> None:
            self._timers.discard(timer)
            document = self._documents.get(suggestion.uri)
            if document is not None and text.strip():
                self._statistics.kept(suggestion.id, after, text.strip() in document.buffer.text)

        timer = asyncio.get_running_loop().call_later(seconds, look)
        self._timers.add(timer)
