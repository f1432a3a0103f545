"""From timings to figures: medians, ratios, and the one JSON object that the bench prints last.

Pure functions. Ratios are ours over theirs, times over times unless a name says otherwise, so that below 1 is
better; a figure that could not be measured is None.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from latency.contenders import Timing

__all__ = [
    "LINE_TOKENS",
    "SUMMARY_KEYS",
    "line_ms",
    "median",
    "of_timings",
    "pace_ms",
    "ratio",
    "rounded",
    "summary",
    "warm_share",
]

LINE_TOKENS = 12
"""Of the line that contenders are compared on. What they write differs in length, and the one that writes
less would win: so each request's time to the first token is taken as measured, and the tokens after it at the
contender's own pace, over all sessions or over all requests with as many definitions."""

SUMMARY_KEYS = (
    "prefill_rate_ratio",
    "line_cold",
    "line_keystroke",
    "line_newline",
    "line_retrieval_change",
    "memory_flatness_2k",
    "memory_flatness_8k",
    "memory_swap",
    "memory_warm_share",
    "step_over_bandwidth_bound",
    "step16_over_step1",
    "peak_pss_mb",
    "model_load_s",
)


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of those values that are known, None if none is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratio(one: float | None, other: float | None) -> float | None:
    """Return one over the other, None where either is not known."""
    return None if one is None or not other else one / other


def pace_ms(timings: Sequence[Timing]) -> float | None:
    """Return the mean time of a token after the first, over all of them; drafts that hold make it shorter.

    A completion that was foreseen came at once, and tells nothing of the pace.
    """
    written = [
        timing for timing in timings if timing.n_written > 1 and timing.line_ms > timing.first_token_ms
    ]
    n_tokens = sum(timing.n_written - 1 for timing in written)
    took_ms = sum(timing.line_ms - timing.first_token_ms for timing in written)
    return took_ms / n_tokens if n_tokens else None


def line_ms(timings: Sequence[Timing], pace: float | None) -> float | None:
    """Return the median time to a line of `LINE_TOKENS`, written at a pace."""
    first_ms = median(timing.first_token_ms for timing in timings)
    return None if first_ms is None or pace is None else first_ms + (LINE_TOKENS - 1) * pace


def of_timings(timings: Sequence[Timing], paced_by: Sequence[Timing] | None = None) -> dict[str, Any]:
    """Return the figures of one contender at one kind of request.

    Args:
        timings: Of this kind.
        paced_by: Requests that tell the pace, where there are too few of the kind itself.
    """
    pace = pace_ms(timings if paced_by is None else paced_by)
    return {
        "n": len(timings),
        "first_token_ms": median(timing.first_token_ms for timing in timings),
        "line_ms": line_ms(timings, pace),
        "line_as_generated_ms": median(timing.line_ms for timing in timings),
        "pace_ms": pace,
        "written_tokens": median(timing.n_written for timing in timings),
        "prompt_tokens": median(timing.prompt_tokens for timing in timings),
        "computed_tokens": median(timing.computed_tokens for timing in timings),
        "definition_tokens": median(timing.definition_tokens for timing in timings),
    }


def warm_share(timings: Sequence[Timing]) -> float | None:
    """Return the share of the requests with memories whose memories were all at hand."""
    known = [timing.is_warm for timing in timings if timing.is_warm is not None]
    return sum(known) / len(known) if known else None


def summary(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the last line's object: all of `SUMMARY_KEYS`, then whatever else there is, rounded."""
    ordered = {key: values.get(key) for key in SUMMARY_KEYS}
    return {key: rounded(value) for key, value in {**ordered, **values}.items()}


def rounded(value: float | None) -> float | None:
    """Return a value with four significant digits."""
    return None if value is None else float(f"{value:.4g}")
