"""Folders as they must be, and one way from what disk and database say to the errors that a user reads.

This file does not know what is stored.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import DamagedStoreError, DiskSpaceError, RootError, StoreError

_NO_SPACE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_WRITE_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_WRITE_CURE = "make the folder writable, or choose another one for the cache (XDG_CACHE_HOME)"
_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NO_WRITE_CODES = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})


def private_folder(folder: Path) -> Path:
    """Create `folder` and its missing parents for the user alone (0700), and return it.

    Raises:
        StoreError: It cannot be created, or is not a folder.
        DiskSpaceError: There is no room for it.
    """
    with storage_errors(folder):
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
    with storage_errors(folder):
        status = folder.lstat()
        if status.st_uid != os.getuid() or stat.S_ISLNK(status.st_mode):
            raise StoreError(
                f"{folder} belongs to someone else or is a link: set XDG_RUNTIME_DIR to a folder of your own"
            )
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    return folder


def checked_root(root: Path) -> Path:
    """Return the absolute path of a repository's folder.

    Raises:
        RootError: It is missing, not a folder, or not readable.
    """
    try:
        resolved = root.resolve(strict=True)
        if not resolved.is_dir():
            raise RootError(f"{root} is a file, not a folder; name the folder of the repository")
        with os.scandir(resolved):
            return resolved
    except FileNotFoundError:
        raise RootError(f"{root} does not exist") from None
    except OSError as error:
        raise RootError(f"{root} cannot be read: {error.strerror}") from error
    except RuntimeError:
        raise RootError(f"{root} is a link that leads back to itself") from None


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system raise inside of the block into this package's errors.

    A broken constraint and a wrong statement are mistakes of ours and pass as they are.

    Raises:
        DiskSpaceError: The disk is full, or the user's share of it is.
        DamagedStoreError: The file at `path` is damaged; it can be moved aside and made again.
        StoreError: The file cannot be read or written for another reason.
    """
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.Error as error:
        raise _from_sqlite(error, path) from error
    except OSError as error:
        if error.errno in _NO_SPACE_ERRNOS:
            raise _no_space(path) from error
        cure = f"; {_NO_WRITE_CURE}" if error.errno in _NO_WRITE_ERRNOS else ""
        raise StoreError(f"cannot use {path}: {error.strerror or error}{cure}") from error


def _from_sqlite(error: sqlite3.Error, path: Path) -> StoreError | DiskSpaceError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None  # extended codes keep the primary one in the low byte
    if primary == sqlite3.SQLITE_FULL:
        return _no_space(path)
    if primary in _DAMAGE_CODES:
        return DamagedStoreError(f"{path} is damaged ({error})", path)
    if primary in _NO_WRITE_CODES:
        return StoreError(f"cannot write {path} ({error}); {_NO_WRITE_CURE}")
    if primary == sqlite3.SQLITE_BUSY:
        return StoreError(f"{path} is in use by another process ({error}); try again when it is done")
    return StoreError(f"cannot use {path}: {error}")


def _no_space(path: Path) -> DiskSpaceError:
    return DiskSpaceError(f"the disk that holds {path} is full; free some room and run this again")
