"""One training run for the installed model: refuses, makes cases, trains, writes the adapter."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from indexer.open_index import EmbedderSource
from lsp_server import assemble
from lsp_server.adapting.making import CaseMaker, MakingProgress
from lsp_server.adapting.refusal import load_benchmarks, refuse_benchmarks
from lsp_server.config import Settings
from lsp_server.errors import UsageError
from lsp_server.evaluation.arms import unhurried
from lsp_server.paths import Folders
from model.adapter import check_adapter
from model.sources import weights_sha256
from model.store import InstalledModel
from model.tokenizer import Tokenizer
from model.training.export import export_adapter, load_adapter
from model.training.loop import StepReport, Trainer, measurements
from model.training.network import load_network
from model.training.recipe import Recipe
from model.training.sequences import KINDS, Group, GroupFile
from model.weights import open_weights

__all__ = ["AdaptOrder", "AdaptRun"]

_HELD_OUT_GROUPS = 40
_STEPS_OF_PACE = 20

OnProgress = Callable[[str, float, float, str], None]
"""Told the phase, what of it is done, all of it, and a text for people."""


@dataclass(frozen=True, slots=True)
class AdaptOrder:
    """What is to be trained."""

    roots: Sequence[Path]
    """Repositories; absolute."""
    run: Path
    """The folder that cases and checkpoints are kept in; exists."""
    weights: Path
    """What the installed model was made of."""
    sites: int
    """Places that each repository gives a round at most."""
    seed: int
    n_threads: int
    start: Path | None
    """The adapter that a run begins with; None for a new one."""


class AdaptRun:
    """A run that is begun, or gone on with."""

    def __init__(
        self,
        order: AdaptOrder,
        *,
        folders: Folders,
        settings: Settings,
        installed: InstalledModel,
        on_progress: OnProgress,
    ) -> None:
        """Read repositories, weights and checkpoint.

        Raises:
            UsageError: A repository may not be trained on, or the weights are others.
            TrainingError: The run's folder holds another run.
            ModelError: The weights cannot be read, or the adapter to begin with was made for others.
            IndexerError: A repository cannot.
        """
        on_progress("read", 0, 0, "repositories and weights")
        refuse_benchmarks(order.roots, load_benchmarks())
        self._order = order
        self._installed = installed
        self._on_progress = on_progress
        self._seconds: list[float] = []
        self._maker = CaseMaker(
            order.run / "cases",
            order.roots,
            codec=Tokenizer.from_file(installed.folder / "tokenizer.json", installed.manifest.control),
            settings=unhurried(settings),
            embedders=EmbedderSource(lambda: assemble.make_embedder(folders, settings)),
            sites=order.sites,
            seed=order.seed,
        )
        base_sha256 = installed.manifest.source_sha256
        if weights_sha256(order.weights) != base_sha256:
            raise UsageError(
                f"{order.weights} is not what {installed.name} was made of, whose sha256 is {base_sha256}"
            )
        if order.start is not None:
            check_adapter(order.start, base_sha256)
        self._start_sha256 = _digest(order.start)
        self._recipe = Recipe(memory_tokens=settings.retrieval.definition_tokens, seed=order.seed)
        network = load_network(open_weights(order.weights), self._recipe.scale, n_threads=order.n_threads)
        about = {"base_sha256": base_sha256, "cases": self._maker.key, "start": self._start_sha256}
        start = load_adapter(order.start, network.config, self._recipe) if order.start else None
        self._trainer = Trainer(order.run, network, self._recipe, about, start)

    @property
    def n_steps_done(self) -> int:
        """How many steps the run has behind it."""
        return self._trainer.step

    def train(self, steps: int, *, measure_every: int, stop: Callable[[], bool]) -> bool:
        """Go on until so many steps are done in all, or until told to stop; return whether they are.

        Args:
            steps: See `Trainer.train`.
            measure_every: Steps between measurements on held-out files.
            stop: Asked before each step.
        """
        return self._trainer.train(
            self._round,
            steps,
            held_out=self._held_out(),
            measure_every=measure_every,
            stop=stop,
            on_step=self._show_step,
            on_measure=lambda: self._on_progress("measure", 0, 0, "held-out cases"),
        )

    def summary(self) -> str:
        """Return how held-out cases came out, first and last."""
        figures = measurements(self._order.run)
        if not figures:
            return "nothing was held out of so few files, so nothing was measured"
        before, after = figures[0]["held_out"], figures[-1]["held_out"]
        parts = [
            f"{kind} {before[kind]['nats_per_token']:.2f} to {after[kind]['nats_per_token']:.2f}"
            f" ({after[kind]['n']:.0f})"
            for kind in KINDS
            if kind in after and kind in before
        ]
        return f"held-out cases, nats a token, {', '.join(parts)}: lower is better"

    def export(self, output: Path) -> None:
        """Write the adapter as it is now, and its manifest beside it."""
        trainer, manifest = self._trainer, self._installed.manifest
        figures = measurements(self._order.run)
        notes = {
            "name": output.stem,
            "base_name": manifest.source,
            "base_sha256": manifest.source_sha256,
            "made_by": f"crosslight {version('crosslight')}",
            "recipe": asdict(self._recipe),
            "training": {
                "repositories": [root.name for root in self._order.roots],
                "cases_key": self._maker.key,
                "start_sha256": self._start_sha256,
                "steps": trainer.step,
                "cases": trainer.n_cases,
                "hours": round(trainer.trained_s / 3600, 2),
            },
            "held_out": {"before": figures[0], "after": figures[-1]} if figures else {},
        }
        export_adapter(output, trainer.adapter, self._recipe, notes)

    def _round(self, number: int) -> list[GroupFile]:
        return [GroupFile(file) for file in self._maker.round(number, on_progress=self._show_making)[0]]

    def _held_out(self) -> list[Group]:
        """Return some held-out groups of the first round, spread over the repositories."""
        files = [GroupFile(file) for file in self._maker.round(0, on_progress=self._show_making)[1]]
        every = [file[index] for file in files for index in range(len(file))]
        every.sort(key=lambda group: hashlib.sha256(repr(group.branches).encode()).digest())
        return every[:_HELD_OUT_GROUPS]

    def _show_making(self, progress: MakingProgress) -> None:
        detail = f"{progress.n_done} of {progress.n_repositories} repositories, {progress.n_cases} cases"
        self._on_progress("make cases", progress.n_done, progress.n_repositories, detail)

    def _show_step(self, report: StepReport) -> None:
        self._seconds = [*self._seconds[1 - _STEPS_OF_PACE :], report.seconds]
        minutes_left = sum(self._seconds) / len(self._seconds) * (report.n_steps - report.step) / 60
        left = f"{minutes_left:.0f} min" if minutes_left < 90 else f"{minutes_left / 60:.1f} h"
        per_second = report.n_tokens / report.seconds
        detail = f"step {report.step} of {report.n_steps}, {report.nats_per_token:.3f} nats a token, "
        detail += f"{per_second:.0f} tokens/s, {left} left"
        self._on_progress("train", report.step, report.n_steps, detail)


def _digest(file: Path | None) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file is not None else None
