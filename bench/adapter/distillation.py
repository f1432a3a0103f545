"""Trains on the targets, and on what the model says when definitions stand in its prompt: which teaches more?

    python bench/adapter/distillation.py RUN --weights WEIGHTS.gguf --minutes 12 --output FOLDER

Both arms go on from the adapter of a run's checkpoint, over the same groups in the same order, at a learning
rate that falls to 0. One loss is that of the targets' tokens, as in `crosslight adapt`. The other is half
that, half the divergence from the teacher: the same model with the checkpoint's adapter, which reads the
definitions as text in front of the file (`Prompt.concatenated`), so sees everything, where the pupil sees
memories. A teacher's pass reads the definitions once for each case and not once for a group, so the arms are
given equal time and not equal steps; the one that is behind takes the next step.

Measured is what was held out, also what the teacher makes of it, reading text. The folder gets the figures
and an adapter of each arm, to be installed and compared by `bench/quality/models.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from model.training.export import export_adapter
from model.training.feed import GroupFile, Position, groups_from
from model.training.loop import CHECKPOINT, case_weight, groups_of_step, read_checkpoint
from model.training.measuring import measure
from model.training.network import Adapter, Network, load_network
from model.training.plan import Plan, Segment, make_plan
from model.training.recipe import Recipe
from model.training.sequences import Group
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

    def __init__(
        self,
        network: Network,
        adapter: Adapter,
        recipe: Recipe,
        groups: Iterator[tuple[Group, Position]],
        *,
        is_distilled: bool,
    ) -> None:
        self.adapter = {name: factor.clone().requires_grad_() for name, factor in adapter.items()}
        self.seconds = 0.0
        self.n_steps = 0
        self._teacher = adapter if is_distilled else None
        self._network = network
        self._recipe = recipe
        self._feed = groups
        self._optimizer = torch.optim.AdamW(self.adapter.values(), betas=recipe.betas, weight_decay=0.0)

    def step(self, rate: float) -> None:
        """Learn from some groups, at a learning rate."""
        started = time.monotonic()
        groups, _ = groups_of_step(self._feed, self._recipe)
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
        self.n_steps += 1
        self.seconds += time.monotonic() - started

    def _divergence(self, group: Group, logits: Tensor) -> Tensor:
        with torch.no_grad():
            told = log_softmax(self._network.logits(concatenated_plan(group), self._teacher), dim=-1)
        return kl_div(log_softmax(logits, dim=-1), told, reduction="none", log_target=True).sum(-1)


def _measured(network: Network, adapter: Adapter, plans: Sequence[tuple[Group, Plan]]) -> dict[str, Any]:
    """Return kind -> shares, and each case's nats."""
    scores = measure(network, adapter, plans)
    return {kind: {**score.to_json(), "nats": score.nats} for kind, score in scores.items()}


def _held_out(cases: Path) -> list[Group]:
    files = [GroupFile(file) for file in sorted(cases.glob("round-000-*/*.held-out.npz"))]
    every = [file[index] for file in files for index in range(len(file))]
    return every[:: max(1, len(every) // _HELD_OUT_GROUPS)][:_HELD_OUT_GROUPS]


def _feed(run: Path, state: dict[str, Any]) -> Iterator[tuple[Group, Position]]:
    """Yield the groups that the run did not come to yet: the arms learn from what is new to both."""
    recipe = state["recipe"]
    return groups_from(
        Position(*state["position"]),
        lambda number: [
            GroupFile(file) for file in sorted((run / "cases").glob(f"round-{number:03}-*/*.train.npz"))
        ],
        recipe["seed"],
        without_cross_file=recipe["without_cross_file"],
    )


def main() -> None:
    """Train both arms, and write what they learnt."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--weights", type=Path, required=True, help="that the run trains for")
    parser.add_argument("--minutes", type=float, default=12, help="of each arm")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True, help="a folder")
    options = parser.parse_args()
    state = read_checkpoint(options.run / CHECKPOINT)
    recipe = Recipe(**(state["recipe"] | {"betas": tuple(state["recipe"]["betas"])}))
    network = load_network(open_weights(options.weights), recipe.scale, n_threads=options.threads)
    start: Adapter = state["adapter"]
    arms = {
        name: _Arm(network, start, recipe, _feed(options.run, state), is_distilled=name == "distilled")
        for name in _ARMS
    }
    allowed = options.minutes * 60
    while (behind := min(arms.values(), key=lambda arm: arm.seconds)).seconds < allowed:
        behind.step(recipe.learning_rate * (1 - behind.seconds / allowed))
        print(", ".join(f"{name}: {arm.n_steps} steps, {arm.seconds:.0f} s" for name, arm in arms.items()))
    held_out = _held_out(options.run / "cases")
    as_memories = [(group, make_plan(group, recipe.memory_tokens)) for group in held_out]
    as_text = [(group, concatenated_plan(group)) for group in held_out]
    result: dict[str, Any] = {
        "run_steps": state["step"],
        "teacher, definitions as text": _measured(network, start, as_text),
        "start": _measured(network, start, as_memories),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    for name, arm in arms.items():
        result[name] = _measured(network, arm.adapter, as_memories)
        result[f"{name}, taken"] = {"steps": arm.n_steps, "seconds": arm.seconds}
        notes = {"name": name, "base_sha256": state["about"]["base_sha256"]}
        export_adapter(options.output / f"{name}.safetensors", arm.adapter, recipe, notes)
    (options.output / "figures.json").write_text(json.dumps(result, indent=1) + "\n")
    for name, figures in result.items():
        if isinstance(figures, dict) and "line" in figures:
            print(name, {kind: row["nats_per_token"] for kind, row in figures.items()})


if __name__ == "__main__":
    main()
