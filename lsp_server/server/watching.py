"""Follows a repository's files where the editor does not, and tells which changes concern an index.

The only file that imports watchfiles. Whether a changed path is worth reading is told by its name alone, for
the editor's own reports as well as for ours; git's rules are applied when it is read.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from watchfiles import Change, DefaultFilter, watch

from indexer.languages import language_of

__all__ = ["FileWatcher", "concerns"]

_RULES: Final = frozenset({".gitignore", ".ignore"})
_STEP_MS: Final = 500

log = logging.getLogger(__name__)


def concerns(root: Path, paths: Iterable[Path]) -> tuple[set[str], bool]:
    """Return which changed paths may be indexed, relative to the root, and whether a folder may have changed.

    A folder that came or went is told as itself alone, and rules of what is ignored concern many files: both
    ask for a look at everything.
    """
    names: set[str] = set()
    is_wide = False
    for path in paths:
        if not path.is_relative_to(root):
            continue
        relative = path.relative_to(root)
        if _is_apart(relative):
            continue
        if path.name in _RULES or (not path.suffix and (path.is_dir() or not path.exists())):
            is_wide = True
        if language_of(path.name) is not None:
            names.add(relative.as_posix())
    return names, is_wide


def _is_apart(path: Path) -> bool:
    return any(part in DefaultFilter.ignore_dirs for part in path.parts)


class FileWatcher:
    """A thread that tells what changes below a folder."""

    def __init__(self, root: Path, on_change: Callable[[set[Path]], None]) -> None:
        """Start to watch.

        Args:
            root: The folder.
            on_change: Told what changed, a burst at a time, in the thread.
        """
        self._root = root
        self._on_change = on_change
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"watch-{root.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread within half a second."""
        self._stop.set()

    def _work(self) -> None:
        try:
            for changes in watch(
                self._root,
                watch_filter=self._is_wanted,
                stop_event=self._stop,
                rust_timeout=_STEP_MS,
                yield_on_timeout=False,
                raise_interrupt=False,
            ):
                self._on_change({Path(path) for _, path in changes})
        except Exception as error:  # noqa: BLE001 - too many folders for the system, one that went away
            log.warning("%s is not watched for changes: %s", self._root, error)

    def _is_wanted(self, _: Change, path: str) -> bool:
        try:
            return not _is_apart(Path(path).relative_to(self._root))
        except ValueError:
            return False
