"""How well and how fast definitions are retrieved.

`python bench/retrieval.py --split held-out` prints JSON, over cross-file cases from packages younger than
2025 (`crossfile.py`): recall of the needed definitions and mean reciprocal rank, for each retriever, for all
of them joined and for all but each one. A definition counts as found when it is among the first n; `shown@n`
also accepts the skeleton of its class, which shows its signature. `without_import` leaves the needed names
out of the file's import statements, as when the author had yet to write those. Definitions of the case's own
file are passed over.

`--set quality` measures the same over the development set of `quality/`, by kind of case, where what the
prompt does not show of the case's own file is needed too, and takes up ranks. TypeScript stands apart
(`quality/needed.py` says why).

`--fit` prints sign weights fitted to the development packages. `--latency FOLDER` times retrieval in another
repository instead, for instance the standard library.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from crossfile import PACKAGES, Needed, Package, cases, fetch
from judging import (
    ARMS,
    Repository,
    WithoutImports,
    accepted,
    index,
    scores,
    table_of,
    without_imports,
)
from retrieval_fit import fit

from indexer.cached_reader import CachedReader
from indexer.catalogue import Catalogue
from indexer.own_file import OwnFiles, StampedSource
from indexer.retrieve import retrieve
from indexer.types import Embedder, RetrievalQuery, RetrievalResult
from lsp_server.assemble import make_embedder
from lsp_server.config import Settings
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.paths import Folders

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

from cases import development_set
from needed import VISIBLE_LINES, needed_by_python, needed_by_typescript

_N = 30
Row = tuple[str, str, str, list[float]]
"""Arm, condition, group, scores."""


def judge(package: Package, repository: Repository, cache: Path, arms: Sequence[str]) -> Iterator[Row]:
    """Yield the scores of each needed definition of a package's cross-file cases, by stratum."""
    kept = CachedReader(repository.catalogue)  # nobody writes meanwhile
    for case in cases(package, cache):
        wanted = [accepted(needed, repository.catalogue) for needed in case.needed]
        names = frozenset(needed.name for needed in case.needed)
        for condition, catalogue, prefix in (
            ("as_written", kept, case.prefix),
            (
                "without_import",
                WithoutImports(kept, case.path, names),
                without_imports(case.prefix, names),
            ),
        ):
            query = RetrievalQuery(case.path, prefix, case.suffix, _N, deadline_ms=1e9)
            ask = _asker(repository, catalogue)
            for arm in arms:
                result = ask(replace(query, retrievers=ARMS[arm]))
                ids = [row.definition.id for row in result.retrieved if row.definition.path != case.path]
                for exact, shown in wanted:
                    if exact:
                        yield arm, condition, case.stratum, scores(ids, exact, shown)


def judge_quality(
    repository: Repository, of_repository: Sequence[Case], cache: Path, arms: Sequence[str]
) -> Iterator[Row]:
    """Yield the scores of each definition that a target of the development set needs, by kind of case."""
    by_python = needed_by_python(of_repository, cache)
    kept = CachedReader(repository.catalogue)
    for case in of_repository:
        is_python = case.id in by_python
        needed = by_python[case.id] if is_python else needed_by_typescript(case, repository.catalogue)
        wanted = [_accepted_of(one, case, repository) for one in needed]
        query = RetrievalQuery(
            case.path,
            case.prefix,
            case.suffix,
            _N,
            deadline_ms=1e9,
            visible_lines_before=VISIBLE_LINES[0],
            visible_lines_after=VISIBLE_LINES[1],
        )
        ask = without_own_target(case, _asker(repository, kept))
        for arm in arms:
            result = ask(replace(query, retrievers=ARMS[arm]))
            ids = [row.definition.id for row in result.retrieved]
            for one, (exact, shown) in zip(needed, wanted, strict=True):
                if exact:
                    row = scores(ids, exact, shown)
                    yield arm, "python" if is_python else "typescript", case.kind, row
                    if one.path == case.path:
                        yield arm, "own file, out of sight", case.kind, row


def _accepted_of(needed: Needed, case: Case, repository: Repository) -> tuple[frozenset[str], frozenset[str]]:
    """Return what counts as found; of the case's own file no local variable and no field is waited for."""
    if needed.path == case.path:
        own = repository.catalogue.definitions_in(case.path)
        if not any(d.name == needed.name and d.span.start_line <= needed.line < d.span.end_line for d in own):
            return frozenset(), frozenset()
    return accepted(needed, repository.catalogue)


def _asker(repository: Repository, source: StampedSource) -> Callable[[RetrievalQuery], RetrievalResult]:
    own_files = OwnFiles()

    def ask(query: RetrievalQuery) -> RetrievalResult:
        return retrieve(
            query,
            catalogue=source,
            vectors=repository.vectors,
            embedder=repository.embedder,
            clock=time.perf_counter,
            own_files=own_files,
        )

    return ask


def evaluate(
    packages: Sequence[Package], cache: Path, embedder: Embedder, arms: Sequence[str]
) -> dict[str, object]:
    """Return the mean scores by condition, arm and stratum."""
    rows: defaultdict[tuple[str, str, str], list[list[float]]] = defaultdict(list)
    for package in packages:
        repository = index(fetch(package, cache), cache / "indexes" / package.name, embedder)
        for arm, condition, stratum, row in judge(package, repository, cache, arms):
            for group in ("all", stratum, package.name):
                rows[condition, arm, group].append(row)
    return dict(table_of(rows))


def evaluate_quality(cache: Path, embedder: Embedder, arms: Sequence[str]) -> dict[str, object]:
    """Return the mean scores over the development set by language, arm and kind of case."""
    by_root: defaultdict[Path, list[Case]] = defaultdict(list)
    for case in development_set(cache, frozen=False):
        by_root[case.repo].append(case)
    rows: defaultdict[tuple[str, str, str], list[list[float]]] = defaultdict(list)
    for root, of_root in by_root.items():
        repository = index(root, cache / "indexes" / f"quality-{root.name}", embedder)
        for arm, condition, kind, row in judge_quality(repository, of_root, cache, arms):
            for group in ("all", kind, root.name):
                rows[condition, arm, group].append(row)
    return dict(table_of(rows))


def latency(root: Path, cache: Path, embedder: Embedder, n_queries: int = 300) -> dict[str, object]:
    """Return how long a warm retrieval takes in a repository, by phase.

    `scattered` asks at random cursors of random files, so that each question is new; `session` asks some
    keystrokes further on in the same file four times out of five, as an editor does.
    """
    repository = index(root, cache / "indexes" / f"latency-{root.name}", embedder)
    report: dict[str, object] = {"n_definitions": repository.catalogue.statistics().n_definitions}
    for name, n_in_file in (("scattered", 1), ("session", 5)):
        times = _times(root, repository, n_queries, n_in_file)
        report[name] = {
            phase: {f"p{p}_ms": round(float(np.percentile(rows, p)), 2) for p in (50, 95, 99)}
            for phase, rows in times.items()
        }
    return report


def _times(root: Path, repository: Repository, n_queries: int, n_in_file: int) -> Mapping[str, list[float]]:
    rng = random.Random(0)
    paths = sorted(path for path in repository.catalogue.files() if path.endswith(".py"))
    times: defaultdict[str, list[float]] = defaultdict(list)
    path, text, at = "", "", 0
    with Catalogue.open(repository.catalogue.path, read_only=True) as catalogue:
        reader, own_files = CachedReader(catalogue), OwnFiles()
        for number in range(n_queries + 20):  # the first ones warm caches up
            if number % n_in_file == 0:
                path = rng.choice(paths)
                text = (root / path).read_text("utf-8", errors="replace")
                at = rng.randrange(len(text) + 1)
            at = min(len(text), at + rng.randrange(12))
            reader.refresh()
            result = retrieve(
                RetrievalQuery(path, text[:at], text[at:], 8, deadline_ms=1e9),
                catalogue=reader,
                vectors=repository.vectors,
                embedder=repository.embedder,
                clock=time.perf_counter,
                own_files=own_files,
            )
            if number >= 20:
                for phase, elapsed_ms in result.elapsed_ms.items():
                    times[phase].append(elapsed_ms)
    return times


def main() -> None:
    """Run what was asked for and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--split", choices=("development", "held-out"), default="held-out")
    folders = Folders.of_user()
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    parser.add_argument("--latency", type=Path, metavar="FOLDER")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--set", choices=("crossfile", "quality"), default="crossfile")
    parser.add_argument("--arm", choices=tuple(ARMS), action="append", help="of all; may be given repeatedly")
    options = parser.parse_args()
    embedder = make_embedder(replace(folders, models=options.models), Settings())
    if embedder is None:
        sys.exit("No model is installed: run `crosslight model pull`.")
    packages = [package for package in PACKAGES if package.split == options.split]
    if options.latency:
        report: Mapping[str, object] = latency(options.latency.resolve(), options.cache, embedder)
    elif options.set == "quality":
        report = evaluate_quality(options.cache, embedder, options.arm or tuple(ARMS))
    elif options.fit:
        report = fit(
            [package for package in PACKAGES if package.split == "development"], options.cache, embedder
        )
    else:
        report = evaluate(packages, options.cache, embedder, options.arm or tuple(ARMS))
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
