"""Folders that are the user's alone, and what the operating system says of files, as a user reads it.

Imports nothing heavy, since editors wait for what imports it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from indexer.errors import DiskSpaceError, StoreError

__all__ = ["NO_WRITE_CURE", "no_space", "os_errors", "own_folder", "private_folder"]

NO_WRITE_CURE: Final = "make the folder writable, or choose another one for the cache (XDG_CACHE_HOME)"
_NO_SPACE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_WRITE_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def private_folder(folder: Path) -> Path:
    """Create `folder` and its missing parents for the user alone (0700), and return it.

    Raises:
        StoreError: It cannot be created, or is not a folder.
        DiskSpaceError: There is no room for it.
    """
    with os_errors(folder):
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return folder


def own_folder(folder: Path) -> Path:
    """Create `folder` as `private_folder` does, and see to it that nobody else can put anything there.

    For what is trusted because of where it lies, such as a socket: in a shared place like /tmp anyone may
    have made the folder first.

    Raises:
        StoreError: It belongs to someone else, or is a link; or it cannot be created.
        DiskSpaceError: There is no room for it.
    """
    private_folder(folder)
    if os.name == "nt":
        return folder  # lies in the user's profile
    with os_errors(folder):
        status = folder.lstat()
        if status.st_uid != os.getuid() or stat.S_ISLNK(status.st_mode):
            raise StoreError(
                f"{folder} belongs to someone else or is a link: set XDG_RUNTIME_DIR to a folder of your own"
            )
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    return folder


@contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system raises inside of the block into this package's errors.

    Raises:
        DiskSpaceError: The disk is full, or the user's share of it is.
        StoreError: The file cannot be read or written for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE_ERRNOS:
            raise no_space(path) from error
        cure = f"; {NO_WRITE_CURE}" if error.errno in _NO_WRITE_ERRNOS else ""
        raise StoreError(f"cannot use {path}: {error.strerror or error}{cure}") from error


def no_space(path: Path) -> DiskSpaceError:
    """Return the error that says that a disk is full."""
    return DiskSpaceError(f"the disk that holds {path} is full; free some room and run this again")
