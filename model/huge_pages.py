"""Asks the system to hold what a model's load allocates in pages of two megabytes.

A step streams through all weights once. In pages of four kilobytes that is a hundred thousand addresses to be
translated, and the processor reads ahead to the end of a page and no further. Linux gives larger pages to
whoever asks for them (where `transparent_hugepage` is not `never`); onnxruntime does not ask. Best effort:
where it cannot be had, nothing changes but speed. Knows neither models nor onnxruntime.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["added_ranges", "huge_pages_for_what_is_allocated"]

Range = tuple[int, int]

_PAGE_BYTES: Final = 2 << 20
_HUGEPAGE, _COLLAPSE = 14, 25
"""Of madvise(2): pages touched from now on; pages touched already, at once (Linux 6.1)."""


@contextmanager
def huge_pages_for_what_is_allocated() -> Iterator[None]:
    """Move what this process allocates meanwhile, and keeps, into huge pages; does nothing but on Linux."""
    before = list(_anonymous())
    yield
    for start, end in added_ranges(before, _anonymous()):
        first, last = -(-start // _PAGE_BYTES) * _PAGE_BYTES, end // _PAGE_BYTES * _PAGE_BYTES
        if first < last:
            _advise(first, last - first)


def added_ranges(before: Iterable[Range], after: Iterable[Range]) -> Iterator[Range]:
    """Yield what ranges of addresses cover now and did not cover before; neighbours may have been merged."""
    held = sorted(before)
    for start, end in after:
        at = start
        for held_start, held_end in held:
            if held_end <= at or held_start >= end:
                continue
            if at < held_start:
                yield at, held_start
            at = max(at, held_end)
        if at < end:
            yield at, end


def _anonymous() -> Iterator[Range]:
    """Yield the ranges of memory that no file backs."""
    try:
        maps = Path("/proc/self/maps").read_bytes() if sys.platform == "linux" else b""
    except OSError:
        return
    for line in filter(None, maps.split(b"\n")):  # names of files may hold any other byte
        addresses, access, _, _, _, *name = line.split(maxsplit=5)
        if access == b"rw-p" and name in ([], [b"[heap]"]):
            start, end = (int(address, 16) for address in addresses.split(b"-"))
            yield start, end


def _advise(start: int, n_bytes: int) -> None:
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for advice in (_HUGEPAGE, _COLLAPSE):
        advise(start, n_bytes, advice)  # an error means that there is none to be had
