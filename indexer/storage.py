"""Private folders, and one way from what disk and database say to the errors that a user reads.

This file does not know what is stored.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import DamagedStoreError, DiskSpaceError, StoreError

_NO_SPACE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
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
        raise StoreError(f"cannot use {path}: {error.strerror or error}") from error


def _from_sqlite(error: sqlite3.Error, path: Path) -> StoreError | DiskSpaceError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None  # extended codes keep the primary one in the low byte
    if primary == sqlite3.SQLITE_FULL:
        return _no_space(path)
    if primary in _DAMAGE_CODES:
        return DamagedStoreError(f"{path} is damaged ({error})", path)
    if primary in _NO_WRITE_CODES:
        return StoreError(f"cannot write {path} ({error}); make the folder writable, or choose another cache")
    if primary == sqlite3.SQLITE_BUSY:
        return StoreError(f"{path} is in use by another process ({error}); try again when it is done")
    return StoreError(f"cannot use {path}: {error}")


def _no_space(path: Path) -> DiskSpaceError:
    return DiskSpaceError(f"the disk that holds {path} is full; free some room and run this again")
