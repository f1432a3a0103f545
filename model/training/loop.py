"""The training of an adapter: steps over groups, measured now and then, and gone on with exactly.

A run is a folder. `checkpoint.pt` holds all that the next step depends on; it is replaced as a whole.
`before-decay.pt` is the checkpoint at which the learning rate began to fall: a run that is given more steps
later goes on from there. `log.jsonl` has a line for each step and each measurement.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from model.errors import TrainingError
from model.training.feed import Position, Rounds, groups_from
from model.training.measuring import measure, token_losses, without_memories
from model.training.network import Adapter, Network, new_adapter
from model.training.plan import make_plan
from model.training.recipe import Recipe
from model.training.sequences import Branch, Group
from model.training.thinning import thinned

__all__ = [
    "CHECKPOINT",
    "LOG",
    "StepReport",
    "Trainer",
    "case_weight",
    "groups_of_step",
    "measurements",
    "read_checkpoint",
]

CHECKPOINT: Final = "checkpoint.pt"
LOG: Final = "log.jsonl"
_BEFORE_DECAY: Final = "before-decay.pt"
_SECONDS_BETWEEN_CHECKPOINTS: Final = 300.0
_KIND_WEIGHTS: Final = (2.0, 1.0, 1.5)
"""Of `KINDS`; lines that need nothing from elsewhere are the most frequent by far."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step."""

    step: int
    n_steps: int
    nats_per_token: float
    learning_rate: float
    n_tokens: int
    """That passes went over."""
    n_cases: int
    seconds: float


class Trainer:
    """A run in a folder, begun or gone on with."""

    def __init__(
        self,
        folder: Path,
        network: Network,
        recipe: Recipe,
        about: dict[str, Any],
        start: Adapter | None = None,
    ) -> None:
        """Begin a run, or load its checkpoint.

        Args:
            folder: Exists; the run's own.
            network: With the recipe's scale.
            recipe: What the run is defined by.
            about: Of the model and the cases, JSON; a run cannot go on with others.
            start: The adapter that the run begins with; a new one if left out.

        Raises:
            TrainingError: The folder holds a run of another recipe or about something else.
        """
        self._folder = folder
        self._network = network
        self._recipe = recipe
        self._about = about
        self.step = 0
        self.position = Position()
        self.adapter = start or new_adapter(network.config, recipe.rank, recipe.seed)
        self._optimizer = torch.optim.AdamW(
            self.adapter.values(), lr=recipe.learning_rate, betas=recipe.betas, weight_decay=0.0
        )
        self.n_cases = 0
        self.trained_s = 0.0
        self._is_updating = False
        if (folder / CHECKPOINT).exists():
            self._load(folder / CHECKPOINT)

    def train(  # noqa: PLR0913 - by keyword only, but for what is trained on
        self,
        rounds: Rounds,
        n_steps: int,
        *,
        held_out: Sequence[Group],
        measure_every: int,
        stop: Callable[[], bool],
        on_step: Callable[[StepReport], None] = lambda _: None,
        on_measure: Callable[[], None] = lambda: None,
    ) -> bool:
        """Go on until so many steps are done in all; return whether they are.

        What interrupts it (Ctrl-C) loses the step in progress alone.

        Args:
            rounds: The groups to train on.
            n_steps: Of the whole run. More than at the time that the learning rate began to fall: the run
                goes on from where it did.
            held_out: What is measured.
            measure_every: Steps between measurements; the first is made before the first step.
            stop: Asked before each step; the run then ends with a checkpoint.
            on_step: Called after each step.
            on_measure: Called before each measurement.

        Raises:
            KeyboardInterrupt: As it came; a note says what is kept.
        """
        self._undo_decay(n_steps)
        saved_at = time.monotonic()
        recipe = self._recipe
        feed = groups_from(self.position, rounds, recipe.seed, without_cross_file=recipe.without_cross_file)
        try:
            while True:
                is_due = self.step % measure_every == 0 or self.step == n_steps
                if held_out and is_due and self.step not in self._measured():
                    on_measure()
                    self._measure(held_out)
                if self.step >= n_steps:
                    break
                if self.step == recipe.first_decay_step(n_steps):
                    self.save(_BEFORE_DECAY)
                if stop():
                    break
                on_step(self._step(feed, n_steps))
                if time.monotonic() - saved_at >= _SECONDS_BETWEEN_CHECKPOINTS:
                    self.save(CHECKPOINT)
                    saved_at = time.monotonic()
        except KeyboardInterrupt as interrupt:
            if not self._is_updating:
                self.save(CHECKPOINT)
                kept = f"{self.step} of {n_steps} steps are kept"
                interrupt.add_note(f"{kept} in {self._folder}; the same command goes on from there")
            raise
        self.save(CHECKPOINT)
        return self.step >= n_steps

    def _step(self, feed: Iterator[tuple[Group, Position]], n_steps: int) -> StepReport:
        started = time.monotonic()
        recipe = self._recipe
        groups, position = groups_of_step(feed, recipe)
        total = sum(case_weight(branch) * branch.n_scored for one in groups for branch in one.branches)
        nats, n_tokens = 0.0, 0
        for group in groups:
            plan = make_plan(group, recipe.memory_tokens)
            losses = token_losses(self._network, self.adapter, plan)[0]
            weights = torch.tensor([case_weight(branch) for branch in group.branches])
            (losses * weights[torch.from_numpy(plan.branch_of)]).sum().div(total).backward()
            nats += float(losses.detach().sum())
            n_tokens += len(plan.token_ids)
        torch.nn.utils.clip_grad_norm_(self.adapter.values(), recipe.longest_gradient)
        rate = recipe.learning_rate_at(self.step, n_steps)
        for parameters in self._optimizer.param_groups:
            parameters["lr"] = rate
        self._is_updating = True
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.position = position
        self.step += 1
        n_cases = sum(len(group.branches) for group in groups)
        n_scored = sum(branch.n_scored for group in groups for branch in group.branches)
        seconds = time.monotonic() - started
        self.n_cases += n_cases
        self.trained_s += seconds
        report = StepReport(self.step, n_steps, nats / n_scored, rate, n_tokens, n_cases, seconds)
        self._log({key: value for key, value in asdict(report).items() if key != "n_steps"})
        self._is_updating = False
        return report

    def _measured(self) -> set[int]:
        """Return the steps after which was measured already."""
        return {row["step"] for row in measurements(self._folder)}

    def _measure(self, held_out: Sequence[Group]) -> None:
        plans = [(group, make_plan(group, self._recipe.memory_tokens)) for group in held_out]
        bare = [without_memories(group) for group in held_out]
        bare_plans = [(group, make_plan(group, self._recipe.memory_tokens)) for group in bare]
        scores = measure(self._network, self.adapter, plans)
        bare_scores = measure(self._network, self.adapter, bare_plans)
        figures = {kind: score.to_json() for kind, score in scores.items()}
        figures |= {f"{kind}, no memories": score.to_json() for kind, score in bare_scores.items()}
        self._log({"step": self.step, "cases": self.n_cases, "held_out": figures})

    def _undo_decay(self, n_steps: int) -> None:
        """Go back to where the learning rate began to fall, if it now is to fall later."""
        before = self._folder / _BEFORE_DECAY
        if not before.exists():
            return
        began = int(read_checkpoint(before)["step"])
        if began < self.step and began < self._recipe.first_decay_step(n_steps):
            self._load(before)

    def _load(self, path: Path) -> None:
        state = read_checkpoint(path)
        found = {"recipe": state["recipe"], **state["about"]}
        wanted = {"recipe": json.loads(json.dumps(asdict(self._recipe))), **self._about}
        if found != wanted:
            changed = ", ".join(key for key in wanted if found.get(key) != wanted[key])
            raise TrainingError(
                f"{self._folder} holds a run that differs in: {changed}. Go on with what it was begun with,"
                " or give it a folder of its own (--run)"
            )
        self.step, self.n_cases, self.trained_s = state["step"], state["n_cases"], state["trained_s"]
        self.position = Position(*state["position"])
        with torch.no_grad():
            for name, factor in self.adapter.items():
                factor.copy_(state["adapter"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self._cut_log()

    def save(self, name: str = CHECKPOINT) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "recipe": json.loads(json.dumps(asdict(self._recipe))),
            "about": self._about,
            "step": self.step,
            "n_cases": self.n_cases,
            "trained_s": self.trained_s,
            "position": [self.position.turn, self.position.round, self.position.index],
            "adapter": {key: factor.detach() for key, factor in self.adapter.items()},
            "optimizer": self._optimizer.state_dict(),
        }
        path = self._folder / name
        partial = path.with_name(path.name + ".part")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)  # noqa: PTH105 - says what is atomic about it

    def _log(self, row: dict[str, Any]) -> None:
        with (self._folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _cut_log(self) -> None:
        """Drop what was logged of steps after the checkpoint: they will be done again."""
        log = self._folder / LOG
        if log.exists():
            lines = log.read_text("utf-8").splitlines()
            kept = [line for line in lines if json.loads(line)["step"] <= self.step]
            log.write_text("".join(line + "\n" for line in kept), "utf-8")


def measurements(folder: Path) -> list[dict[str, Any]]:
    """Return what was measured on held-out cases in a run so far, in order."""
    log = folder / LOG
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
    return [row for row in rows if "held_out" in row]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds.

    Raises:
        TrainingError: It cannot be read.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise TrainingError(f"{path} cannot be read as a checkpoint: {error}") from error
    return state


def groups_of_step(feed: Iterator[tuple[Group, Position]], recipe: Recipe) -> tuple[list[Group], Position]:
    """Return the next groups, with the memories that they are computed with, and the position after them."""
    groups = []
    for _ in range(recipe.groups_per_step):
        group, position = next(feed)
        generator = np.random.default_rng((recipe.seed, *astuple(position)))
        groups.append(thinned(group, recipe.most_memories, generator))
    return groups, position


def case_weight(branch: Branch) -> float:
    """Return what a case's tokens weigh: a block of a hundred as much as ten ends of lines, not a hundred."""
    return _KIND_WEIGHTS[branch.kind] / math.sqrt(max(1, branch.n_scored))
