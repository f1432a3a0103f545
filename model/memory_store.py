"""Keeps memories: those used last in RAM as the decoder reads them, more of them on the disk in eight bits.

    get   RAM -> disk -> None               put   RAM at once, the disk from a thread of its own

A memory is only ever a shortcut, so nothing here fails a completion: what cannot be read is a miss, what
cannot be written stays in RAM, and the user is told once. Keys stand for contents (`memory.memory_key`), so
an entry is never out of date, and it does not matter who wrote it. This file does not know how memories are
made.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from model.background import tell
from model.errors import DamagedMemoryError
from model.memory_codec import FORMAT_VERSION, decode_memory, encode_memory
from model.memory_disk import MemoryFolder
from model.types import Memory

__all__ = ["MemoryStats", "MemoryStore"]

_MAX_PENDING_BYTES: Final = 64 << 20
"""Of memories that wait to be written. They may be kept alive by nothing else, on top of the RAM budget."""
_RETRY_NS: Final = 60 * 10**9
"""After the disk said no, it is left alone for so long."""
_FULL: Final = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_LABEL_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """What a store did since it was made, and what it holds."""

    n_ram_hits: int = 0
    n_disk_hits: int = 0
    n_misses: int = 0
    n_damaged: int = 0
    """Entries found damaged and removed; each was a miss, too."""
    n_written: int = 0
    n_not_written: int = 0
    """Memories that the disk refused, or that came faster than it takes them."""
    n_evicted: int = 0
    """Entries that this store removed from the disk for the sake of the budget."""
    n_in_ram: int = 0
    n_ram_bytes: int = 0


class MemoryStore:
    """Memories of one model, for any number of threads; several processes may share the folder."""

    def __init__(  # noqa: PLR0913 - by keyword only
        self,
        *,
        folder: Path,
        model_hash: str,
        max_ram_bytes: int,
        max_disk_bytes: int,
        on_problem: Callable[[str], None],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Read and write nothing yet.

        Args:
            folder: Of the memories of all models.
            model_hash: `Manifest.model_hash`; other models' memories are never read.
            max_ram_bytes: Of the arrays in RAM.
            max_disk_bytes: Of all models' entries on the disk; 0 leaves the disk alone.
            on_problem: Told, at most once, that the disk cannot be used: a sentence for the user. Called from
                the thread that found out.
            clock_ns: When things are used; tests give their own.
        """
        label = f"{model_hash[:_LABEL_DIGITS]}-{FORMAT_VERSION}"
        self._disk = MemoryFolder(folder, label, max_disk_bytes, clock_ns) if max_disk_bytes else None
        self._model_hash = model_hash
        self._max_ram_bytes = max_ram_bytes
        self._on_problem = on_problem
        self._clock_ns = clock_ns
        self._disk_lock = threading.Lock()  # of whoever changes the folder; taken before the other one
        self._changed = threading.Condition()  # its lock guards all that follows
        self._ram: OrderedDict[str, Memory] = OrderedDict()  # least recently used first
        self._pending: OrderedDict[str, Memory] = OrderedDict()
        self._n_pending_bytes = 0
        self._stats = MemoryStats()
        self._writer: threading.Thread | None = None
        self._is_closed = False
        self._has_told = False
        self._retry_ns = 0

    @property
    def stats(self) -> MemoryStats:
        """What was done until now."""
        with self._changed:
            return self._stats

    def locate(self, key: str) -> Literal["ram", "disk"] | None:
        """Return where a memory would come from, None if it has to be computed; does not count as using it.

        On the disk only the name is looked at: the entry may turn out to be damaged.
        """
        with self._changed:
            if key in self._ram or key in self._pending:
                return "ram"
        return "disk" if self._disk is not None and self._disk.holds(key) else None

    def get(self, key: str) -> Memory | None:
        """Return a memory, and keep it in RAM from then on; None if there is none that is sound."""
        with self._changed:
            memory = self._ram.get(key) or self._pending.get(key)
            if memory is not None:
                self._keep(memory)
                self._count(n_ram_hits=1)
                return memory
        memory = self._read(key)
        with self._changed:
            if memory is None:
                self._count(n_misses=1)
            else:
                self._keep(memory)
                self._count(n_disk_hits=1)
        return memory

    def put(self, memory: Memory) -> None:
        """Keep a memory: in RAM from now on, on the disk soon."""
        with self._changed:
            self._keep(memory)
            if self._disk is None or self._is_closed or memory.key in self._pending:
                return
            if self._n_pending_bytes + memory.n_bytes > _MAX_PENDING_BYTES:
                self._count(n_not_written=1)
                return
            self._pending[memory.key] = memory
            self._n_pending_bytes += memory.n_bytes
            if self._writer is None:
                self._writer = threading.Thread(
                    target=self._write_pending, args=(self._disk,), name="memories", daemon=True
                )
                self._writer.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything that was put is on the disk, or was refused."""
        with self._changed:
            self._changed.wait_for(lambda: not self._pending)

    def clear(self) -> None:
        """Forget all memories of this model, in RAM and on the disk."""
        with self._disk_lock:
            with self._changed:
                self._ram.clear()
                self._pending.clear()
                self._n_pending_bytes = 0
                self._stats = replace(self._stats, n_in_ram=0, n_ram_bytes=0)
                self._changed.notify_all()
            if self._disk is not None:
                self._disk.clear()

    def close(self) -> None:
        """Write what waits to be written, and end the thread. What is in RAM can still be had."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            writer, in_use = self._writer, tuple(self._ram)
        if writer is not None:
            writer.join()
        if self._disk is not None:
            self._disk.touch(in_use)  # what was used from RAM, the disk has not seen used

    def _keep(self, memory: Memory) -> None:
        """Put a memory at the recent end of those in RAM; the caller holds the lock."""
        former = self._ram.pop(memory.key, None)
        n_bytes = self._stats.n_ram_bytes + memory.n_bytes - (former.n_bytes if former else 0)
        self._ram[memory.key] = memory
        while n_bytes > self._max_ram_bytes:
            _, oldest = self._ram.popitem(last=False)
            n_bytes -= oldest.n_bytes
        self._stats = replace(self._stats, n_ram_bytes=n_bytes, n_in_ram=len(self._ram))

    def _count(self, **more: int) -> None:
        """Add to the figures."""
        with self._changed:  # may be held already: the lock is re-entrant
            added = {name: getattr(self._stats, name) + n for name, n in more.items()}
            self._stats = replace(self._stats, **added)

    def _read(self, key: str) -> Memory | None:
        if self._disk is None:
            return None
        try:
            data = self._disk.read(key)
            return None if data is None else decode_memory(data, key, self._model_hash)
        except DamagedMemoryError:
            self._disk.drop(key)
            self._count(n_damaged=1)
        except OSError as error:
            self._tell(error)
        return None

    def _write_pending(self, disk: MemoryFolder) -> None:
        """Write until the store is closed and nothing waits: what the thread does."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._is_closed)
                if not self._pending:
                    return
            try:
                with self._disk_lock:
                    self._write_next(disk)
            except Exception as error:  # noqa: BLE001 - it costs one memory on the disk, not all that follow
                tell(error)

    def _write_next(self, disk: MemoryFolder) -> None:
        """Write the memory that waits longest; until it is on the disk it can be had as one that waits."""
        with self._changed:
            memory = next(iter(self._pending.values()), None)
            in_use = tuple(self._ram)
        if memory is None:
            return  # cleared meanwhile
        try:
            self._write(disk, memory, in_use)
        finally:
            with self._changed:
                self._n_pending_bytes -= self._pending.pop(memory.key).n_bytes
                self._changed.notify_all()

    def _write(self, disk: MemoryFolder, memory: Memory, in_use: tuple[str, ...]) -> None:
        if self._clock_ns() < self._retry_ns:
            self._count(n_not_written=1)
            return
        if disk.holds(memory.key):
            disk.touch((memory.key,))
            return
        try:
            data = encode_memory(memory, self._model_hash)
            n_evicted = disk.write(memory.key, data, in_use)
        except ValueError:
            self._count(n_not_written=1)  # numbers that are not finite: there is nothing worth keeping
        except OSError as error:
            self._retry_ns = self._clock_ns() + _RETRY_NS
            self._count(n_not_written=1)
            self._tell(error)
        else:
            self._count(n_written=1, n_evicted=n_evicted)

    def _tell(self, error: OSError) -> None:
        """Tell the user, once, that the disk is of no use."""
        with self._changed:
            has_told, self._has_told = self._has_told, True
        if not has_told and self._disk is not None:
            cure = (
                "free some space there"
                if error.errno in _FULL
                else "make that folder yours to read and write, or remove it"
            )
            self._on_problem(
                f"encoded definitions cannot be kept in {self._disk.path} ({error.strerror or error}), "
                f"only in RAM for now: {cure}"
            )
