"""The engine's log: everything that the process says, in one file that does not grow for ever."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
from pathlib import Path
from typing import Final

from lsp_server.engine.killing import STACKS_SIGNAL
from lsp_server.server.logs import set_up_logging

__all__ = ["BoundedLog", "keep_log"]

_MAX_BYTES: Final = 2_000_000


class BoundedLog(logging.Handler):
    """Writes to standard error, and begins that file anew when it is full; one old file is kept.

    Standard error itself is moved, since libraries and the interpreter's last words go there too.
    """

    def __init__(self, file: Path, max_bytes: int) -> None:
        super().__init__()
        self._file = file
        self._max_bytes = max_bytes

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            os.write(sys.stderr.fileno(), f"{self.format(record)}\n".encode("utf-8", "replace"))
            if os.fstat(sys.stderr.fileno()).st_size > self._max_bytes:
                self._begin_anew()
        except Exception:  # noqa: BLE001 - what goes wrong in a log must not end what is logged
            self.handleError(record)

    def _begin_anew(self) -> None:
        with contextlib.suppress(OSError):  # a file that others hold open cannot be moved on every system
            self._file.replace(self._file.with_suffix(".old.log"))
        fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(fd, sys.stdout.fileno())
        os.dup2(fd, sys.stderr.fileno())
        os.close(fd)


def keep_log(file: Path, max_bytes: int = _MAX_BYTES) -> None:
    """Send what this process logs and says to a file, crashes of native code included.

    Never code of users, which is logged at the debug level only.
    """
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, sys.stdout.fileno())
    os.dup2(fd, sys.stderr.fileno())
    os.close(fd)
    faulthandler.enable()
    if STACKS_SIGNAL is not None:
        faulthandler.register(STACKS_SIGNAL, all_threads=True)  # names of files and functions, no code
    set_up_logging(BoundedLog(file, max_bytes))
