"""Folders as they must be, and one way from what disk and database say to the errors that a user reads.

This file does not know what is stored.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import DamagedStoreError, DiskSpaceError, RootError, StoreError
from indexer.folders import NO_WRITE_CURE, no_space, os_errors

_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NO_WRITE_CODES = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})


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
        with os_errors(path):
            yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.Error as error:
        raise _from_sqlite(error, path) from error


def _from_sqlite(error: sqlite3.Error, path: Path) -> StoreError | DiskSpaceError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None  # extended codes keep the primary one in the low byte
    if primary == sqlite3.SQLITE_FULL:
        return no_space(path)
    if primary in _DAMAGE_CODES:
        return DamagedStoreError(f"{path} is damaged ({error})", path)
    if primary in _NO_WRITE_CODES:
        return StoreError(f"cannot write {path} ({error}); {NO_WRITE_CURE}")
    if primary == sqlite3.SQLITE_BUSY:
        return StoreError(f"{path} is in use by another process ({error}); try again when it is done")
    return StoreError(f"cannot use {path}: {error}")
