"""From answers to the figures of a table: by kind of case and by arm, each with its 95 % interval.

Likelihood is a rate over bytes: all nats by all bytes, so that a target of three characters does not count
as much as one of a hundred. Differences between arms are taken case by case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lsp_server.evaluation.intervals import Estimate, mean_with_interval, paired_difference
from lsp_server.evaluation.metrics import score
from lsp_server.evaluation.runner import Outcome
from lsp_server.evaluation.subject import language_in

__all__ = ["METRICS", "NLL", "SHARES", "ArmSummary", "Summary", "summarize"]

SHARES = ("exact_match", "edit_similarity", "identifier_f1", "first_token", "parses")
"""Metrics from 0 to 1, higher is better."""
NLL = "nll_per_byte"
"""In nats; lower is better."""
METRICS = (*SHARES, NLL)
SUMMARY_VERSION = 1


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One kind of case in one arm."""

    n: int
    metrics: Mapping[str, Estimate | None]
    """None where there is nothing to take a mean of: a peer may tell no probabilities."""
    p50_ms: float
    p95_ms: float
    n_shown: int
    """Completions that the user would have seen."""
    n_with_notes: int
    """Completions for which a retriever was late or could not answer."""


@dataclass(frozen=True, slots=True)
class Summary:
    """All kinds and arms, in the order in which they came."""

    kinds: Mapping[str, Mapping[str, ArmSummary]]
    baseline: str
    """The arm that the others are compared with."""
    differences: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    """Kind -> arm -> metric -> what the arm has more than the baseline has, over the cases of both."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, rounded to what their intervals let one see."""
        return {
            "version": SUMMARY_VERSION,
            "baseline": self.baseline,
            "kinds": {
                kind: {arm: _arm_json(summary) for arm, summary in arms.items()}
                for kind, arms in self.kinds.items()
            },
            "differences": {
                kind: {
                    arm: {name: _estimate_json(one) for name, one in row.items()} for arm, row in arms.items()
                }
                for kind, arms in self.differences.items()
            },
        }


@dataclass(frozen=True, slots=True)
class _Scored:
    outcome: Outcome
    values: Mapping[str, float]
    """Metric -> value; the likelihood is missing where there is none."""

    def weight(self, metric: str) -> float:
        return float(self.outcome.answer.n_scored_bytes) if metric == NLL else 1.0


def summarize(outcomes: Sequence[Outcome], *, baseline: str | None = None) -> Summary:
    """Return the figures of a run.

    Args:
        outcomes: Of one run, or some of them.
        baseline: The arm that the others are compared with; the first one if None.

    Raises:
        ValueError: There are no outcomes.
    """
    if not outcomes:
        raise ValueError("there is nothing to sum up")
    table: defaultdict[str, defaultdict[str, dict[str, _Scored]]] = defaultdict(lambda: defaultdict(dict))
    for outcome in outcomes:
        table[outcome.case.kind][outcome.arm][outcome.case.id] = _scored(outcome)
    baseline = baseline or outcomes[0].arm
    return Summary(
        kinds={
            kind: {arm: _arm(list(by_case.values())) for arm, by_case in arms.items()}
            for kind, arms in table.items()
        },
        baseline=baseline,
        differences={
            kind: {
                arm: _differences(by_case, arms.get(baseline, {}))
                for arm, by_case in arms.items()
                if arm != baseline
            }
            for kind, arms in table.items()
        },
    )


def _scored(outcome: Outcome) -> _Scored:
    case, answer = outcome.case, outcome.answer
    values = asdict(score(case, answer.text, answer.replaces, language_in(case)))
    if answer.nats is not None and answer.n_scored_bytes:
        values[NLL] = answer.nats / answer.n_scored_bytes
    return _Scored(outcome, values)


def _arm(scored: Sequence[_Scored]) -> ArmSummary:
    answers = [one.outcome.answer for one in scored]
    p50, p95 = np.percentile([answer.elapsed_ms for answer in answers], (50, 95))
    metrics: dict[str, Estimate | None] = {}
    for metric in METRICS:
        having = [one for one in scored if metric in one.values]
        metrics[metric] = mean_with_interval(
            [one.values[metric] for one in having], [one.weight(metric) for one in having]
        )
    return ArmSummary(
        n=len(scored),
        metrics=metrics,
        p50_ms=float(p50),
        p95_ms=float(p95),
        n_shown=sum(answer.suppression_reason is None for answer in answers),
        n_with_notes=sum(bool(answer.notes) for answer in answers),
    )


def _differences(arm: Mapping[str, _Scored], baseline: Mapping[str, _Scored]) -> dict[str, Estimate]:
    differences: dict[str, Estimate] = {}
    for metric in METRICS:
        pairs = [
            (one, baseline[id_])
            for id_, one in arm.items()
            if id_ in baseline and metric in one.values and metric in baseline[id_].values
        ]
        estimate = paired_difference(
            [one.values[metric] for one, _ in pairs],
            [other.values[metric] for _, other in pairs],
            [one.weight(metric) for one, _ in pairs],
        )
        if estimate is not None:
            differences[metric] = estimate
    return differences


def _arm_json(summary: ArmSummary) -> dict[str, Any]:
    return {
        "n": summary.n,
        **{name: _estimate_json(estimate) for name, estimate in summary.metrics.items()},
        "p50_ms": round(summary.p50_ms, 1),
        "p95_ms": round(summary.p95_ms, 1),
        "n_shown": summary.n_shown,
        "n_with_notes": summary.n_with_notes,
    }


def _estimate_json(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {name: round(value, 4) for name, value in asdict(estimate).items()}
