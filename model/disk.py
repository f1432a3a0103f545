"""Files on the disk: whether there is room, what is really written, how large it is, and its sha256.

This file knows nothing of models; what the operating system says it turns into an error that has a cure.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import DiskSpaceError, StoreError

OnBytes = Callable[[int], None]
"""Told how many bytes are done, after each block."""

_BLOCK_BYTES = 1 << 20
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST})


def human_bytes(n_bytes: float) -> str:
    """Return a size for people, in powers of 1000 as disks are sold: `491 MB`, `1.4 GB`."""
    for unit in ("bytes", "kB", "MB"):
        if abs(n_bytes) < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"


def require_free(folder: Path, needed_bytes: int, what: str) -> None:
    """Check that the disk under `folder` has room, before anything is begun.

    Raises:
        DiskSpaceError: less than `needed_bytes` are free.
    """
    free = _free_bytes(folder)
    if free < needed_bytes:
        raise _full(folder, f"{what} needs {human_bytes(needed_bytes)} free", free)


@contextmanager
def disk_errors(folder: Path, what: str, needed_bytes: int | None = None) -> Iterator[None]:
    """Turn a full or a read-only disk, met while writing under `folder`, into an error with its cure.

    Raises:
        DiskSpaceError: the disk, or the user's share of it, is full.
        StoreError: the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            needs = "ran out of disk" if needed_bytes is None else f"needs {human_bytes(needed_bytes)}"
            raise _full(folder, f"{what} {needs}", _free_bytes(folder)) from error
        if error.errno in _FORBIDDEN:
            raise StoreError(
                f"{what} cannot write in {folder} ({error.strerror}): make that folder yours to write, "
                "or choose another one for the models"
            ) from error
        raise


def sync_folder(folder: Path) -> None:
    """Have everything in `folder` on the disk before returning, so that a rename can make it official."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    sync_directory(folder)


def sync_directory(folder: Path) -> None:
    """Have the names in `folder` on the disk; where directories cannot be opened (Windows), do nothing."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def folder_bytes(folder: Path) -> int:
    """Return the summed size of the files in `folder`, 0 when it is not there."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def sha256_of(path: Path, on_bytes: OnBytes | None = None) -> str:
    """Return the sha256 of a file in lower-case hexadecimal digits.

    Raises:
        OSError: it could not be read.
    """
    digest = hashlib.sha256()
    n_bytes = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            n_bytes += len(block)
            if on_bytes is not None:
                on_bytes(n_bytes)
    return digest.hexdigest()


def _free_bytes(folder: Path) -> int:
    """Ask the nearest ancestor that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _full(folder: Path, needs: str, free_bytes: int) -> DiskSpaceError:
    return DiskSpaceError(
        f"{needs}, and {folder} has {human_bytes(free_bytes)} left: "
        "free some space there, or choose another folder for the models"
    )
