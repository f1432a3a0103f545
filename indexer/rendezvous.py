"""Where a background process and those who ask it meet, and how it is started.

Several processes of one user share one that does the heavy work: the index worker, and the engine. Where they
meet depends on the version of the program, so that two versions never talk to each other. Imports nothing
heavy, since editors wait for what imports it. Does not know what is asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from indexer.errors import StoreError
from indexer.folders import os_errors, own_folder, private_folder

if TYPE_CHECKING:
    import subprocess

    import filelock

__all__ = ["Rendezvous", "become_owner", "last_log_line", "spawn_detached"]

# A Unix socket's path is limited to 108 bytes on Linux and to 104 on macOS.
_MAX_SOCKET_PATH_BYTES = 100
_MAX_LOG_BYTES = 1_000_000
_LOCK_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Where one background process of one version answers, and where it logs."""

    address: str
    family: Literal["AF_UNIX", "AF_PIPE"]
    log_file: Path
    lock_file: Path
    version: str

    @classmethod
    def of(cls, kind: str, key: str, runtime_dir: Path, version: str) -> Rendezvous:
        """Return the meeting point of a process; makes the private folder that it lies in.

        Args:
            kind: What the process is; begins the names of its files.
            key: Whatever must be equal for two processes to share this one, beside its version.
            runtime_dir: Holds the socket, the lock and the log.
            version: The program's.

        Raises:
            StoreError: The folder cannot be made, or belongs to someone else.
        """
        digest = hashlib.sha256(f"{key}\n{version}".encode("utf-8", "surrogateescape")).hexdigest()
        name = f"{kind}-{digest[:12]}-{version}"
        folder = own_folder(runtime_dir.absolute())
        log_file, lock_file = folder / f"{name}.log", folder / f"{name}.lock"
        if os.name == "nt":
            return cls(rf"\\.\pipe\crosslight-{name}", "AF_PIPE", log_file, lock_file, version)
        socket = folder / f"{name}.sock"
        if len(os.fsencode(socket)) > _MAX_SOCKET_PATH_BYTES:
            import tempfile  # noqa: PLC0415 - seldom wanted

            socket = own_folder(Path(tempfile.gettempdir()) / f"crosslight-{os.getuid()}") / socket.name
        return cls(str(socket), "AF_UNIX", log_file, lock_file, version)


def become_owner(meeting: Rendezvous, is_answered: Callable[[], bool]) -> filelock.BaseFileLock | None:
    """Return the held lock of a background process, or None when another one already answers.

    One that is ending still holds the lock and answers no more; it is waited for. Whoever holds the lock may
    remove the socket that a dead process left behind.

    Raises:
        StoreError: Another process holds the lock for long but does not answer.
    """
    import filelock  # noqa: PLC0415 - takes three times as long as the rest, and those who ask need none

    lock = filelock.FileLock(meeting.lock_file, mode=0o600, thread_local=False)
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=0.2)
            return lock
        if is_answered():
            return None
        if time.monotonic() > deadline:
            raise StoreError(f"another process holds {meeting.lock_file} but does not answer; end it")


def spawn_detached(
    command: Sequence[str], *, log_file: Path, folder: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, and writes what it says to its log.

    Args:
        command: The program and its arguments.
        log_file: Appended to; removed first if it has grown large.
        folder: Where the process starts, made if it is missing; never a workspace's.
        environment: Variables set beside this process's own.

    Raises:
        StoreError: The log cannot be written.
        OSError: The program cannot be started.
    """
    import subprocess  # noqa: PLC0415 - only who starts a process pays for it

    private_folder(folder)
    # Its own session: Ctrl-C in a terminal is for those who ask alone.
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    with os_errors(log_file):
        if log_file.exists() and log_file.stat().st_size > _MAX_LOG_BYTES:
            log_file.unlink()
        handle = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            cwd=folder,
            env=os.environ | environment,
            **detached,
        )
    finally:
        os.close(handle)


def last_log_line(log_file: Path) -> str | None:
    """Return the last line that a background process wrote; None if there is none."""
    with contextlib.suppress(OSError):
        lines = log_file.read_text("utf-8", "replace").strip().splitlines()
        if lines:
            return lines[-1].strip()
    return None
