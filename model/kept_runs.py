"""Keys and values of tokens that left the buffer, kept to be copied back: a place just left is near at hand.

A run of tokens is worth as much as what stood before it in the buffer: its keys and values hold for exactly
that. So a run is kept with all entries before it, and is of use as far as what is asked for agrees with them.
What runs have in common is kept once. Knows neither documents nor what is bound to the decoder's runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt

from model.types import BufferPart, Memory

__all__ = ["Entry", "KeptRun", "KeptRuns", "entries_of", "n_in_common"]

Entry = tuple[str, int, int]
"""One entry of a buffer: the key of the memory that it came with (empty if it was computed there), its token
and its rotary position. Equal entries behind equal entries have equal keys and values, bit by bit; behind a
memory as far as it comes from the same place: on the disk it has eight bits."""

_FEWEST: Final = 48
"""Fewer tokens are not worth a copy: computing them takes a pass that the rest of the prompt needs anyway."""

KeysAndValues = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]


def entries_of(parts: Iterable[BufferPart]) -> list[Entry]:
    """Return the entries that a buffer of these parts has."""
    entries: list[Entry] = []
    for part in parts:
        key = part.key if isinstance(part, Memory) else ""
        positions = range(part.first_position, part.first_position + part.n_tokens)
        entries += zip(repeat(key), part.token_ids, positions, strict=False)
    return entries


def n_in_common(one: list[Entry], other: list[Entry]) -> int:
    """Return how many entries are equal from the start; by bisection over slices, which C compares."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True, eq=False)
class KeptRun:
    """The keys and values of the last of some entries."""

    entries: list[Entry]
    """From the buffer's start to the run's end; never changed."""
    start: int
    """The run's first entry."""
    keys_lhtd: npt.NDArray[np.floating]
    values_lhtd: npt.NDArray[np.floating]

    @property
    def n_bytes(self) -> int:
        """Of the arrays."""
        return self.keys_lhtd.nbytes + self.values_lhtd.nbytes


class KeptRuns:
    """Runs of one decoder, in the cache's own number type; least recently used first out."""

    def __init__(self, max_bytes: int) -> None:
        """Keep nothing yet.

        Args:
            max_bytes: Of all arrays together; 0 keeps nothing.
        """
        self._max_bytes = max_bytes
        self._runs: list[KeptRun] = []  # least recently used first
        self._n_bytes = 0

    @property
    def n_bytes(self) -> int:
        """Of all arrays."""
        return self._n_bytes

    def forget(self) -> None:
        """Drop everything."""
        self._runs.clear()
        self._n_bytes = 0

    def longest(self, entries: list[Entry], n_held: int) -> tuple[KeptRun, int] | None:
        """Return the run that goes on farthest from what a buffer holds, and where it ends to agree.

        Args:
            entries: What is asked for.
            n_held: How many of them the buffer holds.
        """
        best, best_end = None, n_held
        for run in self._runs:
            if run.start <= n_held < len(run.entries):
                end = n_in_common(run.entries, entries)
                if end > best_end:
                    best, best_end = run, end
        if best is None:
            return None
        self._runs.remove(best)
        self._runs.append(best)
        return best, best_end

    def keep(self, entries: list[Entry], start: int, read: Callable[[int, int], KeysAndValues]) -> None:
        """Keep what a buffer is about to lose, as far as it was computed there and is not kept already.

        Nothing behind a memory is kept: it is computed anew whenever other memories are attended to.

        Args:
            entries: All that the buffer holds.
            start: What stands before it stays in the buffer.
            read: Returns copies of the keys and values of a range of entries.
        """
        if not self._max_bytes or len(entries) - start < _FEWEST:
            return
        end = next((index for index, (key, _, _) in enumerate(entries) if key), len(entries))
        while start < end and (found := self.longest(entries[:end], start)) is not None:
            start = found[1]
        if end - start < _FEWEST:
            return
        run = KeptRun(list(entries[:end]), start, *read(start, end))
        self._runs.append(run)
        self._n_bytes += run.n_bytes
        while self._n_bytes > self._max_bytes:
            self._n_bytes -= self._runs.pop(0).n_bytes
