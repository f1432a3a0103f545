"""Compares models case by case, such as one model with different adapters.

    python bench/quality/models.py --model plain=PLAIN/crosslight/models --model adapted=... --arm memories

The first model is what the others are compared with, in each arm. Everything is as in `run.py`, whose answers
are not asked for again. The last line of output is one JSON object: for each kind and arm, and each model,

- `exact_match`, `edit_similarity`, `nll_per_byte`, and their differences to the first model, case by case;
- `exact_ratio`: exact matches over those of the first model;
- `ends_itself`: the share of completions that the model ended by a control token, where others are cut at the
  end of the line, of the block, or of what may be written;
- `lines`: how many lines the completions have, over the author's;
- `leaked`: completions that show a code fence or a marker, or that were not shown for being prose or markers;
- `gain_kept`: how much of what `concatenated` takes off `off`'s nats a byte `memories` takes off.

All with 95 % intervals, by bootstrap over cases.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from run import NICENESS, RESULTS, chosen_cases, run_cases, subjects_of, where

from lsp_server.evaluation.choices import ARMS, DRAWN_KINDS
from lsp_server.evaluation.intervals import Estimate, mean_with_interval, paired_difference, resampled
from lsp_server.evaluation.metrics import score
from lsp_server.evaluation.runner import Outcome
from lsp_server.evaluation.subject import language_in
from lsp_server.paths import Folders

_LEAKS = frozenset({"prose", "control_text"})
_MARKS = ("```", "<|")

Answers = dict[tuple[str, str], dict[str, Outcome]]
"""(model, arm) -> case id -> outcome."""


def main() -> None:
    """Ask all models, and print what they are worth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folders = Folders.of_user()
    parser.add_argument("--model", action="append", required=True, metavar="NAME=FOLDER", help="of models")
    parser.add_argument("--set", choices=("frozen", "development"), default="development")
    parser.add_argument("--arm", action="append", choices=ARMS, help="all if left out")
    parser.add_argument("--kind", action="append", choices=DRAWN_KINDS, help="all if left out")
    parser.add_argument("--n", type=int, help="cases of each kind, drawn at random; all if left out")
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    options = parser.parse_args()
    options.faults, options.peer = False, None
    os.nice(NICENESS)
    here = where()
    cases = chosen_cases(options)
    kinds, arms = options.kind or DRAWN_KINDS, options.arm or ARMS
    models = {name: folder for name, _, folder in (pair.partition("=") for pair in options.model)}
    if len(models) < len(options.model) or not all(models.values()):
        parser.error("each --model is NAME=FOLDER, and each name another one")
    answers: Answers = {}
    abouts: dict[str, dict[str, Any]] = {}
    for name, folder in models.items():
        of_model = replace(folders, models=Path(folder).expanduser(), index=options.cache / "index")
        with ExitStack() as stack:
            subjects, abouts[name] = subjects_of(of_model, options, stack)
            for outcome in run_cases(cases, subjects, options.cache / "quality-answers.jsonl"):
                answers.setdefault((name, outcome.arm), {})[outcome.case.id] = outcome
    table = {kind: _figures(kind, list(models), arms, answers) for kind in kinds}
    result = {"set": options.set, "n_cases": len(cases), "models": abouts, **here, "kinds": table}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"models-{options.set}-{len(cases)}-{here['commit']}.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def _figures(kind: str, models: Sequence[str], arms: Sequence[str], answers: Answers) -> dict[str, Any]:
    """Return arm -> model -> figures, of one kind of case."""
    table: dict[str, Any] = {}
    for arm in arms:
        first = _of_kind(answers[models[0], arm], kind)
        table[arm] = {name: _row(_of_kind(answers[name, arm], kind), first) for name in models}
    if {"off", "concatenated", "memories"} <= {*arms}:
        table["gain_kept"] = {
            name: _gain_kept(*(_of_kind(answers[name, arm], kind) for arm in ARMS)) for name in models
        }
    return table


def _of_kind(outcomes: dict[str, Outcome], kind: str) -> list[Outcome]:
    return sorted((one for one in outcomes.values() if one.case.kind == kind), key=lambda one: one.case.id)


def _row(outcomes: list[Outcome], first: list[Outcome]) -> dict[str, Any]:
    """Return one model's figures in one arm; both lists are of the same cases."""
    row: dict[str, Any] = {"n": len(outcomes)}
    scores, others = ([_score(one) for one in some] for some in (outcomes, first))
    for metric in ("exact_match", "edit_similarity"):
        values, base = ([one[metric] for one in some] for some in (scores, others))
        row[metric] = _json(mean_with_interval(values))
        row[f"{metric}, difference"] = _json(paired_difference(values, base))
    exact, exact_base = (np.array([one["exact_match"] for one in some]) for some in (scores, others))
    ratio = resampled(lambda n: (n @ exact) / np.maximum(n @ exact_base, 1), len(exact))
    row["exact_ratio"] = _json(ratio) if exact_base.any() else None
    n_bytes = [one.answer.n_scored_bytes for one in outcomes]
    nats, base_nats = (
        [_nats(one) / max(1, n) for one, n in zip(some, n_bytes, strict=True)] for some in (outcomes, first)
    )
    row["nll_per_byte"] = _json(mean_with_interval(nats, n_bytes))
    row["nll_per_byte, difference"] = _json(paired_difference(nats, base_nats, n_bytes))
    row["ends_itself"] = _json(
        mean_with_interval([float(one.answer.stop_reason == "control_token") for one in outcomes])
    )
    row["lines"] = _json(mean_with_interval([_n_lines(one) for one in outcomes]))
    row["leaked"] = sum(_is_leak(one) for one in outcomes)
    row["not_shown"] = sum(one.answer.suppression_reason is not None for one in outcomes)
    return row


def _score(outcome: Outcome) -> dict[str, float]:
    case, answer = outcome.case, outcome.answer
    return asdict(score(case, answer.text, answer.replaces, language_in(case)))


def _nats(outcome: Outcome) -> float:
    nats = outcome.answer.nats
    assert nats is not None, "our own models tell probabilities"
    return nats


def _n_lines(outcome: Outcome) -> float:
    written, wanted = (
        text.strip("\n").count("\n") + 1 for text in (outcome.answer.text, outcome.case.target)
    )
    return written / wanted


def _is_leak(outcome: Outcome) -> bool:
    answer = outcome.answer
    shown = answer.text if answer.suppression_reason is None else ""
    author = outcome.case.target
    return answer.suppression_reason in _LEAKS or any(mark in shown and mark not in author for mark in _MARKS)


def _gain_kept(off: list[Outcome], concatenated: list[Outcome], memories: list[Outcome]) -> dict[str, float]:
    nats = [np.array([_nats(one) for one in some]) for some in (off, concatenated, memories)]

    def kept(n: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        without, text, memory = (n @ one for one in nats)
        return np.asarray((without - memory) / np.maximum(without - text, 1e-9))

    return _json(resampled(kept, len(off)))


def _json(estimate: Estimate | None) -> dict[str, float]:
    assert estimate is not None, "there are cases"
    return {name: round(value, 4) for name, value in asdict(estimate).items()}


if __name__ == "__main__":
    main()
