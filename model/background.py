"""What threads that work behind everything do with an exception that nobody foresaw: tell it, and go on."""

from __future__ import annotations

import threading

__all__ = ["tell"]


def tell(error: Exception) -> None:
    """Hand an exception to whoever is told of threads that die of one; by default it is printed."""
    thread = threading.current_thread()
    threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))
