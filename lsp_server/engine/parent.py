"""Tells when another process has ended, such as the editor that started this one."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

__all__ = ["watch_process"]

_LOOK_EVERY_S: Final = 5.0
"""Where the system offers nothing to wait for."""


def watch_process(pid: object, on_end: Callable[[], None]) -> None:
    """Call `on_end` in a thread when a process has ended.

    A process that is not there to begin with is not watched: an editor outside of this container, or on
    another machine, has a number that means nothing here.

    Args:
        pid: `processId` as an editor gives it; anything but a number of a process means none.
        on_end: Called once.
    """
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 1:
        return
    wait = _waiting_for(pid)
    if wait is None:
        return

    def watch() -> None:
        wait()
        on_end()

    threading.Thread(target=watch, daemon=True, name="watch editor").start()


def _waiting_for(pid: int) -> Callable[[], None] | None:
    """Return what blocks until a process has ended; None if it has already, or never was."""
    if sys.platform == "win32":
        return _waiting_on_windows(pid)
    if not _is_there(pid):
        return None
    fd = _pidfd(pid)
    return partial(_look_again_and_again, pid) if fd is None else partial(_wait_for_fd, fd)


def _pidfd(pid: int) -> int | None:
    """Return what becomes readable when a process ends; None where the system offers none."""
    if sys.platform == "linux":
        with suppress(OSError):  # an old kernel, or a sandbox
            return os.pidfd_open(pid)
    return None


def _wait_for_fd(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll()
    os.close(fd)


def _look_again_and_again(pid: int) -> None:
    while _is_there(pid):
        time.sleep(_LOOK_EVERY_S)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True


def _waiting_on_windows(pid: int) -> Callable[[], None] | None:
    """Never by `os.kill`, which ends a process there whatever the signal."""
    if sys.platform == "win32":
        import _winapi  # noqa: PLC0415 - on Windows only

        may_wait = 0x0010_0000  # SYNCHRONIZE
        try:
            handle = _winapi.OpenProcess(may_wait, False, pid)
        except OSError:
            return None

        def wait() -> None:
            _winapi.WaitForSingleObject(handle, _winapi.INFINITE)
            _winapi.CloseHandle(handle)

        return wait
    return None
