"""Asks an engine about itself, and ends it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import filelock
import psutil

from indexer.client import worker_pid
from lsp_server.engine.errors import EngineError, GoneError, HangsError
from lsp_server.engine.finder import GREETING_S, engine_meeting, greet
from lsp_server.engine.killing import kill

if TYPE_CHECKING:
    from lsp_server.engine.greeting import Wants
    from lsp_server.paths import Folders

__all__ = ["Stopped", "engine_status", "memory_bytes", "running_worker", "stop_engine"]

_STOP_S: Final = 20.0
_LAST_BREATH_S: Final = 2.0
"""From the free lock to the end of the process."""


def engine_status(folders: Folders) -> dict[str, Any]:
    """Return the engine and the index worker that run, with their memory; None for each that does not.

    Raises:
        EngineError: Something else answers in the engine's place.
    """
    meeting = engine_meeting(folders)
    engine = _ask(folders, "status")
    return {
        "engine": engine and {**engine, "memory_bytes": memory_bytes(engine["pid"])},
        "index_worker": running_worker(folders),
        "log": str(meeting.log_file),
    }


def running_worker(folders: Folders) -> dict[str, int | None] | None:
    """Return the index worker's process id and memory, None if none runs."""
    pid = worker_pid(folders.index, folders.runtime)
    return {"pid": pid, "memory_bytes": memory_bytes(pid)} if pid is not None else None


@dataclass(frozen=True, slots=True)
class Stopped:
    """An engine that was ended."""

    pid: int
    hung: bool
    """Whether it did not answer and had to be killed."""


def stop_engine(folders: Folders, patience_s: float = GREETING_S) -> Stopped | None:
    """End the engine, wait until it has, and return which it was; None where none ran.

    Args:
        folders: The user's.
        patience_s: How long it may take to answer, before it is killed.

    Raises:
        EngineError: It goes on.
    """
    try:
        engine = _ask(folders, "stop", patience_s)
    except HangsError as error:
        if error.pid is None:
            raise
        kill(error.pid)
        stopped = Stopped(error.pid, hung=True)
    else:
        if engine is None:
            return None
        stopped = Stopped(engine["pid"], hung=False)
    try:
        with filelock.FileLock(engine_meeting(folders).lock_file, timeout=_STOP_S, mode=0o600):
            pass  # the lock is free once the process has closed everything
    except filelock.Timeout:
        raise EngineError(f"the engine did not end within {_STOP_S:.0f} s") from None
    with suppress(psutil.Error):
        psutil.Process(stopped.pid).wait(_LAST_BREATH_S)
    return stopped


def memory_bytes(pid: int) -> int | None:
    """Return what a process takes of the memory, its share of what is shared included; None if unknown."""
    with suppress(psutil.Error):
        info = psutil.Process(pid).memory_full_info()
        return int(getattr(info, "pss", 0) or info.uss)
    return None


def _ask(folders: Folders, wants: Wants, patience_s: float = GREETING_S) -> dict[str, Any] | None:
    with suppress(GoneError):
        found = greet(engine_meeting(folders), wants, patience_s)
        if found is not None:
            channel, answer = found
            channel.close()
            return answer
    return None
