"""Tells whether a process that answers no more works, and ends it; it may say before where it stands."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
import time
from typing import Final

__all__ = ["STACKS_SIGNAL", "effort_of", "is_at_work", "kill", "process_behind"]

STACKS_SIGNAL: Final = getattr(signal, "SIGUSR2", None)
"""Makes an engine write to its log where each of its threads stands; None where there are no signals."""
_LAST_WORDS_S: Final = 0.5
_BYTES_A_SECOND: Final = 20_000_000
"""Read from a disk, in small pieces by who was swapped out: as good as a second of the processor's time."""
_LOOK_S: Final = 1.0
_LEAST_SHARE: Final = 0.05


def kill(pid: int | None) -> None:
    """End a process that answers no more, within a second; of no effect where it is not known, or gone."""
    if pid is None:
        return
    with contextlib.suppress(OSError):
        if STACKS_SIGNAL is not None:
            os.kill(pid, STACKS_SIGNAL)
            time.sleep(_LAST_WORDS_S)
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # the one is the other on Windows


def effort_of(pid: int | None) -> float | None:
    """Return what a process has done since it began: seconds of processor time, and for what it read.

    None if that cannot be told.
    """
    if pid is None:
        return None
    import psutil  # noqa: PLC0415 - seldom wanted

    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
    except psutil.Error:
        return None
    n_bytes = 0
    with contextlib.suppress(psutil.Error, AttributeError):  # not every system tells, nor of every process
        n_bytes = process.io_counters().read_bytes
    return float(times.user + times.system + n_bytes / _BYTES_A_SECOND)


def is_at_work(pid: int | None, look_s: float = _LOOK_S) -> bool:
    """Return whether a process does something; looks at it for a moment."""
    before = effort_of(pid)
    if before is None:
        return False
    time.sleep(look_s)
    after = effort_of(pid)
    return after is not None and after - before >= _LEAST_SHARE * look_s


def process_behind(connected: socket.socket) -> int | None:
    """Return the process that listened on a Unix socket, as this one sees it; None if that cannot be told.

    What a process says of itself would be another one's number where it runs in a container.
    """
    pid = 0  # also told of what runs where this process cannot see
    with contextlib.suppress(OSError):
        if sys.platform == "linux":
            credentials = struct.Struct("3i")  # pid, uid, gid
            told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
            pid = credentials.unpack(told)[0]
        elif sys.platform == "darwin":
            local, peer_pid = 0, 2  # SOL_LOCAL, LOCAL_PEERPID of sys/un.h
            pid = connected.getsockopt(local, peer_pid)
    return pid or None
