"""The order in which groups are trained on: by rounds, each in an order of its own, again and again.

A position says how far a run is; what follows from it is the same, however often the run was ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.errors import TrainingError
from model.training.sequences import CROSS_FILE, Group, GroupFile

__all__ = ["Position", "groups_from"]

Rounds = Callable[[int], Sequence[GroupFile]]
"""From a round's number to its files; all of them empty when there are no more rounds."""


@dataclass(frozen=True, slots=True)
class Position:
    """The next group."""

    turn: int = 0
    """How often all rounds were trained on."""
    round: int = 0
    index: int = 0
    """Within the round's order."""


def groups_from(
    position: Position, rounds: Rounds, seed: int, *, without_cross_file: float = 1.0
) -> Iterator[tuple[Group, Position]]:
    """Yield each group from a position on, with the position after it; without end.

    Args:
        position: That of the first one.
        rounds: The groups.
        seed: Draws others.
        without_cross_file: The share of groups without a cross-file case that are taken, others each time.

    Raises:
        TrainingError: There are no groups at all.
    """
    turn, number, first = position.turn, position.round, position.index
    while True:
        files = rounds(number)
        places = [(file, index) for file in files for index in range(len(file))]
        if not places:
            if number == 0:
                raise TrainingError("the repositories hold no code that cases could be made of")
            turn, number, first = turn + 1, 0, 0
            continue
        generator = np.random.default_rng((seed, turn, number))
        order, chances = generator.permutation(len(places)), generator.random(len(places))
        for at in range(first, len(order)):
            file, index = places[order[at]]
            group = file[index]
            if chances[at] < without_cross_file or any(one.kind == CROSS_FILE for one in group.branches):
                yield group, Position(turn, number, at + 1)
        number, first = number + 1, 0
