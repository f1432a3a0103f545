"""What other open buffers define that were not saved: it overlays what the disk was indexed to hold.

Somebody who adds a function in one file and calls it in another has rarely saved the first. Only files that
are indexed are overlaid, so that what is ignored stays so. Who sent a text may be gone without a word, so it
is forgotten after a while. This file does not know how definitions are ranked.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from indexer.languages import TooSlowError, language_of
from indexer.own_file import WithBuffer
from indexer.parse import parse_definitions
from indexer.resolve import DefinitionSource
from indexer.types import Definition

__all__ = ["Overlays"]

_MOST_OVERLAYS: Final = 16
_MOST_BYTES: Final = 1_000_000
_MOST_PARSE_S: Final = 0.5
"""Of processor time."""
_KEPT_S: Final = 1_800.0


@dataclass(frozen=True, slots=True)
class _Overlay:
    definitions: tuple[Definition, ...]
    since: float


class Overlays:
    """The unsaved buffers of one repository; for any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._overlays: OrderedDict[str, _Overlay] = OrderedDict()
        self._n_changes = 0

    @property
    def n_changes(self) -> int:
        """How often what `over` returns may have become another."""
        with self._lock:
            self._forget_old()
            return self._n_changes

    def put(self, path: str, text: str | None) -> None:
        """Take a buffer's text for its file's; None gives the file back to the disk.

        Args:
            path: Of a file in the repository, POSIX.
            text: All of it.
        """
        definitions: Sequence[Definition] | None = None
        if text is not None and language_of(path) is not None:
            source = text.encode("utf-8", "replace")
            if len(source) <= _MOST_BYTES:
                try:
                    definitions = parse_definitions(path, source, max_parse_s=_MOST_PARSE_S)
                except TooSlowError:  # what was saved still answers
                    definitions = None
        with self._lock:
            self._n_changes += 1
            self._overlays.pop(path, None)
            if definitions is not None:
                self._overlays[path] = _Overlay(tuple(definitions), self._clock())
            while len(self._overlays) > _MOST_OVERLAYS:
                self._overlays.popitem(last=False)

    def over(self, source: DefinitionSource, edited: str | None) -> DefinitionSource:
        """Return a catalogue with the buffers in it, but for the file that is edited."""
        with self._lock:
            self._forget_old()
            overlays = list(self._overlays.items())
        if overlays:
            indexed = source.files()
            for path, overlay in overlays:
                if path != edited and path in indexed:
                    source = WithBuffer(source, path, overlay.definitions)
        return source

    def _forget_old(self) -> None:
        oldest = self._clock() - _KEPT_S
        for path in [path for path, one in self._overlays.items() if one.since < oldest]:
            del self._overlays[path]
            self._n_changes += 1
