"""Memories on the disk: a folder a model, a file an entry, the least recently used one goes first.

    memories/
      {model hash, 16 digits}-{format}/
        {key}.memory              an entry; its modification time is when it was last used
        {key}.{random}.part       an entry being written, or what a dead process left of one

A file an entry, because then writing is one rename, dropping is one unlink, and several processes need no
lock and no agreement on who compacts: what another one removes or writes meanwhile is a miss or the same
bytes. The price, a scan of some thousand names, is paid only where the budget is checked. This file does not
know what an entry holds.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["MemoryFolder", "entries_bytes", "remove_entries"]

_SUFFIX: Final = ".memory"
_PART_SUFFIX: Final = ".part"
_STALE_PART_NS: Final = 3600 * 10**9
"""Age from which an unfinished file is a dead process's."""
_KEPT_SHARE: Final = 0.9
"""Of the budget, after it was exceeded: so that not every entry from then on costs a scan."""
_SCAN_SHARE: Final = 1 / 16
"""Of the budget: after so many bytes written, other processes' entries are counted again."""


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    n_bytes: int
    used_ns: int


class MemoryFolder:
    """The entries of one model in a folder that those of other models share; the budget is for all of them.

    `holds`, `read` and `drop` are for any thread, the rest for one at a time.
    """

    def __init__(
        self,
        folder: Path,
        label: str,
        max_bytes: int,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Touch nothing yet.

        Args:
            folder: Of all models; made, for its owner alone, by the first write.
            label: A file name for this model and format. Entries under another one are never read, and are
                the first to go.
            max_bytes: Of all entries; file system blocks are not counted.
            clock_ns: When things are used; tests give their own.
        """
        self._folder = folder
        self._own = folder / label
        self._max_bytes = max_bytes
        self._clock_ns = clock_ns
        self._n_bytes = 0  # as of the last scan, and written since
        self._n_unscanned_bytes: int | None = None  # None: never scanned

    @property
    def path(self) -> Path:
        """Where this model's entries lie."""
        return self._own

    def holds(self, key: str) -> bool:
        """Return whether there is an entry; it may be damaged."""
        try:
            return self._file(key).exists()
        except OSError:  # a folder that may not be looked into, for one
            return False

    def read(self, key: str) -> bytes | None:
        """Return an entry's bytes, which counts as using it; None if there is none.

        Raises:
            OSError: It cannot be read.
        """
        file = self._file(key)
        try:
            data = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        self._touch(file)
        return data

    def drop(self, key: str) -> None:
        """Remove an entry if it is there and can be removed."""
        _remove(self._file(key))

    def write(self, key: str, data: bytes, in_use: Collection[str]) -> int:
        """Put an entry in its place, whole or not at all, and remove what then is too much.

        Not synchronized with the disk: after a crash of the system an entry may be damaged, which its reader
        finds out.

        Args:
            key: Names it.
            data: Its bytes.
            in_use: Keys of this model that count as used now, in this order.

        Returns:
            How many entries had to go.

        Raises:
            OSError: It could not be written; nothing is left of it.
        """
        _make_private(self._own)
        descriptor, name = tempfile.mkstemp(_PART_SUFFIX, f"{key}.", self._own)  # for its owner alone
        part = Path(name)
        try:
            try:
                _write_all(descriptor, data)
            finally:
                os.close(descriptor)
            self._touch(part)
            part.replace(self._file(key))
        except OSError:
            _remove(part)
            raise
        return self._make_room(len(data), in_use)

    def touch(self, keys: Iterable[str]) -> None:
        """Count entries as used now, in this order, where they are still there."""
        for key in keys:
            self._touch(self._file(key))

    def clear(self) -> None:
        """Remove this model's entries."""
        for path in _files_in(self._own):
            _remove(path)
        self._n_unscanned_bytes = None

    def _file(self, key: str) -> Path:
        if not key.isalnum():
            raise ValueError(f"{key!r} cannot be the name of an entry")
        return self._own / f"{key}{_SUFFIX}"

    def _touch(self, file: Path) -> None:
        now = self._clock_ns()
        with contextlib.suppress(OSError):
            os.utime(file, ns=(now, now))

    def _make_room(self, n_written: int, in_use: Collection[str]) -> int:
        self._n_bytes += n_written
        if self._n_unscanned_bytes is not None:
            self._n_unscanned_bytes += n_written
            is_recent = self._n_unscanned_bytes <= self._max_bytes * _SCAN_SHARE
            if is_recent and self._n_bytes <= self._max_bytes:
                return 0
        entries = self._scan()
        self._n_bytes = sum(entry.n_bytes for entry in entries)
        self._n_unscanned_bytes = 0
        return self._evict(entries, in_use) if self._n_bytes > self._max_bytes else 0

    def _scan(self) -> list[_Entry]:
        """Return every model's entries, and remove what dead processes left."""
        oldest_ns = self._clock_ns() - _STALE_PART_NS
        entries = []
        for path in _files_in(*_folders_in(self._folder)):
            try:
                status = path.stat()
            except OSError:
                continue  # another process was faster
            if path.suffix == _SUFFIX:
                entries.append(_Entry(path, status.st_size, status.st_mtime_ns))
            elif status.st_mtime_ns < oldest_ns:
                _remove(path)
        return entries

    def _evict(self, entries: list[_Entry], in_use: Collection[str]) -> int:
        self.touch(in_use)
        just_used = {self._file(key): rank for rank, key in enumerate(in_use, start=1)}

        def last_to_go(entry: _Entry) -> tuple[bool, int, int]:
            return entry.path.parent == self._own, just_used.get(entry.path, 0), entry.used_ns

        n_evicted = 0
        for entry in sorted(entries, key=last_to_go):
            if self._n_bytes <= self._max_bytes * _KEPT_SHARE:
                break
            _remove(entry.path)
            self._n_bytes -= entry.n_bytes
            n_evicted += 1
        for folder in _folders_in(self._folder):
            if folder != self._own:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # refused unless it is empty
        return n_evicted


def _make_private(folder: Path) -> None:
    """Make a folder and its missing parents for the user alone."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


def entries_bytes(folder: Path) -> int:
    """Return how much disk the memories of all models take, for people."""
    return sum(n_bytes for _, n_bytes in _sizes(folder))


def remove_entries(folder: Path) -> int:
    """Remove the memories of all models and return the bytes freed; a store may be at work there meanwhile.

    Raises:
        OSError: Something cannot be removed.
    """
    freed = 0
    for path, n_bytes in _sizes(folder):
        path.unlink(missing_ok=True)
        freed += n_bytes
    for emptied in (*_folders_in(folder), folder):
        with contextlib.suppress(OSError):
            emptied.rmdir()  # refused where a store has written again
    return freed


def _sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in _files_in(*_folders_in(folder)):
        try:
            n_bytes = path.stat().st_size
        except FileNotFoundError:
            continue  # a store was faster
        yield path, n_bytes


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _folders_in(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    return []


def _files_in(*folders: Path) -> Iterator[Path]:
    """Yield entries, finished or not; what else somebody put there is not ours to touch."""
    for folder in folders:
        try:
            paths = list(folder.iterdir())
        except OSError:
            continue
        yield from (path for path in paths if path.suffix in {_SUFFIX, _PART_SUFFIX})


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
