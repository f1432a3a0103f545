"""A lock between processes that costs nothing to load: whoever starts an engine holds it meanwhile.

`filelock` does the same for processes that run for long; it loads an event loop, which would double what each
editor's process takes of the memory.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["one_at_a_time"]

_TRY_EVERY_S: Final = 0.02


@contextlib.contextmanager
def one_at_a_time(file: Path, timeout_s: float) -> Iterator[None]:
    """Let one process after the other into the block; a process that dies in there lets the next one in.

    Args:
        file: Made if it is missing, and left.
        timeout_s: How long to wait.

    Raises:
        TimeoutError: Others were in there all the time.
        OSError: The file cannot be made.
    """
    fd = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + timeout_s
        while not _lock(fd):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(_TRY_EVERY_S)
        yield
    finally:
        os.close(fd)  # which unlocks


def _lock(fd: int) -> bool:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - on Windows only

        with contextlib.suppress(OSError):
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
            return True
    else:
        import fcntl  # noqa: PLC0415 - not on Windows

        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False
