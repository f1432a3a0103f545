"""How good completions are on the development set, arm by arm; prints one JSON object as its last line.

    python bench/quality/run.py                       the frozen subset of 60 cases, a few minutes
    python bench/quality/run.py --set development     all 812 cases, an hour or more; goes on where it stood
    python bench/quality/run.py --faults              also two arms that are broken on purpose
    python bench/quality/run.py --peer                also llama.cpp, alone and with the same definitions

Answers are kept in the user's cache as they are made, so that a run can be ended at any moment, and arms can
be run one at a time with `--arm`. It works at low priority. The tables go to standard error, all figures to
`bench/results/quality-<set>-<commit>.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cases import development_set
from peer_subject import PEER_ARMS, peer_subjects
from rich.console import Console

from indexer.catalogue_reader import CatalogueReader
from indexer.open_index import EmbedderSource, OpenIndex
from indexer.repository import IndexFolder
from indexer.types import Reason, RetrievalQuery, RetrievalResult, Retrieved
from lsp_server import assemble
from lsp_server.completer import Retrieve
from lsp_server.config import Settings
from lsp_server.console import PhaseBar
from lsp_server.evaluation.arms import (
    CONCATENATED_DEFINITIONS,
    RepositoryStates,
    make_subjects,
    unhurried,
    with_definitions,
)
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.choices import ARMS, DRAWN_KINDS
from lsp_server.evaluation.fingerprint import subject_fingerprint
from lsp_server.evaluation.report import print_report
from lsp_server.evaluation.results import ResultFile
from lsp_server.evaluation.runner import Outcome, RunProgress, run
from lsp_server.evaluation.subject import Answer, CompleterSubject, Subject
from lsp_server.evaluation.summary import summarize
from lsp_server.feeding import Concatenated
from lsp_server.paths import Folders

RESULTS = Path(__file__).resolve().parent.parent / "results"
FAULTS = ("concatenated", "random definitions", "suffix dropped")
"""What is broken, after what it is compared with."""
BUDGETS = {"memories 6": CONCATENATED_DEFINITIONS, "memories 24": 4 * CONCATENATED_DEFINITIONS}
"""Memories of as many definitions as `concatenated` has, and of four times as many."""
IN_JSON = ("exact_match", "edit_similarity", "nll_per_byte")
NICENESS = 10


class Indexes:
    """The indexes of the packages, in a folder of their own, one open at a time."""

    def __init__(self, folder: Path, embedders: EmbedderSource) -> None:
        self._folder = folder
        self._embedders = embedders
        self._open: OpenIndex | None = None
        self._root: Path | None = None

    def close(self) -> None:
        """Close the index that is open, if one is."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def retrieve_for(self, case: Case) -> Retrieve:
        """Return what asks the index of a case's repository, which is brought up to date first."""
        if self._open is None or case.repo != self._root:
            self.close()
            self._root = case.repo
            self._open = OpenIndex(IndexFolder.of(self._folder, case.repo), self._embedders, None)
            self._open.build(on_progress=lambda _: None, cancelled=lambda: False, force=False)
            self._open.open_vectors()
        return self._open.retrieve

    def random_for(self, case: Case) -> Retrieve:
        """Return what answers with random definitions of the same repository: a deliberate fault."""
        self.retrieve_for(case)
        with CatalogueReader(IndexFolder.of(self._folder, case.repo).catalogue_file) as catalogue:
            every = [d for d in catalogue.recent(1_000_000) if d.path != case.path and d.role == "source"]
        every.sort(key=lambda definition: definition.id)

        def ask(query: RetrievalQuery) -> RetrievalResult:
            drawn = random.Random(case.id).sample(every, min(query.n, len(every)))
            rows = [
                Retrieved(d, 1.0, (Reason("symbol", rank, "at random"),)) for rank, d in enumerate(drawn, 1)
            ]
            return RetrievalResult(tuple(rows), (), {}, {})

        return ask


class WithoutSuffix:
    """A subject that does not see what follows the cursor: a deliberate fault."""

    arm = FAULTS[2]

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def key(self, case: Case) -> str:
        """Return what decides on the answer."""
        return self._subject.key(case)

    def answer(self, case: Case) -> Answer:
        """Complete as if the file ended at the cursor."""
        return self._subject.answer(replace(case, suffix=""))


def main() -> None:
    """Run what was asked for, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folders = Folders.of_user()
    parser.add_argument("--set", choices=("frozen", "development"), default="frozen")
    parser.add_argument(
        "--arm", action="append", choices=[*ARMS, *BUDGETS], help=f"{', '.join(ARMS)} if left out"
    )
    parser.add_argument("--faults", action="store_true", help="also the arms that are broken on purpose")
    parser.add_argument(
        "--peer", nargs="?", const="also", choices=("also", "only"), help="llama.cpp too, or nothing else"
    )
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    parser.add_argument("--kind", action="append", choices=DRAWN_KINDS, help="all if left out")
    parser.add_argument("--n", type=int, help="cases of each kind, drawn at random; all if left out")
    options = parser.parse_args()
    os.nice(NICENESS)
    here = where()  # of the code that runs, whatever is committed meanwhile
    cases = chosen_cases(options)
    folders = replace(folders, models=options.models, index=options.cache / "index")
    with ExitStack() as stack:
        subjects, about = subjects_of(folders, options, stack)
        outcomes = run_cases(cases, subjects, options.cache / "quality-answers.jsonl")
    summary = summarize([outcome for outcome in outcomes if outcome.arm in (*ARMS, *BUDGETS, *PEER_ARMS)])
    about = {"set": options.set, "n_cases": len(cases), **about, **here}
    console = Console(stderr=True)
    print_report(console, summary, [f"{name}: {value}" for name, value in about.items()])
    table = {**about, **summary.to_json()}
    if options.faults:
        faults = summarize([one for one in outcomes if one.arm in FAULTS], baseline=FAULTS[0])
        print_report(console, faults, ["", "Broken on purpose:"])
        table["faults"] = faults.to_json()
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"quality-{options.set}-{about['commit']}.json"
    file.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    print(json.dumps({**about, "kinds": _selected(table["kinds"])}))


def chosen_cases(options: argparse.Namespace) -> list[Case]:
    """Return the cases that the options `cache`, `set`, `kind` and `n` ask for."""
    cases = development_set(options.cache, frozen=options.set == "frozen")
    kinds = options.kind or DRAWN_KINDS
    return [case for kind in kinds for case in _drawn([c for c in cases if c.kind == kind], options.n)]


def _drawn(cases: list[Case], n: int | None) -> list[Case]:
    """Return so many cases in the order of their hashes: at random, and always the same first ones."""
    return sorted(cases, key=lambda case: case.id)[:n]


def subjects_of(
    folders: Folders, options: argparse.Namespace, stack: ExitStack
) -> tuple[list[Subject], dict[str, Any]]:
    """Return what is asked, by the options `arm`, `faults`, `peer` and `cache`, and what model that is."""
    settings = unhurried(Settings())
    installed = assemble.open_store(folders).find(settings.model.name)
    model = assemble.start_model(folders, with_definitions(settings, max(BUDGETS.values())))
    stack.callback(model.close)
    fingerprint = subject_fingerprint(installed.manifest.model_hash, model.provider, settings)
    embedders = EmbedderSource(lambda: assemble.make_embedder(folders, settings))
    indexes = Indexes(options.cache / "quality-indexes", embedders)
    stack.callback(indexes.close)

    def subjects_with(arms: Sequence[str], retrieve_for: Callable[[Case], Retrieve]) -> list[Subject]:
        return make_subjects(
            arms,
            model=model,
            settings=settings,
            fingerprint=fingerprint,
            retrieve_for=retrieve_for,
            state_of=states,
        )

    states = RepositoryStates()
    subjects = subjects_with(options.arm or ARMS, indexes.retrieve_for)
    for arm in BUDGETS.keys() & set(options.arm or ()):
        subjects.append(
            CompleterSubject(
                arm,
                model,
                with_definitions(settings, BUDGETS[arm]),
                retrieve_for=indexes.retrieve_for,
                key_of=subjects_with(["memories"], indexes.retrieve_for)[0].key,
            )
        )
    if options.faults and "concatenated" not in (options.arm or ARMS):
        sys.exit("what is broken is compared with `concatenated`: let that arm run too")
    if options.faults:
        key = subjects_with(["concatenated"], indexes.retrieve_for)[0]
        subjects.append(
            CompleterSubject(
                FAULTS[1],
                model,
                with_definitions(settings, CONCATENATED_DEFINITIONS),
                retrieve_for=indexes.random_for,
                key_of=key.key,
                feeding=Concatenated(),
            )
        )
        subjects.append(WithoutSuffix(key))
    if options.peer:
        subjects = [] if options.peer == "only" else subjects
        subjects += peer_subjects(
            options.cache,
            codec=model.codec,
            settings=settings,
            retrieve_for=indexes.retrieve_for,
            stack=stack,
        )
    manifest = installed.manifest
    about = {"model": model.name, "model_hash": manifest.model_hash[:12], "adapter": manifest.adapter_sha256}
    return subjects, about


def run_cases(cases: list[Case], subjects: list[Subject], file: Path) -> list[Outcome]:
    """Return all answers, those in the file first, with a bar."""
    with PhaseBar() as bar:

        def show(progress: RunProgress) -> None:
            detail = f"{progress.n_done} of {progress.n_total} answers, {progress.n_kept} from earlier runs"
            bar.update("evaluate", progress.n_done, progress.n_total, detail)

        return run(cases, subjects, ResultFile(file), on_progress=show)


def _selected(kinds: dict[str, Any]) -> dict[str, Any]:
    """Keep what the last line is for."""
    return {
        kind: {arm: {name: row[name] for name in ("n", *IN_JSON)} for arm, row in arms.items()}
        for kind, arms in kinds.items()
    }


def where() -> dict[str, Any]:
    """Return commit, date and processor."""
    git = ["git", "-C", str(RESULTS.parent)]
    commit = subprocess.run(
        [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=False
    )
    suffix = "-changed" if changed.stdout.strip() else ""
    return {
        "commit": (commit.stdout.strip() or "unknown") + suffix,
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
