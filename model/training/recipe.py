"""What a training run is defined by besides its cases and its model."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Numbers of a training run; with the same ones, cases and model, the same adapter comes out."""

    rank: int = 16
    alpha: float = 32.0
    memory_tokens: int = 192
    """Positions that are kept for memories."""
    learning_rate: float = 1e-4
    """Of the steps between the first ones, over which it rises, and the last ones, over which it falls to 0
    (warm-up, stable, decay; arXiv 2404.06395): so the end may be put off, or drawn nearer, at any time."""
    warmup_steps: int = 20
    decay_share: float = 0.2
    """Of all steps: the last ones."""
    groups_per_step: int = 4
    without_cross_file: float = 0.25
    """How often a group is taken that has no cross-file case: what those need is learnt soonest."""
    most_memories: int = 6
    """That a group is computed with; all that were retrieved would be two thirds of a pass."""
    longest_gradient: float = 1.0
    betas: tuple[float, float] = (0.9, 0.99)
    seed: int = 0

    @property
    def scale(self) -> float:
        """What B·A is multiplied by."""
        return self.alpha / self.rank

    def first_decay_step(self, n_steps: int) -> int:
        """Return the step at which the learning rate begins to fall in a run of so many."""
        return n_steps - round(n_steps * self.decay_share)

    def learning_rate_at(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step, counted from 0, in a run of so many."""
        n_decay = n_steps - self.first_decay_step(n_steps)
        rise = min(1.0, (step + 1) / max(1, self.warmup_steps))
        fall = min(1.0, (n_steps - step) / (n_decay + 1)) if n_decay else 1.0
        return self.learning_rate * rise * max(0.0, fall)
