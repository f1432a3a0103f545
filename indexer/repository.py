"""Where one repository's index lies, and who owns it.

An index is a folder: `root.json`, `catalogue.sqlite`, and `vectors/`. Whoever writes it holds its lock. This
file does not know how an index is filled or asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import filelock

from indexer.errors import LockedError
from indexer.folders import private_folder
from indexer.storage import storage_errors

_LOCK_FILE = "lock"
_HOLDER_FILE = "holder.json"
_ROOT_FILE = "root.json"


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """The folder that holds the index of the repository at `root`."""

    root: Path
    """Absolute, without links."""
    folder: Path

    @classmethod
    def of(cls, index_dir: Path, root: Path) -> Self:
        """Return the folder of a repository's index, which need not exist yet; nor need the repository.

        The name is readable and, by a hash of the whole path, unique.
        """
        resolved = Path(os.path.realpath(root))  # unlike resolve(), never fails over links in a circle
        digest = hashlib.sha256(os.fsencode(resolved)).hexdigest()[:16]
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", resolved.name)[:40].strip(".-") or "root"
        return cls(resolved, index_dir.absolute() / f"{slug}-{digest}")

    @classmethod
    def all_in(cls, index_dir: Path) -> tuple[Self, ...]:
        """Return every index below `index_dir`, by the paths of their repositories."""
        found = []
        for file in sorted(index_dir.glob(f"*/{_ROOT_FILE}")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found.append(cls(Path(json.loads(file.read_text("utf-8"))["root"]), file.parent))
        return tuple(sorted(found, key=lambda index: index.root))

    @property
    def catalogue_file(self) -> Path:
        """The SQLite file."""
        return self.folder / "catalogue.sqlite"

    @property
    def vectors_folder(self) -> Path:
        """The folder of the embedded vector store."""
        return self.folder / "vectors"

    @property
    def collection(self) -> str:
        """The name of the repository's collection, the same in an embedded store and on a server."""
        return f"crosslight-{self.folder.name[-16:]}"

    def exists(self) -> bool:
        """Return whether there is an index, finished or not."""
        return self.catalogue_file.exists()

    def create(self) -> None:
        """Make the folder, and note in it which repository it belongs to.

        Raises:
            StoreError: It cannot be made.
            DiskSpaceError: There is no room.
        """
        private_folder(self.folder)
        file = self.folder / _ROOT_FILE
        if not file.exists():
            with storage_errors(file):
                unfinished = file.with_suffix(".new")  # a full disk must not leave an empty file of that name
                unfinished.write_text(json.dumps({"root": str(self.root)}), "utf-8")
                unfinished.replace(file)

    def disk_bytes(self) -> int:
        """Return how much room the index takes."""
        total = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(OSError):  # journals come and go
                    total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - many files
        return total

    def remove(self) -> int:
        """Delete the index and return how many bytes that freed; the caller holds the lock.

        Raises:
            StoreError: Something in it cannot be deleted.
        """
        freed = self.disk_bytes()
        with storage_errors(self.folder):
            for path in self.folder.iterdir() if self.folder.exists() else ():
                if path.name == _LOCK_FILE:
                    continue  # held, and the next owner may be waiting on it
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return freed

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Own the index for the length of the block.

        Raises:
            LockedError: Another process owns it; the message says which.
            StoreError: The folder cannot be written.
        """
        self.create()
        lock = filelock.FileLock(self.folder / _LOCK_FILE, mode=0o600, thread_local=False)
        holder = self.folder / _HOLDER_FILE
        with storage_errors(self.folder):
            try:
                lock.acquire(blocking=False)
            except filelock.Timeout:
                who = _describe_holder(holder)
                raise LockedError(
                    f"the index of {self.root} is in use by {who}; wait for it, or end it"
                ) from None
        try:
            with storage_errors(holder):
                holder.write_text(json.dumps({"pid": os.getpid()}), "utf-8")
            yield
        finally:
            with contextlib.suppress(OSError):
                holder.unlink(missing_ok=True)
            lock.release()


def _describe_holder(holder: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return f"process {int(json.loads(holder.read_text('utf-8'))['pid'])}"
    return "another process"
