"""Groups with fewer memories: two thirds of what a pass computes are memories, and few of them are needed.

Kept are those that share the most with what is to be written, so that there is something to find, with what
cross-file cases are to write first, and for at least a third others by chance, so that it has to be found.
This file knows neither text nor tensors.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from model.training.sequences import CROSS_FILE, Branch, Group

__all__ = ["thinned"]

_MOST_NEEDED = 2
"""Of one case."""


def thinned(group: Group, n_memories: int, generator: np.random.Generator) -> Group:
    """Return a group with at most so many memories, for all of its cases together."""
    if len(group.memories) <= n_memories:
        return group
    tokens = [frozenset(ids) for ids in group.memories]
    n_holding = Counter(token for some in tokens for token in some)
    cross_file_first = sorted(group.branches, key=lambda branch: branch.kind != CROSS_FILE)
    wanted = [_needed(branch, tokens, n_holding) for branch in cross_file_first]
    needed = dict.fromkeys(some[rank] for rank in range(_MOST_NEEDED) for some in wanted if rank < len(some))
    most_needed = list(needed)[: max(1, n_memories * 2 // 3)]
    others = generator.permutation(len(tokens)).tolist()
    kept = sorted(list(dict.fromkeys([*most_needed, *others]))[:n_memories])
    places = {memory: place for place, memory in enumerate(kept)}
    branches = tuple(
        replace(branch, memories=tuple(places[memory] for memory in branch.memories if memory in places))
        for branch in group.branches
    )
    return replace(group, memories=tuple(group.memories[memory] for memory in kept), branches=branches)


def _needed(branch: Branch, tokens: list[frozenset[int]], n_holding: Counter[int]) -> list[int]:
    """Return the memories of a case that hold tokens of its target, first those with what few others hold."""
    target = frozenset(branch.ids[branch.n_given :])
    rarity = {
        memory: sum(1 / n_holding[token] for token in target & tokens[memory]) for memory in branch.memories
    }
    return sorted((memory for memory in branch.memories if rarity[memory] > 0), key=lambda one: -rarity[one])
