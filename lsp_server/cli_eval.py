"""`crosslight eval`: how good completions are in the user's own repository."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lsp_server import assemble
from lsp_server.cli_common import AsJson, user_environment
from lsp_server.config import Settings
from lsp_server.console import PhaseBar, complain, index_with_bar
from lsp_server.errors import UsageError
from lsp_server.evaluation.choices import ARMS, DRAWN_KINDS
from lsp_server.paths import Folders
from lsp_server.render import print_json

if TYPE_CHECKING:
    from indexer.client import IndexClient
    from lsp_server.evaluation.cases import Case
    from lsp_server.evaluation.results import ResultFile
    from lsp_server.evaluation.runner import Outcome
    from lsp_server.evaluation.subject import Subject


# what the command line offers as choices
_Kind = StrEnum("_Kind", {kind: kind for kind in DRAWN_KINDS})  # type: ignore[misc]
_Arm = StrEnum("_Arm", {arm: arm for arm in ARMS})  # type: ignore[misc]


def evaluate(  # noqa: PLR0913, PLR0917 - options of a command
    path: Annotated[
        Path | None, typer.Argument(help="The repository's folder; this one if left out.")
    ] = None,
    cases_file: Annotated[
        Path | None,
        typer.Option("--cases", metavar="FILE.jsonl", help="Complete these cases instead of drawing some."),
    ] = None,
    kind: Annotated[
        list[_Kind] | None, typer.Option("--kind", help="Kinds of cases to draw; all if left out.")
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, max=10_000, help="Cases to draw of each kind.")] = 30,
    seed: Annotated[int, typer.Option("--seed", help="Draws other cases.")] = 0,
    arm: Annotated[
        list[_Arm] | None, typer.Option("--arm", help="Ways to complete; all if left out.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the answers of earlier runs.")] = False,
    as_json: AsJson = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write the tables as Markdown, and a chart."),
    ] = None,
) -> None:
    """Measure how good completions are: cut real code at cursors, complete, compare with what stood there.

    Cases are drawn from the repository by --seed, or given with --cases. Each is completed without and with
    retrieval. A run that is ended goes on where it stood when the same command is given again.
    """
    folders, settings = user_environment()
    cases, source = _cases(path, cases_file, kind, n, seed)
    outcomes, about = _run(folders, settings, cases, source, arm or ARMS, fresh=fresh)
    _show(outcomes, about, report, as_json=as_json)


def _cases(
    path: Path | None, cases_file: Path | None, kinds: Sequence[str] | None, n: int, seed: int
) -> tuple[list[Case], Path]:
    """Return the cases, and the folder or file they come from."""
    from lsp_server.evaluation.cases import read_cases
    from lsp_server.evaluation.draw import draw_cases

    if cases_file is not None:
        if path is not None:
            raise UsageError("the cases of --cases name their repositories themselves: leave PATH out")
        return read_cases(cases_file), cases_file.absolute()
    root = (path or Path()).resolve()
    wanted = [one for one in DRAWN_KINDS if one in (kinds or DRAWN_KINDS)]
    cases = draw_cases(root, n=n, seed=seed, kinds=wanted)
    if not cases:
        raise UsageError(f"{root} holds no code that cases of kind {', '.join(wanted)} could be drawn from")
    return cases, root


def _run(  # noqa: PLR0913 - what a run is made of
    folders: Folders, settings: Settings, cases: list[Case], source: Path, arms: Sequence[str], *, fresh: bool
) -> tuple[list[Outcome], list[str]]:
    """Return the answers, and lines on what was measured."""
    from lsp_server.evaluation.arms import (
        CONCATENATED_DEFINITIONS,
        IndexedRepositories,
        RepositoryStates,
        make_subjects,
        unhurried,
        with_definitions,
    )
    from lsp_server.evaluation.fingerprint import subject_fingerprint
    from lsp_server.evaluation.results import ResultFile

    settings = unhurried(settings)
    installed = assemble.open_store(folders).find(settings.model.name)
    results = ResultFile(_results_file(folders, source))
    if fresh:
        results.clear()
    room = with_definitions(settings, max(settings.retrieval.definitions, CONCATENATED_DEFINITIONS))
    with (
        closing(assemble.start_model(folders, room, complain)) as model,
        assemble.connect_index(folders) as client,
    ):
        if set(arms) != {"off"}:
            _bring_up_to_date(client, cases)
        subjects = make_subjects(
            arms,
            model=model,
            settings=settings,
            fingerprint=subject_fingerprint(installed.manifest.model_hash, model.provider, settings),
            retrieve_for=IndexedRepositories(client),
            state_of=RepositoryStates(),
        )
        outcomes = _run_with_bar(cases, subjects, results)
    about = [
        f"{len(cases)} cases from {source}",
        f"model: {model.name} on {model.provider}, {installed.manifest.model_hash[:12]}",
        f"answers: {results.file}",
    ]
    return outcomes, about


def _bring_up_to_date(client: IndexClient, cases: Sequence[Case]) -> None:
    for root in dict.fromkeys(case.repo for case in cases):
        index_with_bar(client, root, force=False)


def _run_with_bar(cases: list[Case], subjects: Sequence[Subject], results: ResultFile) -> list[Outcome]:
    from lsp_server.evaluation.runner import RunProgress, run

    with PhaseBar() as bar:

        def show(progress: RunProgress) -> None:
            kept = f", {progress.n_kept} from earlier runs" if progress.n_kept else ""
            detail = f"{progress.n_done} of {progress.n_total} answers{kept}"
            bar.update("evaluate", progress.n_done, progress.n_total, detail)

        return run(cases, subjects, results, on_progress=show)


def _show(outcomes: Sequence[Outcome], about: Sequence[str], folder: Path | None, *, as_json: bool) -> None:
    from lsp_server.evaluation.report import CHART_FILE, REPORT_FILE, markdown, print_report
    from lsp_server.evaluation.summary import summarize

    summary = summarize(outcomes)
    if folder is not None:
        from lsp_server.evaluation.chart import draw_chart

        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT_FILE).write_text(markdown(summary, about), "utf-8")
        draw_chart(summary, folder / CHART_FILE)
    if as_json:
        print_json({"about": list(about), **summary.to_json()})
        return
    print_report(Console(), summary, about)
    if folder is not None:
        complain(f"report: {folder / REPORT_FILE}, {folder / CHART_FILE}")


def _results_file(folders: Folders, source: Path) -> Path:
    digest = hashlib.sha256(str(source).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return folders.evaluations / f"{source.stem or 'root'}-{digest}.jsonl"
