"""The folder that installed models lie in: names, locks, and changes that are whole or not at all.

    models/
      qwen2.5-coder-0.5b/     an installed model
      .downloads/NAME/        what is being fetched; survives an interruption, so that it is resumed
      .converting/NAME/       a conversion under way, or what a dead process left of one
      .replaced/NAME/         the former model, for the moment between two renames
      .removed/NAME/          on its way out
      .locks/NAME.lock        held by whoever works on that model

A model appears under its name by one rename, after all its files are on the disk: there is never half a
model. What lies in a hidden folder while the model's lock can be had belongs to nobody and is cleared,
downloads excepted. This file does not know what a model consists of.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from model.disk import disk_errors, folder_bytes, sync_directory
from model.types import OnProgress, Progress

_WAIT_POLL_S = 0.2


class Shelf:
    """The models folder; see the module for its layout.

    Args:
        folder: It is made, for its owner alone, by the first change.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def model(self, name: str) -> Path:
        """Return where the model of that name lies or would lie."""
        return self.folder / name

    def downloads(self, name: str) -> Path:
        """Return where downloads for that model grow."""
        return self._hidden("downloads", name)

    def names(self) -> tuple[str, ...]:
        """Return the names of all models, sound or not."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.folder.iterdir() if self.holds(path.name)))

    def holds(self, name: str) -> bool:
        """Return whether there is a model of that name; a name that leads elsewhere is none."""
        return Path(name).name == name and not name.startswith(".") and self.model(name).is_dir()

    @contextmanager
    def locked(self, name: str, on_progress: OnProgress, what: str) -> Iterator[None]:
        """Hold the lock of one model, after waiting for whoever works on it, and clear what the dead left.

        Args:
            name: The model.
            on_progress: Told once when there is somebody to wait for.
            what: The work, for the message when the disk says no.

        Raises:
            StoreError: the folder cannot be written.
            DiskSpaceError: the disk is full; both also for what is done under the lock.
        """
        with disk_errors(self.folder, what):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = self._lock(name)
            try:
                lock.acquire()
            except Timeout:
                on_progress(Progress("wait", 0, 0, f"another process works on {name}"))
                lock.acquire(timeout=-1, poll_interval=_WAIT_POLL_S)
            try:
                self._clear_stale(name)
                yield
            finally:
                lock.release()

    def converting(self, name: str) -> Path:
        """Return a new, empty folder to make a model in; the caller holds the lock."""
        folder = self._hidden("converting", name)
        folder.mkdir(parents=True)
        return folder

    def publish(self, name: str, made: Path) -> None:
        """Give the folder `made` the model's name; one that had it goes. The caller holds the lock."""
        folder = self.model(name)
        former = self._set_aside(folder, "replaced") if folder.exists() else None
        made.rename(folder)
        sync_directory(self.folder)
        if former is not None:
            shutil.rmtree(former, ignore_errors=True)

    def discard(self, name: str) -> int:
        """Remove a model and its downloads, and return the bytes freed; the caller holds the lock."""
        freed = 0
        for folder in (self.model(name), self.downloads(name)):
            if folder.exists():
                freed += folder_bytes(folder)
                # Renamed first: from then on nobody finds half a model.
                shutil.rmtree(self._set_aside(folder, "removed"))
        return freed

    def _set_aside(self, folder: Path, kind: str) -> Path:
        aside = self._hidden(kind, folder.name)
        aside.parent.mkdir(exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        return folder.rename(aside)

    def _clear_stale(self, held: str) -> None:
        """Clear what dead processes left of any model; `held` is the one whose lock we have."""
        for kind in ("converting", "removed", "replaced"):
            for left in sorted(self._hidden(kind, "").glob("*")):
                if left.name == held:
                    self._clear(left, kind)
                    continue
                try:
                    with self._lock(left.name):
                        self._clear(left, kind)
                except Timeout:
                    continue  # somebody is at work there

    def _clear(self, left: Path, kind: str) -> None:
        if kind == "replaced" and not self.model(left.name).exists():
            left.rename(self.model(left.name))  # died between the two renames of `publish`
        else:
            shutil.rmtree(left, ignore_errors=True)

    def _lock(self, name: str) -> FileLock:
        path = self._hidden("locks", f"{name}.lock")
        path.parent.mkdir(exist_ok=True)
        return FileLock(path, timeout=0)

    def _hidden(self, kind: str, name: str) -> Path:
        return self.folder / f".{kind}" / name
