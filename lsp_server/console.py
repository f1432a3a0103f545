"""Progress bars and complaints on standard error; standard output belongs to results.

Where standard error is no terminal, a bar is one line at the end of each phase: logs stay readable.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from model.disk import human_bytes

if TYPE_CHECKING:
    from indexer.client import IndexClient
    from indexer.report import IndexProgress, IndexSummary


def complain(text: str) -> None:
    """Print one line on standard error, under the program's name."""
    print(f"crosslight: {text}", file=sys.stderr)


class PhaseBar:
    """One progress bar a phase, each described by a text that may change while it runs."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._phase: str | None = None
        self._last = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish_phase(is_done=kind is None)
        self._bar.stop()

    def update(self, phase: str, done: float, total: float, detail: str) -> None:
        """Show how far a phase is; a new phase's name ends the one before."""
        if phase != self._phase:
            self._finish_phase(is_done=True)
            self._phase = phase
            self._bar.add_task(phase, total=total or None, detail=detail)
        self._last = f"{phase}: {detail}"
        task = self._bar.task_ids[-1] if self._bar.task_ids else None
        if task is not None:
            self._bar.update(task, completed=done, total=total or None, detail=detail)

    def _finish_phase(self, *, is_done: bool) -> None:
        if self._phase is not None and not self._console.is_terminal:
            print(self._last, file=sys.stderr)
        for task in self._bar.tasks[-1:]:
            if is_done and task.total is None:  # its bar would run to and fro for ever
                self._bar.update(task.id, completed=1, total=1)
        self._phase = None


def bytes_of(done: float, total: float) -> str:
    """Return `120 of 491 MB` as people read it."""
    return f"{human_bytes(done)} of {human_bytes(total)}" if total else human_bytes(done)


def index_with_bar(client: IndexClient, repository: Path, *, force: bool) -> IndexSummary:
    """Bring an index up to date and show how far it is."""
    with PhaseBar() as bar:

        def show(progress: IndexProgress) -> None:
            if progress.phase == "wait":
                bar.update("wait", 0, 0, "another run of this repository goes on")
                return
            unit = "definitions" if progress.phase == "embed" else "files"
            detail = f"{progress.n_done} {unit}, {progress.per_second:.0f}/s"
            bar.update(progress.phase, progress.n_done, progress.n_total, detail)

        return client.index(repository, on_progress=show, force=force)
