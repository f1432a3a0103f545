"""The language server's log: lines on standard error, and for whoever else listens.

Libraries write whole messages to their logs, and those hold users' code: below the debug level, of what pygls
logs nothing goes out but where it came from and the kind of error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

__all__ = ["CONNECTION", "OURS", "Forwarder", "set_up_logging", "text_of"]

OURS: Final = "lsp_server"
CONNECTION: Final[ContextVar[object]] = ContextVar("connection", default=None)
"""Whose messages a task handles: what it logs concerns that editor alone. None: it concerns all."""
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FOREIGN: Final = ("pygls", "asyncio")


def set_up_logging(handler: logging.Handler | None = None, *, verbose: bool = False) -> None:
    """Write the log to standard error, from `info` on, or all of it.

    Args:
        handler: Writes elsewhere.
        verbose: With the debug level, which may hold users' code.
    """
    handler = handler or logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Discreet(_FORMAT, verbose=verbose))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(logging.DEBUG if verbose else logging.INFO)


def text_of(record: logging.LogRecord) -> str:
    """Return a record as one line that holds no user's code, unless it is of the debug level."""
    if record.levelno <= logging.DEBUG or not record.name.startswith(_FOREIGN):
        return record.getMessage()
    error = record.exc_info[0] if record.exc_info else None
    where = f"{record.name}:{record.lineno}"
    return f"{where}: {error.__name__}" if error is not None else f"{where}: a message could not be handled"


class _Discreet(logging.Formatter):
    def __init__(self, layout: str, *, verbose: bool) -> None:
        super().__init__(layout)
        self._verbose = verbose

    def format(self, record: logging.LogRecord) -> str:
        if self._verbose:
            return super().format(record)
        values = {"asctime": self.formatTime(record), "message": text_of(record)}
        return _FORMAT % {"levelname": record.levelname, "name": record.name, **values}


class Forwarder(logging.Handler):
    """Passes the log on to one editor, in its event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[logging.LogRecord, str], None],
        connection: object = None,
    ) -> None:
        """Pass nothing on yet.

        Args:
            loop: Of the editor's connection.
            send: Called in it, with a record and its text.
            connection: The editor's, as `CONNECTION` has it.
        """
        super().__init__(logging.INFO)
        self._connection = connection
        self._loop = loop
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on, unless it is about another editor."""
        if CONNECTION.get() not in {None, self._connection}:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._send, record, f"{record.name}: {text_of(record)}")
