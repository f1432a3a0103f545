"""The index worker: the one process that owns the indexes of a user, and answers for them.

It listens on a socket that is the user's alone, takes one thread a connection, keeps a few repositories open,
and ends when nobody has asked for some time. This file does not know what is asked, nor how the process was
started.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, TypeVar

from indexer.courtesy import Courtesy
from indexer.errors import IndexerError, StoreError
from indexer.folders import private_folder
from indexer.open_index import EmbedderSource, OpenIndex
from indexer.rendezvous import Rendezvous, become_owner
from indexer.report import IndexProgress, IndexStatus
from indexer.repository import IndexFolder
from indexer.storage import checked_root, storage_errors
from indexer.types import Embedder
from indexer.vectors import ChromaServer, VectorStore
from indexer.wire import (
    PROTOCOL,
    Sent,
    error_to_json,
    index_meeting,
    query_from_json,
    receive,
    related_query_from_json,
    send,
)

_T = TypeVar("_T")

_MAX_OPEN = 4
"""Repositories kept open; each costs about 17 file handles, 6 threads, and its vectors in memory."""
_LOCK_PATIENCE_S = 10.0
_LEAVING_S = 1.0
_INDEXING_NICENESS = 10
_SECONDS_BEFORE_ACCEPTING_AGAIN = 0.1
_SECONDS_BETWEEN_LOOKS_FOR_VECTORS = 2.0


def serve(  # noqa: PLR0913 - each is one thing that the program decides
    index_dir: Path,
    runtime_dir: Path,
    *,
    make_embedder: Callable[[], Embedder | None],
    idle_s: float,
    server: ChromaServer | None = None,
    is_outdated: Callable[[], bool] = lambda: False,
) -> None:
    """Be the index worker of `index_dir`, until it is told to stop or nobody asks for `idle_s` seconds.

    Returns at once if another process already is. Changes the process: its working directory, its umask and
    its signal handlers.

    Args:
        index_dir: Holds one folder a repository.
        runtime_dir: Holds the socket and the log.
        make_embedder: Called when vectors are first needed; None means that there is no model.
        idle_s: How long to stay without a connection.
        server: A Chroma server to keep the vectors in, instead of in `index_dir`.
        is_outdated: Whether a new worker would be set up otherwise; this one then ends when it is left alone.

    Raises:
        StoreError: A folder or the socket cannot be made.
    """
    os.umask(0o077)
    meeting = index_meeting(index_dir, runtime_dir)
    private_folder(index_dir)
    os.chdir(index_dir)  # no `.env` of a workspace is ever the current directory's
    lock = become_owner(meeting, partial(_answers, meeting))
    if lock is None:
        return
    with lock, storage_errors(Path(meeting.address)):
        if meeting.family == "AF_UNIX":
            Path(meeting.address).unlink(missing_ok=True)  # a dead worker's: the lock is ours
        listener = Listener(meeting.address, meeting.family, backlog=64)
        worker = _Worker(index_dir, EmbedderSource(make_embedder), server, meeting.version)
        try:
            _run(worker, listener, idle_s, is_outdated)
        finally:
            worker.stopping.set()
            listener.close()
            worker.close()


def _answers(meeting: Rendezvous) -> bool:
    with contextlib.suppress(OSError, EOFError):
        Client(meeting.address, meeting.family).close()
        return True
    return False


def _run(worker: _Worker, listener: Listener, idle_s: float, is_outdated: Callable[[], bool]) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end_orderly)
    threading.Thread(target=_accept, args=(worker, listener), daemon=True, name="accept").start()
    while not worker.stopping.wait(min(1.0, idle_s / 4)):
        idle_for = worker.idle_for()
        if idle_for > idle_s or (idle_for > 0 and is_outdated()):
            return


def _end_orderly(number: int, _: object) -> None:
    """Unwind the main thread, which closes everything; a second signal must not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def _accept(worker: _Worker, listener: Listener) -> None:
    while not worker.stopping.is_set():
        try:
            connection = listener.accept()
        except OSError:  # closed; or out of file handles for a moment, or an asker that was gone at once
            worker.stopping.wait(_SECONDS_BEFORE_ACCEPTING_AGAIN)
            continue
        threading.Thread(target=worker.converse, args=(connection,), daemon=True, name="converse").start()


class _Worker:
    """The open repositories, and what may be asked of them."""

    def __init__(
        self, index_dir: Path, embedders: EmbedderSource, server: ChromaServer | None, version: str
    ) -> None:
        self.stopping = threading.Event()
        self._courtesy = Courtesy(self.stopping)
        self._index_dir = index_dir
        self._embedders = embedders
        self._server = server
        self._version = version
        self._lock = threading.Condition()
        self._open: OrderedDict[str, OpenIndex] = OrderedDict()  # least recently used first
        self._users: dict[str, int] = {}
        self._n_connections = 0
        self._last_left = time.monotonic()
        self._last_looked = -math.inf
        """For vectors that a retrieval lacked."""
        self._sent: dict[Connection, Sent] = {}
        self._methods: dict[str, Callable[[Connection, dict[str, Any]], Any]] = {
            "index": self._index,
            "update": self._update,
            "open": self._open_repository,
            "retrieve": self._retrieve,
            "related": self._related,
            "overlay": self._overlay,
            "search": self._search,
            "status": self._status,
            "remove": self._remove,
            "stop": self._stop,
        }

    def idle_for(self) -> float:
        """Return for how many seconds nobody has been connected."""
        with self._lock:
            return 0.0 if self._n_connections else time.monotonic() - self._last_left

    def close(self) -> None:
        """Wait for those who are asking, and close every index."""
        self.stopping.set()
        with self._lock:
            self._lock.wait_for(lambda: not any(self._users.values()), timeout=_LOCK_PATIENCE_S)
            while self._open:
                self._open.popitem()[1].close()

    def converse(self, connection: Connection) -> None:
        """Answer one connection until it ends."""
        with self._lock:
            self._n_connections += 1
            self._sent[connection] = Sent()
        try:
            with connection, contextlib.suppress(EOFError, OSError):
                if self.stopping.is_set():
                    return  # no greeting: whoever knocks starts another worker
                send(connection, {"protocol": PROTOCOL, "version": self._version, "pid": os.getpid()})
                while not self.stopping.is_set():
                    self._answer(connection, receive(connection))
        finally:
            with self._lock:
                self._n_connections -= 1
                self._lock.notify_all()
                del self._sent[connection]
                self._last_left = time.monotonic()

    def _answer(self, connection: Connection, request: dict[str, Any]) -> None:
        try:
            result = self._methods[request["method"]](connection, request["params"])
        except IndexerError as error:
            send(connection, {"error": error_to_json(error)})
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of the process: one bad answer must not end it
            sys.excepthook(type(error), error, error.__traceback__)  # to the log
            text = f"the index worker failed: {type(error).__name__}: {error}"
            send(connection, {"error": {"type": "WorkerError", "message": text}})
        else:
            send(connection, {"result": result})
            if request["method"] == "stop" and result:  # only now: the process may end at once
                self.stopping.set()

    def _index(self, connection: Connection, params: dict[str, Any]) -> dict[str, Any]:
        def on_progress(progress: IndexProgress) -> None:
            if not gone():
                with contextlib.suppress(OSError):
                    send(connection, {"event": asdict(progress)})

        def gone() -> bool:
            self._courtesy.give_way()  # asked between two batches
            # An asker that waits for its answer sends nothing: whatever can be read is the end.
            return self.stopping.is_set() or connection.poll()

        with self._using(checked_root(Path(params["root"]))) as index:
            build = partial(index.build, on_progress=on_progress, cancelled=gone, force=params["force"])
            return at_low_priority(build).to_json()

    def _update(self, _: Connection, params: dict[str, Any]) -> dict[str, Any]:
        with self._using(checked_root(Path(params["root"]))) as index:
            return asdict(index.update(params["paths"]))

    def _open_repository(self, connection: Connection, params: dict[str, Any]) -> dict[str, Any]:
        root = Path(params["root"])
        if IndexFolder.of(self._index_dir, root).exists():
            with self._using(root) as index:
                index.open_vectors()
        return self._status(connection, params)

    def _retrieve(self, connection: Connection, params: dict[str, Any]) -> dict[str, Any]:
        self._courtesy.asked()
        with self._using(Path(params["root"])) as index:
            result = index.retrieve(query_from_json(params["query"]))
        if "vector" in result.unavailable:
            self._look_for_vectors(Path(params["root"]))
        return self._sent[connection].result_to_json(result)

    def _related(self, _: Connection, params: dict[str, Any]) -> list[dict[str, Any]]:
        with self._using(Path(params["root"])) as index:
            return [asdict(found) for found in index.related(related_query_from_json(params["query"]))]

    def _overlay(self, _: Connection, params: dict[str, Any]) -> None:
        with self._using(Path(params["root"])) as index:
            index.overlay(params["path"], params["text"])

    def _search(self, _: Connection, params: dict[str, Any]) -> list[dict[str, Any]]:
        with self._using(Path(params["root"])) as index:
            return [asdict(row) for row in index.search(params["text"], params["n"])]

    def _status(self, _: Connection, params: dict[str, Any]) -> dict[str, Any]:
        folder = IndexFolder.of(self._index_dir, Path(params["root"]))
        if not folder.exists():
            return IndexStatus(str(folder.root), str(folder.folder), exists=False).to_json()
        with self._using(folder.root) as index:
            return index.status().to_json()

    def _remove(self, _: Connection, params: dict[str, Any]) -> int:
        folder = IndexFolder.of(self._index_dir, Path(params["root"]))
        key = str(folder.folder)
        with self._lock:
            if not self._lock.wait_for(lambda: not self._users.get(key), timeout=_LOCK_PATIENCE_S):
                raise StoreError(f"the index of {folder.root} is in use; try again when the run is done")
            if index := self._open.pop(key, None):
                index.close()
            if not folder.folder.exists():
                return 0
            with folder.locked():
                freed = folder.remove()
        if self._server is not None:
            VectorStore.drop(self._server, folder.collection)
        return freed

    def _stop(self, _: Connection, params: dict[str, Any]) -> bool:
        """Return whether the process ends, which comes after the answer; not where others need it still."""
        if not params.get("only_if_alone"):
            return True
        with self._lock:  # a program that has just ended is noticed a moment later
            return self._lock.wait_for(lambda: self._n_connections == 1, timeout=_LEAVING_S)

    @contextlib.contextmanager
    def _using(self, root: Path) -> Iterator[OpenIndex]:
        """Open an index, if it is not, and keep it open for the block."""
        folder = IndexFolder.of(self._index_dir, root)
        key = str(folder.folder)
        with self._lock:
            if key not in self._open:
                self._make_room()
                self._open[key] = OpenIndex(folder, self._embedders, self._server)
                # Retrieval must not wait for this, and will want it soon.
                threading.Thread(target=self._warm, args=(root,), daemon=True, name="warm").start()
            self._open.move_to_end(key)
            self._users[key] = self._users.get(key, 0) + 1
            index = self._open[key]
        try:
            yield index
        finally:
            with self._lock:
                self._users[key] -= 1
                self._lock.notify_all()

    def _look_for_vectors(self, root: Path) -> None:
        """See whether there are vectors by now, where a retrieval went without: a model may have come."""
        now = time.monotonic()
        with self._lock:
            if now - self._last_looked < _SECONDS_BETWEEN_LOOKS_FOR_VECTORS:
                return
            self._last_looked = now
        threading.Thread(target=self._warm, args=(root,), daemon=True, name="look for vectors").start()

    def _warm(self, root: Path) -> None:
        with contextlib.suppress(IndexerError), self._using(root) as index:
            index.open_vectors()

    def _make_room(self) -> None:
        for key in [key for key in self._open if not self._users.get(key)]:
            if len(self._open) < _MAX_OPEN:
                return
            self._open.pop(key).close()


def at_low_priority(work: Callable[[], _T]) -> _T:
    """Return what `work` does, in a thread that lets everything else go first, completions above all.

    Linux counts niceness by thread, and threads and children inherit it; it cannot be lowered again without a
    privilege, hence a thread that ends with the work. Elsewhere niceness is the whole process's, which also
    answers retrieval, so that nothing is changed there.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="index", initializer=_lower_priority) as thread:
        return thread.submit(work).result()


def _lower_priority() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _INDEXING_NICENESS)
