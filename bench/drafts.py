"""What drafts save: tokens a pass, passes and milliseconds with and without them, by kind of case.

    python bench/drafts.py --n 60                    so many cases of each kind; goes on where it stood
    python bench/drafts.py --n 10 --kind block

Each case of the development set is retrieved for and read as for a user, memories and all. Then, with the
prompt in the buffer, it is completed with drafts and without, in turns, from nothing learned; and again one
and three characters further into the target (`next keystroke`), with what was drafted from a moment ago. The
shorter of two times counts. That the tokens are the same is checked. Outcomes are kept in the cache as they
are made; the last line of output is one JSON object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

from case_benches import opened, options_for
from cases import development_set
from latency.sources import where

from indexer.at_cursor import AtCursor
from indexer.scope import ScopeStop
from indexer.syntax import block_opening, wants_multi_line
from indexer.types import RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.completer import Completer, CompletionRequest, Retrieve, RunningModel
from lsp_server.config import Settings
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.choices import DRAWN_KINDS
from lsp_server.evaluation.intervals import mean_with_interval
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.evaluation.subject import language_in
from lsp_server.feeding import Fed
from lsp_server.paths import Folders
from model.decode import DecodeOptions, Generation, generate
from model.draft import Drafts
from model.kept_encodings import KeptEncodings
from model.prompt import Prompt
from model.types import Drafter

NEXT = "next keystroke"
_TYPED = (1, 3)
"""Characters of the target that are typed before the completions of `NEXT`."""
_ROUNDS = 2


class Asked:
    """Retrieves, and remembers what came."""

    def __init__(self, retrieve: Retrieve) -> None:
        self._retrieve = retrieve
        self.rows: tuple[Retrieved, ...] = ()

    def __call__(self, query: RetrievalQuery) -> RetrievalResult:
        """Ask the index."""
        result = self._retrieve(query)
        self.rows = result.retrieved
        return result


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor as the model reads it."""

    request: CompletionRequest
    prompt: Prompt
    fed: Fed
    examples: tuple[str, ...]


class Measuring:
    """Completes places with drafts and without."""

    def __init__(self, model: RunningModel, settings: Settings) -> None:
        self._model = model
        self._settings = settings
        self._codec = KeptEncodings(model.codec)
        self._completer = Completer(model, settings)

    def outcomes(self, case: Case, retrieve: Retrieve) -> Iterator[dict[str, Any]]:
        """Yield one row for the case, and for a line one for each `_TYPED`."""
        lives = [Drafts(self._codec) for _ in range(_ROUNDS)]
        asked = Asked(without_own_target(case, retrieve))
        request = self._request(case, "", asked)
        self._completer.forget()
        self._completer.complete(request)
        place = self._place(request, asked.rows)
        yield {"kind": case.kind, **self._compared(place, lives)}
        for n in _TYPED if not request.multi_line and len(case.target.strip()) > max(_TYPED) else ():
            place = self._place(self._request(case, case.target[:n], asked), asked.rows)
            yield {"kind": NEXT, **self._compared(place, lives)}

    def _request(self, case: Case, typed: str, retrieve: Retrieve) -> CompletionRequest:
        """The case's cursor; where a block begins, that behind its first line break and indentation."""
        language = language_in(case)
        cursor = AtCursor(language, case.prefix + typed, case.suffix)
        multi_line = wants_multi_line(cursor)
        return CompletionRequest(
            repo_name=case.repo.name,
            path=case.path,
            language=language,
            prefix=case.prefix + typed + (block_opening(cursor) if multi_line else ""),
            suffix=case.suffix,
            multi_line=multi_line,
            retrieve=retrieve,
        )

    def _place(self, request: CompletionRequest, rows: Sequence[Retrieved]) -> Place:
        n = self._settings.retrieval.definitions
        prompt, fed = self._completer.read(request, rows)
        return Place(request, prompt, fed, tuple(row.definition.text for row in rows[n:]))

    def _compared(self, place: Place, lives: Sequence[Drafts]) -> dict[str, Any]:
        """Complete a place with drafts and without, in turns, once in each life of drafts."""
        times: dict[bool, list[float]] = {True: [], False: []}
        made: dict[bool, Generation] = {}
        self._generated(place, None)  # the prompt is in the buffer from here on
        for drafts in lives:
            for drafter in (drafts.begin(place.prompt, place.examples), None):
                drafted = drafter is not None
                made[drafted] = self._generated(place, drafter)
                times[drafted].append(sum(made[drafted].elapsed_ms.values()))
        if made[True].token_ids != made[False].token_ids:
            sys.exit(f"drafts changed the completion of {place.request.path}")
        return {
            "n_tokens": len(made[True].token_ids),
            "n_rows": len(made[True].token_ids) + (made[True].stop_reason == "control_token"),
            "passes": made[False].n_passes,
            "passes_drafted": made[True].n_passes,
            "offered": made[True].n_drafted_tokens,
            "accepted": made[True].n_accepted_tokens,
            "ms": min(times[False]),
            "ms_drafted": min(times[True]),
        }

    def _generated(self, place: Place, drafter: Drafter | None) -> Generation:
        request, limits = place.request, self._settings.completion
        rule = ScopeStop(AtCursor(request.language, request.prefix, request.suffix))
        return generate(
            self._model.decoder,
            self._codec,
            place.prompt,
            parts=place.fed.parts,
            options=DecodeOptions(
                max_tokens=limits.max_block_tokens if request.multi_line else limits.max_line_tokens,
                single_line=not request.multi_line,
            ),
            stop_rule=rule if request.multi_line else None,
            drafter=drafter,
        )


def main() -> None:
    """Measure, and print the figures."""
    options = options_for(__doc__, n=60, n_help="cases of each kind", kinds=DRAWN_KINDS)
    cases = sorted(development_set(options.cache, frozen=False), key=lambda case: case.id)
    kinds = options.kind or DRAWN_KINDS
    chosen = [case for kind in kinds for case in [c for c in cases if c.kind == kind][: options.n]]
    folders = replace(Folders.of_user(), models=options.models, index=options.cache / "index")
    commit = where()["commit"]
    file = options.cache / f"drafts-{commit}.jsonl"
    rows = list(_rows(sorted(chosen, key=lambda case: str(case.repo)), folders, file, options.cache))
    tables = {
        kind: _figures(of_kind)
        for kind in (*kinds, NEXT)
        if (of_kind := [r for r in rows if r["kind"] == kind])
    }
    print(json.dumps({"commit": commit, "kinds": tables}))


def _rows(cases: Sequence[Case], folders: Folders, file: Path, cache: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of all cases, and keep those that are new."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    kept: dict[str, list[dict[str, Any]]] = {row["case"]: row["rows"] for row in map(json.loads, lines)}
    with opened(folders, cache / "quality-indexes") as bench:
        measuring = Measuring(bench.model, bench.settings)
        for case in cases:
            if case.id not in kept:
                kept[case.id] = list(measuring.outcomes(case, bench.indexes.retrieve_for(case)))
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps({"case": case.id, "rows": kept[case.id]}) + "\n")
                print(case.id, case.path, kept[case.id][0], file=sys.stderr)
            yield from kept[case.id]


def _figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return sums as rates: of tokens a pass, and of the time with drafts over that without."""

    def mean(name: str) -> float:
        return round(sum(row[name] for row in rows) / len(rows), 2)

    ratio = mean_with_interval([row["ms_drafted"] / row["ms"] for row in rows], [row["ms"] for row in rows])
    assert ratio is not None
    n_rows = sum(row["n_rows"] for row in rows)
    return {
        "n": len(rows),
        **{name: mean(name) for name in ("n_tokens", "passes", "passes_drafted", "offered", "accepted")},
        "tokens_a_pass": round(n_rows / sum(row["passes"] for row in rows), 2),
        "tokens_a_pass_drafted": round(n_rows / sum(row["passes_drafted"] for row in rows), 2),
        "ms": mean("ms"),
        "ms_drafted": mean("ms_drafted"),
        "ratio": [round(value, 3) for value in (ratio.mean, ratio.low, ratio.high)],
    }


if __name__ == "__main__":
    main()
