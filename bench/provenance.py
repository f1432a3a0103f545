"""Whether the definition that a completion attended to most is one that it depends on.

    python bench/provenance.py --n 60

Completes cross-file cases of the development set that get at least three definitions, and asks for the shares
of attention as `crosslight complete --explain` does. Then completes each once more without the definition of
the largest share, without another one (drawn, seeded) and without that of the smallest, and counts how often
the text changes. Prints one JSON object as its last line, with 95 % intervals by bootstrap over cases. Each
case is told on standard error as it is done.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

from case_benches import opened, options_for, request_of
from cases import development_set
from run import Indexes

from lsp_server.completer import Completer
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.intervals import Estimate, mean_with_interval, paired_difference
from lsp_server.feeding import Fed, Memories
from lsp_server.paths import Folders
from lsp_server.trace import CompletionTrace
from model.prompt import Prompt
from model.types import Memory

LEFT_OUT = ("largest share", "another", "smallest share")
_LEAST_DEFINITIONS = 3


class WithoutOne(Memories):
    """Feeds definitions as users have them, but for one memory that it leaves out."""

    left_out: int | None = None
    """Index among the memories."""

    def feed(self, prompt: Prompt, *, encode_ms: float | None) -> Fed:
        """See `Feeding`."""
        fed = super().feed(prompt, encode_ms=encode_ms)
        if self.left_out is None:
            return fed
        left_out = [part for part in fed.parts if isinstance(part, Memory)][self.left_out]
        return replace(fed, parts=tuple(part for part in fed.parts if part is not left_out))


def main() -> None:
    """Measure, and print the figures."""
    options = options_for(__doc__, n=60, n_help="cases, drawn from all packages")
    cases = [case for case in development_set(options.cache, frozen=False) if case.kind == "cross-file"]
    cases = sorted(cases, key=lambda case: case.id)[: options.n]
    folders = replace(Folders.of_user(), models=options.models)
    rows = list(_measured(sorted(cases, key=lambda case: str(case.repo)), folders, options.cache))
    table = {name: [float(row[name]) for row in rows] for name in LEFT_OUT}
    changed = {name: _figures(mean_with_interval(values)) for name, values in table.items()}
    difference = _figures(paired_difference(table[LEFT_OUT[0]], table[LEFT_OUT[1]]))
    print(json.dumps({"n": len(rows), "changed": changed, "largest_over_another": difference}))


def _measured(cases: Sequence[Case], folders: Folders, cache: Path) -> Iterator[dict[str, bool]]:
    with opened(folders, cache / "provenance-indexes") as bench:
        if bench.model.bank is None:
            sys.exit("this model has no memories")
        feeding = WithoutOne(bench.model.bank, bench.settings.retrieval.definition_tokens)
        completer = Completer(bench.model, bench.settings, feeding)
        for case in cases:
            row = _of_case(case, completer, feeding, bench.indexes)
            if row is not None:
                print(case.id, case.path, row, file=sys.stderr)
                yield row


def _of_case(
    case: Case, completer: Completer, feeding: WithoutOne, indexes: Indexes
) -> dict[str, bool] | None:
    request = request_of(case, indexes)
    feeding.left_out = None
    text = completer.complete(request).text
    trace = completer.explain()
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
