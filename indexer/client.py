"""How every other process asks the index worker, and starts it if need be."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Client, Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import filelock

from indexer.catalogue import Changes
from indexer.errors import IndexerError, WorkerError
from indexer.rendezvous import last_log_line, spawn_detached
from indexer.report import IndexProgress, IndexStatus, IndexSummary
from indexer.types import Definition, RelatedQuery, RetrievalQuery, RetrievalResult, Retrieved
from indexer.wire import (
    PROTOCOL,
    Held,
    definition_from_json,
    error_from_json,
    index_meeting,
    query_to_json,
    receive,
    retrieved_from_json,
    send,
)

_START_S = 30.0
"""How long a worker may take until it listens: its imports, on a busy machine."""
_GREETING_S = 10.0
_WORKER_ENVIRONMENT = MappingProxyType(
    {
        # Products of a few hundred rows: threads would wait for each other, at twice the processor time.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # Each thread of the vector store would keep freed memory for itself.
        "MALLOC_ARENA_MAX": "1",
    }
)
"""Read by libraries when they are loaded, so that they must be set from outside."""


_T = TypeVar("_T")


class _GoneError(Exception):
    """The worker closed the connection before it said anything."""


class IndexClient:
    """Asks the worker of one index folder. Safe to use from several threads: each call has its connection.

    A worker that ends between two calls is started again. One that dies in the middle of an answer fails that
    call with WorkerError, and the next call starts another.
    """

    def __init__(self, index_dir: Path, runtime_dir: Path, start: Sequence[str] | None) -> None:
        """Use `connect`."""
        self._index_dir = index_dir
        self._meeting = index_meeting(index_dir, runtime_dir)
        self._start = start
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._held: WeakKeyDictionary[Connection, Held] = WeakKeyDictionary()
        self._is_closed = False

    @classmethod
    def connect(cls, index_dir: Path, runtime_dir: Path, *, start: Sequence[str] | None) -> Self:
        """Return a client whose worker answers.

        Args:
            index_dir: Holds one folder a repository.
            runtime_dir: Holds the socket and the log.
            start: The command that becomes the worker (by calling `worker.serve` with the same two folders);
                None fails if there is none.

        Raises:
            WorkerError: No worker answers, and none can be started.
            StoreError: A folder cannot be made.
        """
        client = cls(index_dir, runtime_dir, start)
        client._give_back(client._connection())
        return client

    def close(self) -> None:
        """Close the connections; the worker goes on for others, and cancels what this client asked for."""
        with self._lock:
            self._is_closed = True
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def index(
        self, root: Path, *, on_progress: Callable[[IndexProgress], None] | None = None, force: bool = False
    ) -> IndexSummary:
        """Bring a repository's index up to date, and return what it holds.

        An exception out of `on_progress`, and KeyboardInterrupt at any moment, cancel the run at its next
        batch; what was written stays.

        Raises:
            RootError: `root` is missing, not a folder, or not readable.
            LockedError: Another process owns this index.
            StoreError: The index cannot be written.
            DiskSpaceError: The disk is full.
            WorkerError: The worker died, or cannot be started.
        """

        def on_event(event: Mapping[str, Any]) -> None:
            if on_progress is not None:
                on_progress(IndexProgress(**event))

        params = {"root": str(root.absolute()), "force": force}
        return IndexSummary.from_json(self._ask("index", params, timeout_s=None, on_event=on_event))

    def update(self, root: Path, paths: Collection[str], *, timeout_s: float = 60.0) -> Changes:
        """Bring the index up to date with a few changed files (POSIX paths relative to `root`)."""
        params = {"root": str(root.absolute()), "paths": sorted(paths)}
        changes = self._ask("update", params, timeout_s=timeout_s)
        return Changes(**{kind: tuple(ids) for kind, ids in changes.items()})

    def open(self, root: Path, *, timeout_s: float = 60.0) -> IndexStatus:
        """Open a repository's index, vectors included, so that the first retrieval finds it warm."""
        return IndexStatus.from_json(self._ask("open", {"root": str(root.absolute())}, timeout_s=timeout_s))

    def retrieve(self, root: Path, query: RetrievalQuery, *, timeout_s: float = 5.0) -> RetrievalResult:
        """Return what the cursor needs, from what is indexed so far.

        `query.deadline_ms` bounds the retrieval itself; `timeout_s` is for a worker that does not answer.
        """
        params = {"root": str(root.absolute()), "query": query_to_json(query)}
        return self._exchange("retrieve", params, self._result, timeout_s=timeout_s)

    def _result(self, connection: Connection, values: Mapping[str, Any]) -> RetrievalResult:
        with self._lock:
            held = self._held.setdefault(connection, Held())
        return held.result_from_json(values)

    def related(self, root: Path, query: RelatedQuery, *, timeout_s: float = 20.0) -> tuple[Definition, ...]:
        """Return the definitions that an open file is likely to need soon, likeliest first."""
        params = {"root": str(root.absolute()), "query": asdict(query)}
        return tuple(map(definition_from_json, self._ask("related", params, timeout_s=timeout_s)))

    def overlay(self, root: Path, path: str, text: str | None, *, timeout_s: float = 5.0) -> None:
        """Have retrieval take a buffer's text for its file's; None gives the file back to the disk."""
        params = {"root": str(root.absolute()), "path": path, "text": text}
        self._ask("overlay", params, timeout_s=timeout_s)

    def search(self, root: Path, text: str, n: int, *, timeout_s: float = 60.0) -> tuple[Retrieved, ...]:
        """Return the definitions that a text describes, best first."""
        params = {"root": str(root.absolute()), "text": text, "n": n}
        return retrieved_from_json(self._ask("search", params, timeout_s=timeout_s))

    def status(self, root: Path, *, timeout_s: float = 20.0) -> IndexStatus:
        """Return what a repository's index holds."""
        return IndexStatus.from_json(self._ask("status", {"root": str(root.absolute())}, timeout_s=timeout_s))

    def remove(self, root: Path, *, timeout_s: float = 60.0) -> int:
        """Delete a repository's index and return how many bytes that freed."""
        return int(self._ask("remove", {"root": str(root.absolute())}, timeout_s=timeout_s))

    def stop(self, *, only_if_alone: bool = False, timeout_s: float = 20.0) -> bool:
        """Tell the worker to end, and wait until it has; runs in progress are cancelled.

        Args:
            only_if_alone: Let it go on if another program is connected to it.
            timeout_s: How long it may take.

        Returns:
            Whether it has ended.

        Raises:
            WorkerError: It goes on, or none can be asked.
        """
        if self._ask("stop", {"only_if_alone": only_if_alone}, timeout_s=timeout_s) is False:
            return False
        try:
            with filelock.FileLock(self._meeting.lock_file, timeout=timeout_s, mode=0o600):
                return True  # the lock is free once the process has closed everything
        except filelock.Timeout:
            raise self._failure(f"the index worker did not end within {timeout_s:.0f} s") from None

    def _ask(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        timeout_s: float | None,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        return self._exchange(
            method, params, lambda _, result: result, timeout_s=timeout_s, on_event=on_event
        )

    def _exchange(
        self,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[Connection, Any], _T],
        *,
        timeout_s: float | None,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> _T:
        """Return what `read` makes of the result, while nobody else uses the connection that it came by."""
        try:
            found = self._converse(method, params, read, timeout_s, on_event)
        except _GoneError:
            # It was ending already when it was asked; nothing that can be asked hurts when asked twice.
            try:
                found = self._converse(method, params, read, timeout_s, on_event)
            except _GoneError:
                raise self._failure(f"the index worker ended while it was asked to {method}") from None
        if isinstance(found, IndexerError):
            raise found
        return found

    def _converse(
        self,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[Connection, Any], _T],
        timeout_s: float | None,
        on_event: Callable[[Mapping[str, Any]], None] | None,
    ) -> _T | IndexerError:
        connection = self._connection()
        has_begun = False

        def note(event: Mapping[str, Any]) -> None:
            nonlocal has_begun
            has_begun = True
            if on_event is not None:
                on_event(event)

        try:
            send(connection, {"method": method, "params": params})
            message = self._answer(connection, timeout_s, note)
            found = (
                error_from_json(message["error"])
                if "error" in message
                else read(connection, message["result"])
            )
        except BaseException as error:
            connection.close()  # an answer may still be on its way: no other call must read it
            if isinstance(error, TimeoutError):
                raise self._failure(f"the index worker did not {method} within {timeout_s:.0f} s") from None
            if isinstance(error, (EOFError, OSError)):
                if not has_begun:
                    raise _GoneError from None
                raise self._failure(f"the index worker ended while it was asked to {method}") from None
            raise
        self._give_back(connection)
        return found

    def _answer(
        self,
        connection: Connection,
        timeout_s: float | None,
        on_event: Callable[[Mapping[str, Any]], None],
    ) -> dict[str, Any]:
        while True:
            if not connection.poll(timeout_s):
                raise TimeoutError
            message = receive(connection)
            if "event" not in message:
                return message
            on_event(message["event"])

    def _connection(self) -> Connection:
        """Return a connection to a worker that lives; one is started if need be."""
        with self._lock:
            if self._is_closed:
                raise WorkerError("this connection to the index worker was closed")
            while self._idle:
                connection = self._idle.pop()
                if not connection.poll():
                    return connection
                connection.close()  # nobody is asking: what can be read is the end of a worker
        return self._try_connect() or self._start_worker()

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if self._is_closed:
                connection.close()
            else:
                self._idle.append(connection)

    def _try_connect(self) -> Connection | None:
        try:
            connection = Client(self._meeting.address, self._meeting.family)
        except OSError:
            return None
        with contextlib.suppress(EOFError, OSError):
            if connection.poll(_GREETING_S) and receive(connection).get("protocol") == PROTOCOL:
                return connection
        connection.close()
        return None

    def _start_worker(self) -> Connection:
        """Start a worker and wait until it answers; if two clients do, the loser's ends by itself."""
        if self._start is None:
            raise WorkerError("no index worker is running")
        deadline = time.monotonic() + _START_S
        process = self._spawn(self._start)
        while time.monotonic() < deadline:
            if connection := self._try_connect():
                # Someone must wait for it, or it stays a zombie when it ends before this process.
                threading.Thread(target=process.wait, daemon=True, name="reap index worker").start()
                return connection
            with contextlib.suppress(subprocess.TimeoutExpired):
                if process.wait(timeout=0.02) != 0:
                    raise self._failure(
                        f"the index worker ended at its start with status {process.returncode}"
                    )
                process = self._spawn(self._start)  # it found another, which has ended since
        process.kill()
        process.wait()
        raise self._failure(f"the index worker did not answer within {_START_S:.0f} s")

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        try:
            return spawn_detached(
                command,
                log_file=self._meeting.log_file,
                folder=self._index_dir,
                environment=_WORKER_ENVIRONMENT,
            )
        except OSError as error:
            raise WorkerError(f"cannot start the index worker {command[0]}: {error.strerror}") from error

    def _failure(self, what: str) -> WorkerError:
        """Return an error with the last line of the worker's log."""
        line = last_log_line(self._meeting.log_file)
        said = f"{what}: {line}" if line else what
        return WorkerError(f"{said} (log: {self._meeting.log_file})")


def worker_pid(index_dir: Path, runtime_dir: Path) -> int | None:
    """Return the process id of the index worker that runs, None if none does.

    Raises:
        StoreError: The folder of its socket cannot be made.
    """
    meeting = index_meeting(index_dir, runtime_dir)
    with contextlib.suppress(OSError, EOFError), Client(meeting.address, meeting.family) as connection:
        if connection.poll(_GREETING_S):
            return int(receive(connection)["pid"])
    return None
