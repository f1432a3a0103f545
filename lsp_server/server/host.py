"""What all connections of a process share: one model, one index a repository, one file of statistics.

Everything here runs in threads of its own and calls back from them; a connection hears of it in its own event
loop. Knows no protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lsp_server.config import Settings
from lsp_server.server.completing import CompletingModel
from lsp_server.server.indexing import IndexAsker, IndexState, RepositoryIndex
from lsp_server.server.model_thread import ModelState, ModelThread
from lsp_server.server.statistics import Statistics
from lsp_server.server.watching import FileWatcher, concerns

__all__ = ["Host", "Listener"]


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """Who is told of changes, in an event loop."""

    loop: asyncio.AbstractEventLoop
    on_model: Callable[[ModelState], None]
    on_index: Callable[[IndexState], None]
    """Told of the repositories that the listener has open."""
    on_problem: Callable[[str], None]
    """Told what a user should know, each cause once."""


@dataclass(slots=True)
class _OpenRepository:
    index: RepositoryIndex
    users: list[Listener] = field(default_factory=list)
    watcher: FileWatcher | None = None


class Host:
    """The shared objects; its methods may be called from any thread."""

    def __init__(  # noqa: PLR0913 - what a process has one of each
        self,
        settings: Settings,
        load_model: Callable[[Callable[[str], None]], CompletingModel],
        connect_index: Callable[[], IndexAsker],
        statistics: Statistics,
        *,
        problems: Iterable[str] = (),
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin to load the model.

        Args:
            settings: The user's.
            load_model: Returns the model, given what to call with problems; called in a thread.
            connect_index: Returns what answers for indexes; called in a thread.
            statistics: Counts suggestions; closed with the host.
            problems: What every user should know already, such as settings that cannot be read.
            on_ready: Called once the model is loaded and wanted, before anybody hears of it.
        """
        self.settings = settings
        self.statistics = statistics
        self.aside = ThreadPoolExecutor(1, thread_name_prefix="aside")
        """Does, one after the other, what is too long for an event loop and wanted by nobody at once."""
        self._connect_index = connect_index
        self._lock = threading.Lock()
        self._connecting = threading.Lock()  # a lock of its own: starting the worker takes seconds
        self._listeners: list[Listener] = []
        self._repositories: dict[Path, _OpenRepository] = {}
        self._asker: IndexAsker | None = None
        self._problems = list(problems)
        self._on_ready = on_ready
        self.model = ModelThread(lambda: load_model(self._tell_problem), self._tell_model)
        self.model.start()

    def listen(self, listener: Listener) -> None:
        """Tell a connection of every change from now on, and of the problems so far."""
        with self._lock:
            self._listeners.append(listener)
            problems = list(self._problems)
        for problem in problems:
            _call(listener, listener.on_problem, problem)

    def leave(self, listener: Listener) -> None:
        """Forget a connection, and close what only it had open."""
        with self._lock:
            if listener in self._listeners:  # `close` may have come first
                self._listeners.remove(listener)
            roots = [root for root, one in self._repositories.items() if listener in one.users]
        for root in roots:
            self.close_repository(root, listener)

    def open_repository(self, root: Path, listener: Listener, *, watch: bool) -> RepositoryIndex:
        """Return a repository's index, which is brought up to date if this is the first to open it.

        Args:
            root: Its folder.
            listener: Who opens it; once is enough.
            watch: Whether nobody else tells what changes on the disk.
        """
        with self._lock:
            repository = self._repositories.get(root)
            if repository is None:
                index = RepositoryIndex(
                    root, self._connected, self._tell_index, on_update=self._forget_foreseen
                )
                repository = self._repositories[root] = _OpenRepository(index)
            if listener not in repository.users:
                repository.users.append(listener)
            if watch and repository.watcher is None:
                repository.watcher = FileWatcher(root, self.note_changes)
            return repository.index

    def close_repository(self, root: Path, listener: Listener) -> None:
        """Give a repository up; the last one to do so ends whatever runs for it."""
        with self._lock:
            repository = self._repositories.get(root)
            if repository is None or listener not in repository.users:
                return
            repository.users.remove(listener)
            if repository.users:
                return
            del self._repositories[root]
        _close(repository)

    def index_of(self, root: Path | None) -> RepositoryIndex | None:
        """Return the index of a repository that somebody has open."""
        with self._lock:
            repository = self._repositories.get(root) if root is not None else None
            return repository.index if repository is not None else None

    def note_changes(self, paths: Iterable[Path]) -> None:
        """Take up what changed on the disk, in whatever repositories it lies."""
        changed = list(paths)
        with self._lock:
            repositories = list(self._repositories.items())
        for root, repository in repositories:
            names, is_wide = concerns(root, changed)
            if is_wide:
                repository.index.reindex()
            if names:
                repository.index.change(names)

    def close(self) -> None:
        """End everything."""
        with self._lock:
            repositories = list(self._repositories.values())
            self._repositories.clear()
            self._listeners.clear()
        for repository in repositories:
            _close(repository)
        self.aside.shutdown(wait=False, cancel_futures=True)
        self.model.close()
        self.statistics.close()
        close = getattr(self._asker, "close", None)
        if close is not None:
            close()

    def _connected(self) -> IndexAsker:
        with self._connecting:
            if self._asker is None:
                self._asker = self._connect_index()
            return self._asker

    def _tell_model(self, state: ModelState) -> None:
        if state.kind == "ready":
            self._on_ready()
        for listener in self._everyone():
            _call(listener, listener.on_model, state)

    def _tell_index(self, state: IndexState) -> None:
        with self._lock:
            repository = self._repositories.get(state.root)
            users = list(repository.users) if repository is not None else []
        for listener in users:
            _call(listener, listener.on_index, state)

    def _forget_foreseen(self) -> None:
        if self.model.state.kind == "ready":
            self.model.submit(lambda model: model.definitions_changed())

    def _tell_problem(self, text: str) -> None:
        with self._lock:
            if text in self._problems:
                return
            self._problems.append(text)
        for listener in self._everyone():
            _call(listener, listener.on_problem, text)

    def _everyone(self) -> list[Listener]:
        with self._lock:
            return list(self._listeners)


def _call(listener: Listener, function: Callable[..., None], value: object) -> None:
    with contextlib.suppress(RuntimeError):  # its loop has ended
        listener.loop.call_soon_threadsafe(function, value)


def _close(repository: _OpenRepository) -> None:
    if repository.watcher is not None:
        repository.watcher.close()
    # its thread may wait for an answer of the worker's
    threading.Thread(target=repository.index.close, daemon=True, name="close-index").start()
