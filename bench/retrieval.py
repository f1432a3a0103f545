"""How well and how fast definitions are retrieved, on cross-file cases from packages younger than 2025.

`python bench/retrieval.py --split held-out` prints JSON: recall of the needed definitions and mean reciprocal
rank, for each retriever, for all of them joined and for all but each one. A definition counts as found when
it is among the first n; `shown@n` also accepts the skeleton of its class, which shows its signature.
`without_import` leaves the needed names out of the file's import statements, as when the author had yet to
write those.

`--fit` prints sign weights fitted to the development packages. `--latency FOLDER` times retrieval in another
repository instead, for instance the standard library.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from crossfile import PACKAGES, Case, Needed, Package, cases, fetch

from indexer.build import Vectors, build_index
from indexer.candidates import SIGN_WEIGHTS, find_candidates
from indexer.catalogue import Catalogue
from indexer.embed import repair
from indexer.resolve import Resolver
from indexer.retrieve import retrieve
from indexer.retrievers import imports_of_buffer
from indexer.symbols import read_surroundings
from indexer.types import Definition, Embedder, Import, RetrievalQuery, Retriever
from indexer.vectors import VectorStore
from lsp_server.assemble import make_embedder
from lsp_server.config import Settings
from lsp_server.paths import Folders

ALL: tuple[Retriever, ...] = ("symbol", "bm25", "vector")
ARMS: Mapping[str, tuple[Retriever, ...]] = {
    "symbol": ("symbol",),
    "bm25": ("bm25",),
    "vector": ("vector",),
    "joined": ALL,
    "without symbol": ("bm25", "vector"),
    "without bm25": ("symbol", "vector"),
    "without vector": ("symbol", "bm25"),
}
RANKS = (1, 5, 10)
_N = 20
_SHARE_WITHOUT_IMPORT = 0.4
"""Of a case without its import in the fit, against one as written: more of it is luck."""


@dataclass(frozen=True, slots=True)
class Repository:
    """An indexed package."""

    catalogue: Catalogue
    vectors: VectorStore
    embedder: Embedder


class WithoutImports:
    """A catalogue that does not know what one file imports under some names."""

    def __init__(self, catalogue: Catalogue, path: str, names: frozenset[str]) -> None:
        self._catalogue = catalogue
        self._path = path
        self._names = names

    def __getattr__(self, name: str) -> object:
        return getattr(self._catalogue, name)

    def imports_of(self, path: str) -> list[tuple[Import, tuple[str, ...]]]:
        """Return a file's imports but for those names."""
        rows = self._catalogue.imports_of(path)
        return [row for row in rows if path != self._path or row[0].local_name not in self._names]


def index(root: Path, folder: Path, embedder: Embedder) -> Repository:
    """Index a folder, or bring its index up to date."""
    catalogue = Catalogue.open(folder / "catalogue.sqlite")
    store = VectorStore.open(folder / "chroma", collection="bench", embedder=embedder.name)
    repair(catalogue, store, embedder)
    build_index(
        root,
        catalogue=catalogue,
        open_vectors=lambda: Vectors(store, embedder),
        on_progress=lambda _: None,
        cancelled=lambda: False,
    )
    return Repository(catalogue, store, embedder)


def accepted(needed: Needed, catalogue: Catalogue) -> tuple[frozenset[str], frozenset[str]]:
    """Return the ids that are the needed definition, and those that at least show its signature.

    A field is no definition of its own: its class is what is needed. Overloads count as one.
    """
    in_file = catalogue.definitions_in(needed.path)
    around = [d for d in in_file if d.span.start_line <= needed.line < d.span.end_line]
    exact = [d for d in around if d.name == needed.name] or around[-1:]
    names = {d.qualified_name for d in exact}
    ids = frozenset(d.id for d in in_file if d.qualified_name in names)
    return ids, ids | {d.id for d in around if d.kind in {"class", "interface"}}


def without_imports(prefix: str, names: frozenset[str]) -> str:
    """Return a prefix whose import statements no longer bring in these names."""
    kept: list[str] = []
    for line in prefix.split("\n"):
        is_statement = re.match(r"\s*(?:from|import)\b", line)
        if is_statement or re.match(r"\s+\w+(?: as \w+)?,?\s*(?:#.*)?$", line):
            head, word, rest = line.partition("import ") if is_statement else ("", "", line)
            for name in names:
                rest = re.sub(rf"\b{name}\b(?: as \w+)?,?\s*", "", rest)
            if is_statement and not rest.strip(" ()"):
                continue
            line = head + word + rest  # noqa: PLW2901 - the line without those names
        kept.append(line)
    return "\n".join(kept)


def judge(
    package: Package, repository: Repository, cache: Path
) -> Iterator[tuple[str, str, str, list[float]]]:
    """Yield (arm, condition, stratum, [rr, recall@1, 5, 10, shown@1, 5, 10]) for each needed definition."""
    for case in cases(package, cache):
        wanted = [accepted(needed, repository.catalogue) for needed in case.needed]
        names = frozenset(needed.name for needed in case.needed)
        for condition, catalogue, prefix in (
            ("as_written", repository.catalogue, case.prefix),
            (
                "without_import",
                WithoutImports(repository.catalogue, case.path, names),
                without_imports(case.prefix, names),
            ),
        ):
            query = RetrievalQuery(case.path, prefix, case.suffix, _N, deadline_ms=1e9)
            for arm, retrievers in ARMS.items():
                result = retrieve(
                    replace(query, retrievers=retrievers),
                    catalogue=catalogue,
                    vectors=repository.vectors,
                    embedder=repository.embedder,
                    clock=time.perf_counter,
                )
                ids = [row.definition.id for row in result.retrieved if row.definition.path != case.path]
                for exact, shown in wanted:
                    if exact:
                        yield arm, condition, case.stratum, _scores(ids, exact, shown)


def _scores(ids: Sequence[str], exact: frozenset[str], shown: frozenset[str]) -> list[float]:
    first = next((rank for rank, id_ in enumerate(ids, start=1) if id_ in exact), 10**9)
    first_shown = next((rank for rank, id_ in enumerate(ids, start=1) if id_ in shown), 10**9)
    return [1 / first, *(float(first <= n) for n in RANKS), *(float(first_shown <= n) for n in RANKS)]


def evaluate(packages: Sequence[Package], cache: Path, embedder: Embedder) -> dict[str, object]:
    """Return the mean scores by condition, arm and stratum, and the latency over all packages."""
    scores: defaultdict[tuple[str, str, str], list[list[float]]] = defaultdict(list)
    for package in packages:
        repository = index(fetch(package, cache), cache / "indexes" / package.name, embedder)
        for arm, condition, stratum, row in judge(package, repository, cache):
            for key in ("all", stratum, package.name):
                scores[condition, arm, key].append(row)
    columns = ("mrr", *(f"recall@{n}" for n in RANKS), *(f"shown@{n}" for n in RANKS))
    table: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (condition, arm, key), rows in scores.items():
        if arm != "joined" and key != "all":
            continue
        means = np.mean(rows, axis=0)
        named = {column: round(float(mean), 3) for column, mean in zip(columns, means, strict=True)}
        table.setdefault(condition, {}).setdefault(arm, {})[key] = {"n": len(rows), **named}
    return table


def latency(root: Path, cache: Path, embedder: Embedder, n_queries: int = 300) -> dict[str, object]:
    """Return how long a warm retrieval takes at random cursors of a repository, by phase."""
    repository = index(root, cache / "indexes" / f"latency-{root.name}", embedder)
    rng = random.Random(0)
    paths = sorted(path for path in repository.catalogue.files() if path.endswith(".py"))
    times: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(n_queries + 20):  # the first ones warm caches up
        path = rng.choice(paths)
        text = (root / path).read_text("utf-8", errors="replace")
        at = rng.randrange(len(text) + 1)
        result = retrieve(
            RetrievalQuery(path, text[:at], text[at:], 8, deadline_ms=1e9),
            catalogue=repository.catalogue,
            vectors=repository.vectors,
            embedder=embedder,
            clock=time.perf_counter,
        )
        if number >= 20:
            for phase, elapsed_ms in result.elapsed_ms.items():
                times[phase].append(elapsed_ms)
    percentiles = {
        phase: {f"p{p}_ms": round(float(np.percentile(rows, p)), 2) for p in (50, 95, 99)}
        for phase, rows in times.items()
    }
    return {"n_definitions": repository.catalogue.statistics().n_definitions, **percentiles}


def fit(packages: Sequence[Package], cache: Path, embedder: Embedder) -> dict[str, float]:
    """Return sign weights under which authors' next definitions are likeliest: softmax over candidates."""
    tables: list[tuple[np.ndarray, np.ndarray, float]] = []
    for package in packages:
        repository = index(fetch(package, cache), cache / "indexes" / package.name, embedder)
        for case in cases(package, cache):
            tables += _choices(case, repository.catalogue)
    weights = np.array(list(SIGN_WEIGHTS.values()))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, 501):  # Adam
        gradient = 0.004 * weights
        for signs, chosen, share in tables:
            odds = np.exp(signs @ weights - (signs @ weights).max())
            wanted = odds * chosen
            gradient += (odds / odds.sum() - wanted / wanted.sum()) @ signs * share / len(tables)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        weights = weights - 0.05 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return {sign: round(float(weight), 2) for sign, weight in zip(SIGN_WEIGHTS, weights, strict=True)}


def _choices(case: Case, catalogue: Catalogue) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Yield (signs of the candidates, 1 for needed ones, weight) for each needed definition among them."""
    names = frozenset(needed.name for needed in case.needed)
    hidden = WithoutImports(catalogue, case.path, names)
    for source, prefix, share in (
        (catalogue, case.prefix, 1.0),
        (hidden, without_imports(case.prefix, names), _SHARE_WITHOUT_IMPORT),
    ):
        around = read_surroundings(prefix, case.suffix)
        imports = imports_of_buffer(prefix, case.path, around.n_uses, source)
        found = find_candidates(
            around, path=case.path, resolver=Resolver(source, case.path, imports), source=source
        )
        others: list[tuple[Definition, Mapping[str, float]]] = [
            (candidate.definition, candidate.signs)
            for candidate in found
            if candidate.definition.path != case.path
        ]
        signs = np.array([[row.get(sign, 0.0) for sign in SIGN_WEIGHTS] for _, row in others])
        for needed in case.needed:
            exact, _ = accepted(needed, catalogue)
            chosen = np.array([float(definition.id in exact) for definition, _ in others])
            if chosen.any():
                yield signs, chosen, share


def main() -> None:
    """Run what was asked for and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--split", choices=("development", "held-out"), default="held-out")
    folders = Folders.of_user()
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    parser.add_argument("--latency", type=Path, metavar="FOLDER")
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    embedder = make_embedder(replace(folders, models=options.models), Settings())
    if embedder is None:
        sys.exit("No model is installed: run `crosslight model pull`.")
    packages = [package for package in PACKAGES if package.split == options.split]
    if options.latency:
        report: Mapping[str, object] = latency(options.latency.resolve(), options.cache, embedder)
    elif options.fit:
        report = fit(
            [package for package in PACKAGES if package.split == "development"], options.cache, embedder
        )
    else:
        report = evaluate(packages, options.cache, embedder)
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
