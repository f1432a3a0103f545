"""Trains on the targets, and on what the model says when definitions stand in its prompt: which teaches more?

    python bench/adapter/distillation.py RUN --weights WEIGHTS.gguf --steps 60 --output distillation.json

Both arms go on from the adapter of a run's checkpoint, over the same groups, at the same learning rate,
which falls to 0. One loss is that of the targets' tokens, as in `crosslight adapt`. The other is half that,
half the divergence from the teacher: the same model with the checkpoint's adapter, which reads the
definitions as text in front of the file (`Prompt.concatenated`), so sees everything, where the pupil sees
memories. Arms take their steps in turns. Measured is what was held out; the teacher, too, reading text.

A teacher's pass reads the definitions once for each case and not once for a group: an arm's seconds are
reported, for a fair comparison is one of equal time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from model.training.feed import GroupFile, Position, groups_from
from model.training.loop import CHECKPOINT, case_weight, read_checkpoint
from model.training.network import Adapter, Network, load_network
from model.training.plan import Plan, Segment, make_plan
from model.training.recipe import Recipe
from model.training.sequences import KINDS, Group
from model.weights import open_weights

_ARMS: Final = ("targets", "distilled")
_TEACHER_SHARE: Final = 0.5
_HELD_OUT_GROUPS: Final = 40


def concatenated_plan(group: Group) -> Plan:
    """Return how a group is computed with its definitions as text, in the rows' order of `make_plan`."""
    token_ids: list[int] = []
    positions: list[int] = []
    segments: list[Segment] = []
    rows: list[int] = []
    labels: list[int] = []
    branch_of: list[int] = []
    for index, branch in enumerate(group.branches):
        definitions = [token for memory in branch.memories for token in group.memories[memory]]
        ids = (*group.sink, *definitions, *group.frames[branch.frame], *branch.ids)
        start = len(token_ids) + len(ids) - len(branch.ids)
        segments.append(Segment(len(ids) - 1, ()))
        token_ids += ids[:-1]
        positions += range(len(ids) - 1)
        rows += range(start + branch.n_given - 1, start + len(branch.ids) - 1)
        labels += branch.ids[branch.n_given :]
        branch_of += [index] * branch.n_scored
    arrays = [np.array(one, np.int64) for one in (token_ids, positions, rows, labels, branch_of)]
    return Plan(arrays[0], arrays[1], tuple(segments), *arrays[2:])


class _Arm:
    """One way of training, with an adapter of its own."""

    def __init__(self, network: Network, adapter: Adapter, recipe: Recipe, *, is_distilled: bool) -> None:
        self.adapter = {name: factor.clone().requires_grad_() for name, factor in adapter.items()}
        self.seconds = 0.0
        self._teacher = adapter if is_distilled else None
        self._network = network
        self._recipe = recipe
        self._optimizer = torch.optim.AdamW(self.adapter.values(), betas=recipe.betas, weight_decay=0.0)

    def step(self, groups: Sequence[Group], rate: float) -> None:
        """Learn from some groups."""
        started = time.monotonic()
        total = sum(case_weight(branch) * branch.n_scored for group in groups for branch in group.branches)
        for group in groups:
            plan = make_plan(group, self._recipe.memory_tokens)
            logits = self._network.logits(plan, self.adapter)
            losses = cross_entropy(logits, torch.from_numpy(plan.labels), reduction="none")
            if self._teacher is not None:
                taught = self._divergence(group, logits)
                losses = (1 - _TEACHER_SHARE) * losses + _TEACHER_SHARE * taught
            weights = torch.tensor([case_weight(branch) for branch in group.branches])
            (losses * weights[torch.from_numpy(plan.branch_of)]).sum().div(total).backward()
        torch.nn.utils.clip_grad_norm_(self.adapter.values(), self._recipe.longest_gradient)
        for parameters in self._optimizer.param_groups:
            parameters["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.seconds += time.monotonic() - started

    def _divergence(self, group: Group, logits: Tensor) -> Tensor:
        with torch.no_grad():
            told = log_softmax(self._network.logits(concatenated_plan(group), self._teacher), dim=-1)
        return kl_div(log_softmax(logits, dim=-1), told, reduction="none", log_target=True).sum(-1)


def _measured(network: Network, adapter: Adapter, plans: Sequence[tuple[Group, Plan]]) -> dict[str, Any]:
    """Return nats a token and the share of cases with every token right, by kind, and each case's nats."""
    nats: defaultdict[str, list[float]] = defaultdict(list)
    tokens: defaultdict[str, int] = defaultdict(int)
    right: defaultdict[str, int] = defaultdict(int)
    with torch.no_grad():
        for group, plan in plans:
            logits, labels = network.logits(plan, adapter), torch.from_numpy(plan.labels)
            losses, is_right = cross_entropy(logits, labels, reduction="none"), logits.argmax(-1) == labels
            for index, branch in enumerate(group.branches):
                here, kind = torch.from_numpy(plan.branch_of) == index, KINDS[branch.kind]
                nats[kind].append(float(losses[here].sum()))
                tokens[kind] += branch.n_scored
                right[kind] += int(is_right[here].all())
    return {
        kind: {
            "n": len(each),
            "nats_per_token": sum(each) / tokens[kind],
            "all_right": right[kind] / len(each),
            "nats": each,
        }
        for kind, each in sorted(nats.items())
    }


def _held_out(cases: Path) -> list[Group]:
    files = [GroupFile(file) for file in sorted(cases.glob("round-000-*/*.held-out.npz"))]
    every = [file[index] for file in files for index in range(len(file))]
    return every[:: max(1, len(every) // _HELD_OUT_GROUPS)][:_HELD_OUT_GROUPS]


def main() -> None:
    """Train both arms, and write what they learnt."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--weights", type=Path, required=True, help="that the run trains for")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rate", type=float, default=1e-4, help="the first step's learning rate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    state = read_checkpoint(options.run / CHECKPOINT)
    recipe = Recipe(**(state["recipe"] | {"betas": tuple(state["recipe"]["betas"])}))
    network = load_network(open_weights(options.weights), recipe.scale, n_threads=options.threads)
    start: Adapter = state["adapter"]
    cases = options.run / "cases"
    rounds = [[GroupFile(file) for file in sorted(cases.glob("round-000-*/*.train.npz"))]]
    # Groups that the run did not come to yet: the arms learn from what is new to both.
    feed = groups_from(
        Position(*state["position"]), lambda n: rounds[n] if n < len(rounds) else [], recipe.seed
    )
    arms = {name: _Arm(network, start, recipe, is_distilled=name == "distilled") for name in _ARMS}
    for step in range(options.steps):
        groups = [next(feed)[0] for _ in range(recipe.groups_per_step)]
        for arm in arms.values():
            arm.step(groups, options.rate * (1 - step / options.steps))
        print(f"step {step + 1}: " + ", ".join(f"{name} {arm.seconds:.0f} s" for name, arm in arms.items()))
    held_out = _held_out(cases)
    as_memories = [(group, make_plan(group, recipe.memory_tokens)) for group in held_out]
    as_text = [(group, concatenated_plan(group)) for group in held_out]
    result = {
        "run_steps": state["step"],
        "steps": options.steps,
        "rate": options.rate,
        "teacher, definitions as text": _measured(network, start, as_text),
        "start": _measured(network, start, as_memories),
        **{name: _measured(network, arm.adapter, as_memories) for name, arm in arms.items()},
        "seconds": {name: arm.seconds for name, arm in arms.items()},
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    for name, figures in result.items():
        if isinstance(figures, dict) and "line" in figures:
            print(name, {kind: (row["n"], round(row["nats_per_token"], 4)) for kind, row in figures.items()})


if __name__ == "__main__":
    main()
