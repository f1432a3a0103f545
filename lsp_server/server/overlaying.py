"""Has one repository's retrieval see open buffers in place of their files, and counts how often that changed.

What is told goes out one after the other in a thread of its own, so that an event loop never waits and the
newest text of a file is the one that stays. Where that fails, a file is as it was saved.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from typing import Final

__all__ = ["Overlaying"]

_PATIENCE_S: Final = 0.1
"""How long a retrieval waits for a buffer that was just edited to be read."""


class Overlaying:
    """The buffers of one repository that retrieval was told of; its methods may be called from any thread."""

    def __init__(self, tell: Callable[[str, str | None], None]) -> None:
        """Overlay nothing yet.

        Args:
            tell: Has a file's text be another one; None gives the file back to the disk.
        """
        self._tell = tell
        self._lock = threading.Lock()
        self._n_changes: Counter[str] = Counter()  # guarded by the lock
        self._last: Future[None] | None = None
        self._overlaid: set[str] = set()  # for the executor's thread

    def n_elsewhere(self, path: str) -> int:
        """Return how often other files than this one came to be seen as another text."""
        with self._lock:
            return self._n_changes.total() - self._n_changes[path]

    def put(self, path: str, text: str, aside: Executor) -> None:
        """Have an edited buffer's text be taken for its file's.

        Args:
            path: The file.
            text: All of it.
            aside: Does one thing after the other.
        """
        self._count(path)  # now: what is asked next knows of it
        self._last = aside.submit(self._put, path, text)

    def put_if_unsaved(self, path: str, text: str, file: Path, aside: Executor) -> None:
        """Do the same for a buffer that was opened, should its file say something else, or not be there."""

        def compare() -> None:
            try:
                is_saved = file.read_bytes() == text.encode()
            except (OSError, UnicodeEncodeError):
                is_saved = False
            if not is_saved:
                self._count(path)
                self._put(path, text)

        self._last = aside.submit(compare)

    def give_back(self, path: str, aside: Executor) -> None:
        """Have a file be as it is on the disk."""

        def give_back() -> None:
            if path in self._overlaid:
                self._overlaid.discard(path)
                self._count(path)
                self._tell(path, None)

        self._last = aside.submit(give_back)

    def wait(self) -> None:
        """Wait a moment for what was put last."""
        if (last := self._last) is not None:
            wait([last], _PATIENCE_S)

    def _put(self, path: str, text: str) -> None:
        self._overlaid.add(path)
        self._tell(path, text)

    def _count(self, path: str) -> None:
        with self._lock:
            self._n_changes[path] += 1
