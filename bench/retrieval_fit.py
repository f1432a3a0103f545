"""Sign weights for `indexer/candidates.py`, fitted to what authors used next in the development packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from crossfile import Case, Package, cases, fetch
from judging import WithoutImports, accepted, index, without_imports

from indexer.buffer import imports_of_buffer
from indexer.candidates import SIGN_WEIGHTS, find_candidates
from indexer.catalogue import Catalogue
from indexer.infer import Inference
from indexer.resolve import Resolver
from indexer.symbols import read_surroundings
from indexer.types import Definition, Embedder

_SHARE_WITHOUT_IMPORT = 0.4
"""Of a case without its import in the fit, against one as written: more of it is luck."""


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
            around,
            path=case.path,
            inference=Inference(Resolver(source, case.path, imports), case.path),
            source=source,
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
