"""Ends a process that answers no more, and lets it say before where it stands."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
import time
from typing import Final

__all__ = ["STACKS_SIGNAL", "kill", "process_behind"]

STACKS_SIGNAL: Final = getattr(signal, "SIGUSR2", None)
"""Makes an engine write to its log where each of its threads stands; None where there are no signals."""
_LAST_WORDS_S: Final = 0.5


def kill(pid: int | None) -> None:
    """End a process that answers no more, within a second; of no effect where it is not known, or gone."""
    if pid is None:
        return
    with contextlib.suppress(OSError):
        if STACKS_SIGNAL is not None:
            os.kill(pid, STACKS_SIGNAL)
            time.sleep(_LAST_WORDS_S)
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # the one is the other on Windows


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
