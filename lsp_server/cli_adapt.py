"""`crosslight adapt`: train a low-rank adapter for the installed model on some repositories."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsp_server import assemble
from lsp_server.cli_common import user_environment
from lsp_server.console import PhaseBar
from lsp_server.errors import UsageError

if TYPE_CHECKING:
    from lsp_server.paths import Folders
    from model.store import InstalledModel

_NO_END_HOURS = 24.0 * 365
_STARTS = ("shipped", "none")


def adapt(  # noqa: PLR0913, PLR0917 - options of a command
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Repositories; this one if left out.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.safetensors", help="The adapter.")
    ] = Path("adapter.safetensors"),
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Of the whole training; some ten cases each.")
    ] = 300,
    hours: Annotated[
        float,
        typer.Option(
            "--hours",
            min=0.0,
            help="End after so long; the same command goes on. Left out: when all steps are done.",
            show_default=False,
        ),
    ] = _NO_END_HOURS,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="Where cases and checkpoints are kept.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="PATH", help="What the installed model was made of, where it was not kept."
        ),
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            "--start",
            metavar="shipped|none|FILE",
            help="The adapter to begin with; `shipped` is the one that Crosslight comes with, if any.",
        ),
    ] = "shipped",
    sites: Annotated[
        int, typer.Option("--sites", min=1, help="Places in each repository that cases are made at, a round.")
    ] = 16,
    measure_every: Annotated[
        int, typer.Option("--measure-every", min=1, help="Steps between measurements on held-out files.")
    ] = 100,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Another one draws other cases, in another order.")
    ] = 0,
) -> None:
    """Train an adapter for the installed model on repositories, at the lowest priority.

    It learns to complete from what is retrieved in them. Ended at any moment, the same command goes on where
    it stood. `crosslight model pull --adapter FILE` uses the adapter.
    """
    from indexer.storage import checked_root

    deadline = time.monotonic() + hours * 3600
    _stand_back()
    roots = [checked_root(path) for path in paths or [Path()]]
    if output.suffix != ".safetensors":
        raise UsageError(f"--output {output}: the name of an adapter ends in .safetensors")
    if output.resolve() == Path(start).resolve():
        raise UsageError(
            f"--output {output}: training begins with this file; give the new adapter another name"
        )
    if start not in _STARTS and not Path(start).is_file():
        raise UsageError(f"--start {start}: there is no such adapter file")
    if find_spec("torch") is None:
        raise UsageError(
            f"training needs torch, which is not installed in {sys.prefix}: put its build for the processor, "
            "or for CUDA, there (https://pytorch.org/get-started/locally)"
        )
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait leave the processor to others
    from lsp_server.adapting.run import AdaptOrder, AdaptRun
    from model.processor import n_usable_cores

    folders, settings = user_environment()
    installed = assemble.open_store(folders).find(settings.model.name)
    base = weights or _kept_weights(installed, folders)
    folder = run or folders.trainings / _digest(roots)
    folder.mkdir(parents=True, exist_ok=True)
    with only_run(folder), PhaseBar() as bar:
        training = AdaptRun(
            AdaptOrder(
                roots,
                folder.absolute(),
                base,
                sites,
                seed,
                n_usable_cores(),
                _start(start, installed, folders),
            ),
            folders=folders,
            settings=settings,
            installed=installed,
            on_progress=bar.update,
        )
        is_done = training.train(
            steps, measure_every=measure_every, stop=lambda: time.monotonic() >= deadline
        )
        training.export(output)
    ended = "" if is_done else f", ended by --hours after step {training.n_steps_done} of {steps}"
    print(f"{output}: written{ended}; {training.summary()}")
    print(f"`crosslight model pull --adapter {output}` uses it")


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder: two would write over each other's checkpoints.

    Raises:
        UsageError: One is at work there.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(
            f"another `crosslight adapt` is training in {folder}: wait for it or end it; with --run FOLDER a "
            "second one has a folder of its own"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _start(choice: str, installed: InstalledModel, folders: Folders) -> Path | None:
    """Return the adapter that a run begins with."""
    if choice == "none":
        return None
    if choice == "shipped":
        return assemble.open_store(folders).shipped_adapter(installed)
    return Path(choice)


def _kept_weights(installed: InstalledModel, folders: Folders) -> Path:
    """Return the file or folder that a model was made of, if it is still where it was."""
    kept = assemble.open_store(folders).kept_weights(installed)
    if kept is None:
        raise UsageError(
            f"the weights that {installed.name} was made of were not kept: name them with --weights, or run "
            f"`crosslight model pull {installed.manifest.source} --keep-weights` once"
        )
    return kept


def _digest(roots: Sequence[Path]) -> str:
    return hashlib.sha256("\0".join(map(str, roots)).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _stand_back() -> None:
    """Run only when nobody else wants the processor, as far as the system knows how."""
    if hasattr(os, "nice"):
        os.nice(19)
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
