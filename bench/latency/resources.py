"""Memory of a tree of processes, as the system counts it: what they share counts once (Linux only)."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

__all__ = ["PeakMemory", "pss_mb"]

_BETWEEN_S = 0.1


def pss_mb(pids: list[int]) -> float | None:
    """Return the proportional set size of processes together; None where the system does not tell it."""
    total_kb = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has just ended
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
            except OSError:
                if Path("/proc/self/smaps_rollup").exists():
                    raise
                return None
            total_kb += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total_kb / 1024


class PeakMemory:
    """The most that this process and all that it started took together, at the moments it was looked at."""

    def __init__(self) -> None:
        self._left_out: set[int] = set()
        self.mb_by_phase: dict[str, float] = {}

    @property
    def mb(self) -> float | None:
        """The peak of all phases; None if the system does not tell it."""
        return max(self.mb_by_phase.values(), default=None)

    def leave_out(self, pid: int) -> None:
        """Do not count a process and what it starts."""
        self._left_out.add(pid)

    def look(self, phase: str) -> None:
        """Take the sum now; costs some milliseconds."""
        now = pss_mb(self._pids())
        if now is not None:
            self.mb_by_phase[phase] = max(self.mb_by_phase.get(phase, 0.0), now)

    @contextlib.contextmanager
    def watching(self, phase: str) -> Iterator[None]:
        """Look all the while from another thread; not for while something is timed."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_BETWEEN_S):
                self.look(phase)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.look(phase)

    def _pids(self) -> list[int]:
        found, open_ends = list[int](), [psutil.Process(os.getpid())]
        while open_ends:
            process = open_ends.pop()
            if process.pid in self._left_out:
                continue
            found.append(process.pid)
            with contextlib.suppress(psutil.NoSuchProcess):
                open_ends += process.children()
        return found
