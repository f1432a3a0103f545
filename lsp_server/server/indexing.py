"""Keeps one repository's index up to date in the background, for all connections that have it open.

A thread of its own asks the index worker: first for a run over the repository, then for the files that
changed, a few at a time or, after a branch switch, by another run. What changes meanwhile waits and is never
lost: a failed update becomes a run. Retrieval goes past it all and answers from what is indexed so far.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, Protocol

from indexer.errors import IndexerError, WorkerError
from indexer.report import VECTORS_TO_BE_MADE, IndexProgress, IndexStatus, IndexSummary
from indexer.types import Definition, RelatedQuery, RetrievalQuery, RetrievalResult
from lsp_server.server.overlaying import Overlaying

__all__ = ["IndexAsker", "IndexState", "RepositoryIndex"]

MOST_FILES_AT_ONCE: Final = 100
"""More changed files than this are looked for by a run, which stays at low priority."""
_SETTLE_S: Final = 0.3
"""Quiet time after a change before it is read: a checkout writes many files, an editor one file twice."""
_LONGEST_SETTLING_S: Final = 3.0
_FIRST_RETRY_S: Final = 5.0
_LAST_RETRY_S: Final = 300.0
_PHASES: Final[Mapping[str, tuple[int, int]]] = {"parse": (0, 70), "embed": (70, 100)}
"""Between which percentages of a run these phases lie; what the others take is nothing beside them."""


class IndexAsker(Protocol):
    """What is asked of the index worker; `indexer.client.IndexClient` is the real one."""

    def index(
        self, root: Path, *, on_progress: Callable[[IndexProgress], None] | None = None, force: bool = False
    ) -> IndexSummary:
        """Bring a repository's index up to date."""
        ...

    def update(self, root: Path, paths: Collection[str]) -> object:
        """Bring the index up to date with a few changed files."""
        ...

    def status(self, root: Path) -> IndexStatus:
        """Return what a repository's index holds."""
        ...

    def retrieve(self, root: Path, query: RetrievalQuery) -> RetrievalResult:
        """Return what a cursor needs."""
        ...

    def overlay(self, root: Path, path: str, text: str | None) -> None:
        """Have retrieval take a buffer's text for its file's; None gives the file back to the disk."""
        ...

    def related(self, root: Path, query: RelatedQuery) -> tuple[Definition, ...]:
        """Return what an open file is likely to need soon."""
        ...


@dataclass(frozen=True, slots=True)
class IndexState:
    """How far a repository's index is."""

    root: Path
    kind: Literal["waiting", "indexing", "ready", "cancelled", "failed"]
    phase: str = ""
    n_done: int = 0
    n_total: int = 0
    message: str = ""
    """What it holds, or what went wrong."""

    @property
    def percentage(self) -> int | None:
        """How much of the run is done, never less than before; None while nobody knows."""
        if self.phase not in _PHASES or not self.n_total:
            return None
        first, last = _PHASES[self.phase]
        return first + (last - first) * min(self.n_done, self.n_total) // self.n_total


class _CancelledRun(Exception):  # noqa: N818 - a way to stop, not an error
    """The run in progress is no longer wanted."""


class RepositoryIndex:
    """One repository's index; its methods may be called from any thread."""

    def __init__(
        self,
        root: Path,
        connect: Callable[[], IndexAsker],
        on_change: Callable[[IndexState], None],
        *,
        on_update: Callable[[], None] = lambda: None,
        settle_s: float = _SETTLE_S,
    ) -> None:
        """Start the thread, and with it a run.

        Args:
            root: The repository's folder.
            connect: Returns what is asked; called in the thread, again after it failed.
            on_change: Told each new state, in the thread.
            on_update: Called when changed files were read, in the thread, before anybody is told.
            settle_s: Quiet time after a change before it is read.
        """
        self._on_update = on_update
        self.root = root
        self._connect = connect
        self._on_change = on_change
        self._settle_s = settle_s
        self._changed = threading.Condition()
        self._asker: IndexAsker | None = None
        self._state = IndexState(root, "waiting")
        self._wants_run: Literal["no", "yes", "forced"] = "yes"
        self._pending: set[str] = set()
        self._is_running = self._is_run_cancelled = self._is_stopping = False
        self.buffers = Overlaying(self._overlay)
        """Open ones, which retrieval sees in place of their files."""
        self._untold: dict[str, str | None] = {}
        """Of them, what is to be told once there is somebody to be told."""
        self._last_change = 0.0
        self._retry_s = 0.0
        self._thread = threading.Thread(target=self._work, name=f"index-{root.name}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> IndexState:
        """How far the index is."""
        return self._state

    def retrieve(self, query: RetrievalQuery) -> RetrievalResult:
        """Return what a cursor needs, from what is indexed and overlaid so far.

        Where it lacks vectors that could be made by now, since a model was installed, a run makes them.

        Raises:
            IndexerError: The index cannot be asked, or not yet.
        """
        if self._asker is None:
            raise WorkerError("the index is not open yet")
        self.buffers.wait()
        result = self._asker.retrieve(self.root, query)
        if result.unavailable.get("vector") == VECTORS_TO_BE_MADE and self._state.kind == "ready":
            with self._changed:
                if not self._is_running and self._wants_run == "no":
                    self._ask_for_run()
                    self._changed.notify_all()
        return result

    def related(self, query: RelatedQuery) -> Sequence[Definition]:
        """Return what an open file is likely to need soon.

        Raises:
            IndexerError: The index cannot be asked, or not yet.
        """
        if self._asker is None:
            raise WorkerError("the index is not open yet")
        return self._asker.related(self.root, query)

    def change(self, paths: Iterable[str]) -> None:
        """Note files that were saved, created or deleted (POSIX paths relative to the root)."""
        with self._changed:
            self._pending.update(paths)
            self._last_change = time.monotonic()
            if len(self._pending) > MOST_FILES_AT_ONCE:
                self._ask_for_run()
            self._changed.notify_all()

    def reindex(self, *, force: bool = False) -> None:
        """Look for changes in all files; with `force`, parse those that did not change too."""
        with self._changed:
            self._ask_for_run(force=force)
            self._retry_s = 0.0
            self._changed.notify_all()

    def cancel_run(self) -> None:
        """End the run in progress at its next batch; what it wrote stays."""
        with self._changed:
            self._is_run_cancelled = self._is_running
            self._changed.notify_all()

    def wait_until_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until all that is known of is indexed; return whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not (self._is_running or self._pending or self._wants_run != "no"), timeout_s
            )

    def close(self, timeout_s: float = 2.0) -> None:
        """End the thread, and the run that it may wait for."""
        with self._changed:
            self._is_stopping = self._is_run_cancelled = True
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _overlay(self, path: str, text: str | None) -> None:
        with self._changed:
            if (asker := self._asker) is None:
                self._untold[path] = text
        if asker is not None:
            self._tell_overlay(asker, path, text)

    def _tell_overlay(self, asker: IndexAsker, path: str, text: str | None) -> None:
        with contextlib.suppress(IndexerError):
            asker.overlay(self.root, path, text)

    def _opened(self) -> IndexAsker:
        """Return what is asked, from the first time on connected and told of the buffers that wait."""
        if self._asker is not None:
            return self._asker
        asker = self._connect()
        while True:
            with self._changed:
                if not self._untold:
                    self._asker = asker
                    return asker
                path, text = self._untold.popitem()
            self._tell_overlay(asker, path, text)

    def _ask_for_run(self, *, force: bool = False) -> None:
        self._wants_run = "forced" if force or self._wants_run == "forced" else "yes"

    def _work(self) -> None:
        while (task := self._next_task()) is not None:
            run, paths = task
            try:
                asker = self._opened()
                if run != "no":
                    self._run(asker, force=run == "forced")
                else:
                    asker.update(self.root, paths)
                    self._count(asker)
                    self._on_update()
            except _CancelledRun:
                self._become(
                    "cancelled",
                    message="indexing was cancelled; reindexing goes on with it",
                )
            except Exception as error:  # noqa: BLE001 - a thread that ends would lose every change to come
                self._fail(error)
            else:
                self._retry_s = 0.0
            with self._changed:
                self._is_running = False
                self._changed.notify_all()

    def _next_task(self) -> tuple[str, set[str]] | None:
        """Wait for something to do; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or self._pending or self._wants_run != "no")
            if self._retry_s:
                self._changed.wait_for(lambda: self._is_stopping or not self._retry_s, self._retry_s)
            elif self._wants_run == "no":
                self._settle()
            if self._is_stopping:
                return None
            run, paths = self._wants_run, self._pending
            self._wants_run, self._pending = "no", set()
            self._is_running, self._is_run_cancelled = True, False
            return run, paths

    def _settle(self) -> None:
        """Wait until nothing has changed for a moment, but not for ever."""
        deadline = time.monotonic() + min(_LONGEST_SETTLING_S, 10 * self._settle_s)
        while not self._is_stopping and self._wants_run == "no":
            now = time.monotonic()
            wait_s = min(self._last_change + self._settle_s, deadline) - now
            if wait_s <= 0:
                return
            self._changed.wait(wait_s)

    def _run(self, asker: IndexAsker, *, force: bool) -> None:
        def on_progress(progress: IndexProgress) -> None:
            if self._is_run_cancelled:
                raise _CancelledRun
            self._become("indexing", progress.phase, progress.n_done, progress.n_total)

        self._become("indexing", "scan")
        summary = asker.index(self.root, on_progress=on_progress, force=force)
        if not summary.is_complete:
            raise _CancelledRun
        self._on_update()
        self._become("ready", message="; ".join([_held(summary), *summary.notes]))

    def _count(self, asker: IndexAsker) -> None:
        """Have the state say what the index holds after an update; nobody is told, all else is as it was."""
        if self._state.kind != "ready":
            return
        status = asker.status(self.root)
        notes = [f"no vectors: {status.no_vectors}"] if status.no_vectors and status.n_definitions else []
        self._state = replace(self._state, message="; ".join([_held(status), *notes]))

    def _fail(self, error: Exception) -> None:
        text = str(error) if isinstance(error, IndexerError) else f"{type(error).__name__}: {error}"
        with self._changed:
            self._ask_for_run()  # whatever was to be read is found by it
            self._retry_s = min(_LAST_RETRY_S, 2 * self._retry_s or _FIRST_RETRY_S)
        self._become("failed", message=text)

    def _become(
        self, kind: Literal["indexing", "ready", "cancelled", "failed"],
        phase: str = "", n_done: int = 0, n_total: int = 0, message: str = "",
    ) -> None:  # fmt: skip
        self._state = replace(
            self._state, kind=kind, phase=phase, n_done=n_done, n_total=n_total, message=message
        )
        self._on_change(self._state)


def _held(counts: IndexSummary | IndexStatus) -> str:
    return f"{counts.n_definitions} definitions in {counts.n_files} files"
