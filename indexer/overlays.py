"""What other open buffers define that were not saved: it overlays what the disk was indexed to hold.

Somebody who adds a function in one file and calls it in another has rarely saved the first, which may be a
new one. Who sent a text may be gone without a word, so it is forgotten after a while. This file knows neither
which files may be seen nor how definitions are ranked.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from indexer.languages import TooSlowError, language_of
from indexer.own_file import WithBuffer
from indexer.parse import parse_definitions
from indexer.repo_files import RepoFiles
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
        self._files: tuple[Collection[str], frozenset[str], RepoFiles] | None = None

    @property
    def n_changes(self) -> int:
        """How often what `over` returns may have become another."""
        with self._lock:
            self._forget_old()
            return self._n_changes

    def put(self, path: str, text: str | None) -> None:
        """Take a buffer's text for its file's; None gives the file back to the disk.

        Args:
            path: POSIX, relative to the repository; there need not be such a file yet.
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
        overlays = [(path, overlay) for path, overlay in overlays if path != edited]
        if overlays:
            files = self._with_new(source.files(), [path for path, _ in overlays])
            for path, overlay in overlays:
                source = WithBuffer(source, path, overlay.definitions, files)
        return source

    def _with_new(self, indexed: Collection[str], paths: Sequence[str]) -> Collection[str]:
        """Return the repository's files and the new ones, arranged once: that takes too long for each key."""
        new = frozenset(path for path in paths if path not in indexed)
        if not new:
            return indexed
        kept = self._files
        if kept is None or kept[0] is not indexed or kept[1] != new:
            aliases = indexed.js_aliases if isinstance(indexed, RepoFiles) else None
            kept = self._files = (indexed, new, RepoFiles([*indexed, *new], aliases))
        return kept[2]

    def _forget_old(self) -> None:
        oldest = self._clock() - _KEPT_S
        for path in [path for path, one in self._overlays.items() if one.since < oldest]:
            del self._overlays[path]
            self._n_changes += 1
