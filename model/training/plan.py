"""Who attends to what in a group, and at which positions: the layout of `model.prompt`, for one pass.

Each segment is causal within itself and sees the beginnings of some others. A memory sees the sink. What
stands above a cursor's line, the frame and the lines finished since, sees the sink too; where it begins as at
another cursor, that is one segment, and the second one continues it. The rest of a branch, the cursor's line,
sees the sink, what stands above it, and its memories. Memories all begin where the sink ends, frames after
the room that is kept for memories, a line after what stands above it. So `Prompt.with_memories` asks it of
the decoder's buffer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.training.sequences import Group

__all__ = ["Plan", "Segment", "make_plan"]

_FEWEST_SHARED = 16
"""Tokens in common for which a segment is worth dividing."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens in a row."""

    n_tokens: int
    sees: tuple[tuple[int, int], ...]
    """Earlier segments, and how many of its first tokens each shows to all tokens of this one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A group as one run of tokens."""

    token_ids: npt.NDArray[np.int64]
    """(tokens,)"""
    positions: npt.NDArray[np.int64]
    """(tokens,)"""
    segments: tuple[Segment, ...]
    """In the order of the tokens."""
    rows: npt.NDArray[np.int64]
    """The tokens whose next token is to be predicted, (scored,)."""
    labels: npt.NDArray[np.int64]
    """Those next tokens, (scored,)."""
    branch_of: npt.NDArray[np.int64]
    """The branch that each of them belongs to, (scored,)."""


def make_plan(group: Group, memory_tokens: int) -> Plan:
    """Return how a group is computed.

    Args:
        group: Its memories are at most `memory_tokens` long.
        memory_tokens: Positions that are kept for memories.
    """
    runs = _Runs()
    n_sink = len(group.sink)
    sink = (runs.add(group.sink, 0, ()), n_sink)
    memories = [(runs.add(ids, n_sink, (sink,)), len(ids)) for ids in group.memories]
    first_position = n_sink + memory_tokens
    texts: list[_Text] = []
    rows: list[int] = []
    labels: list[int] = []
    branch_of: list[int] = []
    for index, branch in enumerate(group.branches):
        above = (*group.frames[branch.frame], *branch.ids[: branch.n_finished])
        text = _added(runs, texts, above, first_position, sink)
        start = runs.n_tokens - branch.n_finished
        sees = (sink, *text.segments, *(memories[memory] for memory in branch.memories))
        runs.add(branch.ids[branch.n_finished : -1], first_position + len(above), sees)
        rows += range(start + branch.n_given - 1, start + len(branch.ids) - 1)
        labels += branch.ids[branch.n_given :]
        branch_of += [index] * branch.n_scored
    return Plan(
        np.array(runs.token_ids, np.int64),
        np.array(runs.positions, np.int64),
        tuple(runs.segments),
        *(np.array(one, np.int64) for one in (rows, labels, branch_of)),
    )


class _Runs:
    """Segments, one after the other."""

    def __init__(self) -> None:
        self.token_ids: list[int] = []
        self.positions: list[int] = []
        self.segments: list[Segment] = []

    @property
    def n_tokens(self) -> int:
        return len(self.token_ids)

    def add(self, ids: tuple[int, ...], position: int, sees: tuple[tuple[int, int], ...]) -> int:
        """Append a segment, and return its index."""
        self.token_ids += ids
        self.positions += range(position, position + len(ids))
        self.segments.append(Segment(len(ids), sees))
        return len(self.segments) - 1


@dataclass(frozen=True, slots=True)
class _Text:
    """What stands above a line, and the segments that it lies in."""

    ids: tuple[int, ...]
    segments: tuple[tuple[int, int], ...]

    def first(self, n_tokens: int) -> tuple[tuple[int, int], ...]:
        """Return the segments of the first tokens."""
        kept, n_left = [], n_tokens
        for segment, n_here in self.segments:
            if n_left > 0:
                kept.append((segment, min(n_here, n_left)))
            n_left -= n_here
        return tuple(kept)


def _added(
    runs: _Runs, texts: list[_Text], ids: tuple[int, ...], first_position: int, sink: tuple[int, int]
) -> _Text:
    """Return a text that stands above a line; only what no other one begins with is a new segment."""
    n_shared, shared = max(
        ((_n_common(ids, text.ids), text.first(_n_common(ids, text.ids))) for text in texts),
        default=(0, ()),
        key=lambda one: one[0],
    )
    if n_shared < _FEWEST_SHARED:
        n_shared, shared = 0, ()
    if n_shared < len(ids):
        segment = runs.add(ids[n_shared:], first_position + n_shared, (sink, *shared))
        shared = (*shared, (segment, len(ids) - n_shared))
    texts.append(_Text(ids, shared))
    return texts[-1]


def _n_common(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """Return how many tokens two sequences have in common at the start."""
    n = min(len(first), len(second))
    return next((at for at in range(n) if first[at] != second[at]), n)
