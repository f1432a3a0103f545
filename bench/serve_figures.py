"""From what a server's client noted to figures, and to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from serve_client import Pulse
from serve_typist import Sample

__all__ = ["Round", "of_round", "print_tables", "ratios", "rounded", "times"]

_BLOCKED_MS = 50.0
_COLUMNS = ("n", "p50_ms", "p95_ms", "p99_ms", "max_ms", "n_over_50_ms")
_PULSES = ("loop", "machine", "loop_beyond_machine", "letting_go")
_N_RESAMPLES = 4000


@dataclass(slots=True)
class Round:
    """What was measured under one condition."""

    samples: list[Sample] = field(default_factory=list)
    pulse: Pulse = field(default_factory=Pulse)
    letting_go_ms: list[float] = field(default_factory=list)


def of_round(round_: Round) -> dict[str, Any]:
    """Return the figures of one condition."""
    samples = round_.samples
    kinds, sources = ({getattr(one, name) for one in samples} for name in ("kind", "source"))
    excess_ms = list(round_.pulse.excess_ms())
    return {
        **times([one.ms for one in samples]),
        "without_cold": times([one.ms for one in samples if one.kind != "cold"]),
        "shown_share": _share([one.reason is None for one in samples]),
        "late_share": _share([one.is_late for one in samples]),
        "reasons": _counts([one.reason for one in samples if one.reason is not None]),
        "by_kind": {kind: times([one.ms for one in samples if one.kind == kind]) for kind in sorted(kinds)},
        "by_source": {
            source: times([one.ms for one in samples if one.source == source]) for source in sorted(sources)
        },
        "loop": times(round_.pulse.loop_ms),
        "loop_slowest_s_ms": [[rounded(value) for value in one] for one in round_.pulse.slowest],
        "machine": times(round_.pulse.machine_ms),
        "loop_beyond_machine": times(excess_ms),
        "letting_go": times(round_.letting_go_ms),
    }


def times(values_ms: Sequence[float]) -> dict[str, Any]:
    """Return a distribution's figures; `n_blocked` is how many exceed 50 ms."""
    if not values_ms:
        return {"n": 0}
    p50, p95, p99 = np.percentile(values_ms, [50, 95, 99])
    return {
        "n": len(values_ms),
        "p50_ms": rounded(p50),
        "p95_ms": rounded(p95),
        "p99_ms": rounded(p99),
        "max_ms": rounded(max(values_ms)),
        "n_over_50_ms": sum(one > _BLOCKED_MS for one in values_ms),
    }


def ratios(idle: Sequence[Sample], indexing: Sequence[Sample]) -> dict[str, Any]:
    """Return the times while indexing over those of the idle server, with 95 % intervals.

    The percentile bootstrap over pairs of like requests (Efron 1979), seeded.
    """
    pairs = np.array([(one.ms, other.ms) for one, other in zip(idle, indexing, strict=True)])
    resampled = pairs[np.random.default_rng(0).integers(0, len(pairs), (_N_RESAMPLES, len(pairs)))]
    found: dict[str, Any] = {"n": len(pairs)}
    for percent in (50, 95):
        whole, drawn = (np.percentile(one, percent, axis=-2) for one in (pairs, resampled))
        low, high = np.percentile(drawn[:, 1] / drawn[:, 0], [2.5, 97.5])
        figures = {"ratio": whole[1] / whole[0], "low": low, "high": high}
        found[f"p{percent}"] = {name: round(float(value), 2) for name, value in figures.items()}
    return found


def print_tables(figures: Mapping[str, Any]) -> None:
    """Print what people read."""
    console = Console(stderr=True, width=120)
    table = Table("ms", "n", "p50", "p95", "p99", "most", "over 50 ms", title=figures["serve"])
    for condition in ("idle", "indexing"):
        found = figures[condition]
        rows = {condition: found, "  without cold": found["without_cold"]}
        rows |= {f"  {name}": found["by_kind"][name] for name in found["by_kind"]}
        rows |= {f"  {name}": found["by_source"][name] for name in found["by_source"]}
        rows |= {f"  {name.replace('_', ' ')}": found[name] for name in _PULSES}
        for name, row in rows.items():
            table.add_row(name, *(str(row.get(column, "")) for column in _COLUMNS))
    console.print(table)
    console.print(figures["ratio"], figures["ratio_without_cold"], figures["memory_mb"])


def _share(values: Sequence[bool]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


def _counts(values: Sequence[str]) -> dict[str, int]:
    return {value: values.count(value) for value in sorted(set(values))}


def rounded(value: float | None) -> float | None:
    """Return a value with one decimal."""
    return None if value is None else round(float(value), 1)
