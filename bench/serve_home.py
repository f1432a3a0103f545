"""Folders, a repository and servers of nobody else, so that neither a user's index nor engine matters."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from latency.session import Session
from serve_client import Client

from indexer.client import worker_pid
from lsp_server.config import Settings
from lsp_server.paths import Folders

__all__ = ["Home", "as_far_apart_as_users_are", "new_home"]

CROSSLIGHT = str(Path(sys.executable).with_name("crosslight"))
N_LINES = 200_000
_OPTIONS = {"statistics": False}
_SUFFIXES = frozenset({".py", ".ts", ".tsx", ".js"})


@dataclass(frozen=True, slots=True)
class Home:
    """Folders of nobody else, in which servers are started."""

    folder: Path
    root: Path
    """The repository."""
    serve: tuple[str, ...]
    """The command."""

    @property
    def environment(self) -> dict[str, str]:
        """What the processes in this home are told."""
        places = {
            "XDG_RUNTIME_DIR": "run",
            "XDG_CACHE_HOME": "cache",
            "XDG_CONFIG_HOME": "config",
            "XDG_DATA_HOME": "data",
        }
        return os.environ | {name: str(self.folder / place) for name, place in places.items()}

    def run(self, *arguments: str) -> str:
        """Run a command, and return what it prints."""
        command = [CROSSLIGHT, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout

    def facts(self) -> dict[str, Any]:
        """Return what `crosslight engine status` tells."""
        facts: dict[str, Any] = json.loads(self.run("engine", "status", "--json"))
        return facts

    async def open(self) -> Client:
        """Start an editor window on the repository."""
        client = await Client.start(self.serve, self.environment)
        await client.initialize(self.root, _OPTIONS)
        return client

    def end(self, *, forget: Sequence[str]) -> None:
        """End whatever runs, and delete parts of the cache."""
        self.run("engine", "stop")
        self.run("index-worker", "--stop")
        for name in forget:
            shutil.rmtree(self.folder / "cache" / "crosslight" / name, ignore_errors=True)


@contextmanager
def new_home(sources: Path, sessions: Sequence[Session], *, standalone: bool) -> Iterator[Home]:
    """Make a home with the model and a repository of so many lines; end and delete all of it afterwards."""
    with tempfile.TemporaryDirectory(prefix="crosslight-", ignore_cleanup_errors=True) as name:
        folder = Path(name)  # a short path: sockets lie in it
        models = folder / "data" / "crosslight" / "models"
        models.mkdir(parents=True)
        model = Settings().model.name
        (models / model).symlink_to(Folders.of_user().models / model)
        (folder / "run").mkdir(mode=0o700)
        serve = (CROSSLIGHT, "serve", "--standalone" if standalone else "--stdio")
        home = Home(folder, folder / "workspace", serve)
        _write_repository(home.root, sources, sessions)
        try:
            yield home
        finally:
            home.end(forget=())


def _write_repository(root: Path, sources: Path, sessions: Sequence[Session]) -> None:
    """Copy packages, those of the sessions first, until there are enough lines; not what will be typed."""
    (root / ".git").mkdir(parents=True)
    used = {session.package for session in sessions}
    n_lines = 0
    for package in sorted(sources.iterdir(), key=lambda one: (one.name not in used, one.name)):
        if n_lines >= N_LINES and package.name not in used:
            break
        shutil.copytree(package, root / package.name, ignore=shutil.ignore_patterns(".git"))
        files = (file for file in (root / package.name).rglob("*") if file.suffix in _SUFFIXES)
        n_lines += sum(file.read_bytes().count(b"\n") for file in files)
    if n_lines < N_LINES:
        sys.exit(
            f"there are only {n_lines} lines in {sources}; run bench/latency/run.py and bench/quality first"
        )
    for session in sessions:
        (root / session.package / session.path).write_text(session.initial, "utf-8")


@asynccontextmanager
async def as_far_apart_as_users_are(home: Home) -> AsyncIterator[None]:
    """Keep indexing as far below the engine's priority as it is for users, whatever this bench's own is.

    Indexing sets its priority once, and not in relation to others.
    """
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    moving = asyncio.create_task(_move_indexing(home, mine)) if mine else None
    try:
        yield
    finally:
        if moving is not None:
            moving.cancel()


async def _move_indexing(home: Home, by: int) -> None:
    moved: set[int] = set()
    cache, runtime = home.folder / "cache" / "crosslight", home.folder / "run" / "crosslight"
    while True:
        pid = await asyncio.to_thread(worker_pid, cache / "index", runtime)
        if pid is not None:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):  # it has just ended
                for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
                    for thread in {one.id for one in process.threads()} - moved:
                        if (niceness := os.getpriority(os.PRIO_PROCESS, thread)) > 0:
                            os.setpriority(os.PRIO_PROCESS, thread, niceness + by)
                            moved.add(thread)
        await asyncio.sleep(0.5)
