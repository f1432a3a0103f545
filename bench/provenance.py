"""Whether the definition that a completion attended to most is one that it depends on.

    python bench/provenance.py --n 60

Completes cross-file cases of the development set that get at least three definitions, and asks for the shares
of attention as `crosslight complete --explain` does. Then completes each once more without the definition of
the largest share, without another one (drawn, seeded) and without that of the smallest, and counts how often
the text changes. Prints one JSON object as its last line, with 95 % intervals by bootstrap over cases. Each
case is told on standard error as it is done.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

from cases import development_set
from run import Indexes

from indexer.open_index import EmbedderSource
from lsp_server import assemble
from lsp_server.completer import Completer, CompletionRequest
from lsp_server.config import Settings
from lsp_server.evaluation.arms import unhurried
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.intervals import Estimate, mean_with_interval, paired_difference
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.evaluation.subject import language_in
from lsp_server.feeding import Fed, Feeding, Memories
from lsp_server.paths import Folders
from lsp_server.trace import CompletionTrace
from model.prompt import Prompt, PromptBudget
from model.turns import Interruptible, ModelTurns
from model.types import Memory

LEFT_OUT = ("largest share", "another", "smallest share")
_LEAST_DEFINITIONS = 3
_NICENESS = 10


class WithoutOne:
    """A way to feed definitions that leaves one memory out, and all else as it is."""

    def __init__(self, feeding: Feeding) -> None:
        self._feeding = feeding
        self.left_out: int | None = None
        """Index among the memories."""

    def budget(self, settings: Settings) -> PromptBudget:
        """Return what the other feeding does."""
        return self._feeding.budget(settings)

    @property
    def turns(self) -> ModelTurns:
        """Those of the other feeding."""
        return self._feeding.turns

    @property
    def models(self) -> tuple[Interruptible, ...]:
        """Those of the other feeding."""
        return self._feeding.models

    def feed(self, prompt: Prompt, *, encode_ms: float | None) -> Fed:
        """Return what the other feeding does, less one memory."""
        fed = self._feeding.feed(prompt, encode_ms=encode_ms)
        memories = [part for part in fed.parts if isinstance(part, Memory)]
        if self.left_out is None:
            return fed
        left_out = memories[self.left_out]
        return replace(fed, parts=tuple(part for part in fed.parts if part is not left_out))


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folders = Folders.of_user()
    parser.add_argument("--n", type=int, default=60, help="cases, drawn from all packages")
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    options = parser.parse_args()
    os.nice(_NICENESS)
    cases = [case for case in development_set(options.cache, frozen=False) if case.kind == "cross-file"]
    cases = sorted(cases, key=lambda case: case.id)[: options.n]
    folders = replace(folders, models=options.models)
    rows = list(_measured(sorted(cases, key=lambda case: str(case.repo)), folders, options.cache))
    table = {name: [float(row[name]) for row in rows] for name in LEFT_OUT}
    changed = {name: _figures(mean_with_interval(values)) for name, values in table.items()}
    difference = _figures(paired_difference(table[LEFT_OUT[0]], table[LEFT_OUT[1]]))
    print(json.dumps({"n": len(rows), "changed": changed, "largest_over_another": difference}))


def _measured(cases: Sequence[Case], folders: Folders, cache: Path) -> Iterator[dict[str, bool]]:
    settings = unhurried(Settings())
    model = assemble.start_model(folders, settings)
    with ExitStack() as stack:
        stack.callback(model.close)
        embedders = EmbedderSource(lambda: assemble.make_embedder(folders, settings))
        indexes = Indexes(cache / "provenance-indexes", embedders)
        stack.callback(indexes.close)
        if model.bank is None:
            sys.exit("this model has no memories")
        feeding = WithoutOne(Memories(model.bank, settings.retrieval.definition_tokens))
        completer = Completer(model, settings, feeding)
        for case in cases:
            row = _of_case(case, completer, feeding, indexes)
            if row is not None:
                print(case.id, case.path, row, file=sys.stderr)
                yield row


def _of_case(
    case: Case, completer: Completer, feeding: WithoutOne, indexes: Indexes
) -> dict[str, bool] | None:
    request = CompletionRequest(
        repo_name=case.repo.name,
        path=case.path,
        language=language_in(case),
        prefix=case.prefix,
        suffix=case.suffix,
        retrieve=without_own_target(case, indexes.retrieve_for(case)),
    )
    feeding.left_out = None
    text = completer.complete(request).text
    trace = completer.explain_last()
    shares = _shares(trace)
    if len(shares) < _LEAST_DEFINITIONS:
        return None
    largest, smallest = shares.index(max(shares)), shares.index(min(shares))
    another = random.Random(case.id).choice([i for i in range(len(shares)) if i != largest])
    row = {}
    for name, index in zip(LEFT_OUT, (largest, another, smallest), strict=True):
        feeding.left_out = index
        row[name] = completer.complete(request).text != text
    return row


def _figures(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {key: round(of, 3) for key, of in asdict(estimate).items()}


def _shares(trace: CompletionTrace | None) -> list[float]:
    """The shares of the definitions that were attended to, in the order of their memories: best first."""
    rows = trace.retrieved if trace else ()
    return [row.attention_share for row in rows if row.attention_share is not None]


if __name__ == "__main__":
    main()
