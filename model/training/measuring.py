"""How well an adapter predicts the targets of groups, each token after the author's own ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.training.network import Adapter, Network
from model.training.plan import Plan
from model.training.sequences import KINDS, Group

__all__ = ["Score", "measure", "token_losses", "without_memories"]


@dataclass(frozen=True, slots=True)
class Score:
    """How well targets of one kind are predicted."""

    nats: tuple[float, ...]
    """Of each case's tokens together; lower is better."""
    n_tokens: int
    """Of all cases."""
    n_right: int
    """Cases of which every token was the likeliest."""

    def to_json(self) -> dict[str, float]:
        """Return the shares that people look at."""
        n = len(self.nats)
        return {
            "n": n,
            "nats_per_token": round(sum(self.nats) / max(1, self.n_tokens), 4),
            "all_right": round(self.n_right / max(1, n), 4),
        }


def measure(network: Network, adapter: Adapter, plans: Sequence[tuple[Group, Plan]]) -> dict[str, Score]:
    """Return kind -> score of groups, each with how it is computed."""
    nats: defaultdict[int, list[float]] = defaultdict(list)
    n_tokens: defaultdict[int, int] = defaultdict(int)
    n_right: defaultdict[int, int] = defaultdict(int)
    with torch.no_grad():
        for group, plan in plans:
            losses, is_right = token_losses(network, adapter, plan)
            branch_of = torch.from_numpy(plan.branch_of)
            for index, branch in enumerate(group.branches):
                here = branch_of == index
                nats[branch.kind].append(float(losses[here].sum()))
                n_tokens[branch.kind] += branch.n_scored
                n_right[branch.kind] += int(is_right[here].all())
    return {
        KINDS[kind]: Score(tuple(each), n_tokens[kind], n_right[kind]) for kind, each in sorted(nats.items())
    }


def token_losses(network: Network, adapter: Adapter, plan: Plan) -> tuple[Tensor, Tensor]:
    """Return the nats of each token to predict, and whether it was the likeliest."""
    logits = network.logits(plan, adapter)
    labels = torch.from_numpy(plan.labels)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    return losses, logits.detach().argmax(-1) == labels


def without_memories(group: Group) -> Group:
    """Return the same cases, given no definitions."""
    return replace(
        group, memories=(), branches=tuple(replace(branch, memories=()) for branch in group.branches)
    )
