"""`Group`: training cases of one file that share what the decoder reads, and the file that groups lie in.

Cases near each other are given much the same definitions, and cases of lines that are written one after the
other are given the same frame. A group holds each of these once, so that a pass over it computes them once:
several cases then cost little more than one. What a case sees is as if it were alone.

This file knows neither text nor tensors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from model.errors import TrainingError

__all__ = ["CROSS_FILE", "KINDS", "Branch", "Group", "GroupFile", "write_groups"]

KINDS: Final = ("cross-file", "line", "block")
"""Of cases; a branch holds an index into it."""

CROSS_FILE: Final = KINDS.index("cross-file")

_FORMAT: Final = 2


@dataclass(frozen=True, slots=True)
class Branch:
    """One case: the live segment, and what the author wrote after it."""

    frame: int
    """Index into the group's frames."""
    memories: tuple[int, ...]
    """Indices into the group's memories: those that the case was given."""
    ids: tuple[int, ...]
    """The live segment, the last word typed again, the target, and the token that ends a text."""
    n_finished: int
    """Of `ids`, how many stand before the memories, which they do not see; fewer than `n_given`."""
    n_given: int
    """Of `ids`, how many the model is told; the others are what it has to predict. At least one."""
    kind: int
    """Index into `KINDS`."""

    @property
    def n_scored(self) -> int:
        """How many tokens the model has to predict."""
        return len(self.ids) - self.n_given


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one file that are computed in one pass."""

    sink: tuple[int, ...]
    memories: tuple[tuple[int, ...], ...]
    frames: tuple[tuple[int, ...], ...]
    branches: tuple[Branch, ...]


class GroupFile:
    """The groups of a file, read when asked for."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            TrainingError: It is not one that `write_groups` wrote.
        """
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                version = int(arrays["format"])
                self._numbers: npt.NDArray[np.int32] = arrays["numbers"]
                self._ends: npt.NDArray[np.int64] = arrays["ends"]
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(f"{path} cannot be read as training cases: {error}") from error
        if version != _FORMAT:
            raise TrainingError(f"{path} holds training cases of another version: delete it")

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Group:
        start = int(self._ends[index - 1]) if index else 0
        return _decode(iter(self._numbers[start : int(self._ends[index])].tolist()))


def write_groups(groups: Sequence[Group], path: Path) -> None:
    """Write a file of groups, whole or not at all."""
    records = [np.array(_encode(group), np.int32) for group in groups]
    ends = np.cumsum([len(record) for record in records], dtype=np.int64)
    numbers = np.concatenate(records) if records else np.empty(0, np.int32)
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        np.savez(file, format=np.int64(_FORMAT), numbers=numbers, ends=ends)
    os.replace(partial, path)  # noqa: PTH105 - says what is atomic about it


def _encode(group: Group) -> list[int]:
    """Return a group as numbers: each sequence after its length."""
    numbers = [len(group.sink), *group.sink]
    for sequences in (group.memories, group.frames):
        numbers.append(len(sequences))
        for ids in sequences:
            numbers += [len(ids), *ids]
    numbers.append(len(group.branches))
    for branch in group.branches:
        numbers += [branch.frame, branch.kind, branch.n_finished, branch.n_given]
        numbers += [len(branch.memories), *branch.memories, len(branch.ids), *branch.ids]
    return numbers


def _decode(numbers: Iterator[int]) -> Group:
    def sequence() -> tuple[int, ...]:
        return tuple(next(numbers) for _ in range(next(numbers)))

    sink = sequence()
    memories = tuple(sequence() for _ in range(next(numbers)))
    frames = tuple(sequence() for _ in range(next(numbers)))
    branches = []
    for _ in range(next(numbers)):
        frame, kind, n_finished, n_given = (next(numbers) for _ in range(4))
        branches.append(Branch(frame, sequence(), sequence(), n_finished, n_given, kind))
    return Group(sink, memories, frames, tuple(branches))
