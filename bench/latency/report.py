"""What a run of the bench measured: as tables for people, as plain values, and as the last line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from latency.changes import STATES, Change, State
from latency.contenders import Timing
from latency.engines import Steps
from latency.figures import LINE_TOKENS, median, of_timings, ratio, rounded, summary, warm_share
from latency.machine import Limits
from latency.ours import OursWithMemories
from latency.replay import Sample
from latency.session import Kind
from latency.workspace import IndexRun
from rich.console import Console
from rich.table import Table

__all__ = ["Engines", "Results", "print_tables", "summary_of", "table_of"]

CHANGE_SIZE = 2000
"""Tokens of definitions of which `line_retrieval_change` tells."""


@dataclass(frozen=True, slots=True)
class Engines:
    """Bare engines, by name: each try's milliseconds."""

    prefill_tokens: int
    prefill_ms: Mapping[str, Sequence[float]]
    decode_past_tokens: int
    decode_ms: Mapping[str, Sequence[float]]
    """A token."""
    steps: Steps
    step_weight_bytes: int
    operations_per_token: int


@dataclass(slots=True)
class Results:
    """All that was measured; filled as the run goes on."""

    about: dict[str, Any]
    ours: str
    """The name of the contender that the summary's ratios are of."""
    peer: str
    samples: list[Sample] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    indexing: list[IndexRun] = field(default_factory=list)
    model_load_s: float | None = None
    peak_pss_mb: float | None = None
    pss_mb_by_phase: Mapping[str, float] = field(default_factory=dict)
    peer_pss_mb: float | None = None
    limits: Limits | None = None
    engines: Engines | None = None
    notes: list[str] = field(default_factory=list)
    """For people: what could not be measured, and why."""

    def timings(self, contender: str, kind: Kind) -> list[Timing]:
        """Return one contender's requests of one kind."""
        return [
            sample.timings[contender]
            for sample in self.samples
            if sample.kind == kind and contender in sample.timings
        ]

    def at_kind(self, contender: str, kind: Kind) -> dict[str, Any]:
        """Return the figures of one contender at one kind of request, at its pace over all sessions."""
        every = [sample.timings[contender] for sample in self.samples if contender in sample.timings]
        return of_timings(self.timings(contender, kind), every)

    def at_size(self, contender: str, size: int, state: State) -> dict[str, Any]:
        """Return the figures of one contender with so many tokens of definitions.

        The pace is that of all its requests with as many: how they came to be there is over by then.
        """
        same_size = [one for one in self.changes if (one.contender, one.size) == (contender, size)]
        return of_timings(
            [one.timing for one in same_size if one.state == state], [one.timing for one in same_size]
        )

    @property
    def sizes(self) -> list[int]:
        """Tokens of definitions that were asked for."""
        return sorted({one.size for one in self.changes})

    @property
    def contenders(self) -> list[str]:
        """All that took part, in their order."""
        names = [name for sample in self.samples for name in sample.timings]
        return list(dict.fromkeys([*names, *(one.contender for one in self.changes)]))


def table_of(results: Results) -> dict[str, Any]:
    """Return every figure, and every single timing below it, as plain values."""
    return {
        **results.about,
        "notes": results.notes,
        "summary": summary_of(results),
        "line_tokens": LINE_TOKENS,
        "sessions": {
            name: {kind: results.at_kind(name, kind) for kind in get_args(Kind)}
            for name in results.contenders
        },
        "changes": {
            name: {
                size: {state: results.at_size(name, size, state) for state in STATES}
                for size in results.sizes
            }
            for name in results.contenders
        },
        "engines": asdict(results.engines) if results.engines else None,
        "limits": asdict(results.limits) if results.limits else None,
        "indexing": [asdict(run) for run in results.indexing],
        "model_load_s": results.model_load_s,
        "peak_pss_mb": results.peak_pss_mb,
        "pss_mb_by_phase": dict(results.pss_mb_by_phase),
        "peer_pss_mb": results.peer_pss_mb,
        "samples": [asdict(sample) for sample in results.samples],
        "change_samples": [asdict(change) for change in results.changes],
    }


def summary_of(results: Results) -> dict[str, float | None]:
    """Return the object of the last line."""
    rates = [run.n_lines / run.seconds for run in results.indexing]
    values: dict[str, float | None] = {
        "peak_pss_mb": results.peak_pss_mb,
        "model_load_s": results.model_load_s,
        "index_lines_per_s": median(rates),
    }
    kinds: tuple[Kind, ...] = ("cold", "keystroke", "newline")
    for kind in kinds:
        ours, peers = results.at_kind(results.ours, kind), results.at_kind(results.peer, kind)
        values |= _ratios(f"line_{kind}", ours, peers)
    ours, peers = (results.at_size(name, CHANGE_SIZE, "changed") for name in (results.ours, results.peer))
    values |= _ratios("line_retrieval_change", ours, peers)
    return summary({**values, **_memory_values(results), **_engine_values(results)})


def print_tables(console: Console, results: Results) -> None:
    """Print what people read."""
    console.print(", ".join(f"{name} {value}" for name, value in results.about.items()), highlight=False)
    console.print(_sessions_table(results))
    console.print(_changes_table(results))
    console.print(_engines_table(results))
    for note in results.notes:
        console.print(note, highlight=False)


def _memory_values(results: Results) -> dict[str, float | None]:
    """What memories cost against no memories, and changes against none, each contender against itself."""
    name = OursWithMemories.name

    def line(size: int, state: State = "kept", contender: str = name) -> float | None:
        value: float | None = results.at_size(contender, size, state)["line_ms"]
        return value

    kept = line(CHANGE_SIZE)
    in_sessions = [sample.timings[name] for sample in results.samples if name in sample.timings]
    return {
        "memory_flatness_2k": ratio(kept, line(0)),
        "memory_flatness_8k": ratio(line(8000), line(0)),
        "memory_swap": ratio(line(CHANGE_SIZE, "changed"), kept),
        "memory_warm_share": warm_share(in_sessions),
        **{
            f"memory_swap_{state.removeprefix('changed, ').replace(' ', '_')}": ratio(
                line(CHANGE_SIZE, state), kept
            )
            for state in STATES[2:]
        },
        **{
            f"{_slug(other)}_swap": ratio(
                line(CHANGE_SIZE, "changed", other), line(CHANGE_SIZE, "kept", other)
            )
            for other in results.contenders
            if other != name
        },
    }


def _ratios(key: str, ours: Mapping[str, Any], peers: Mapping[str, Any]) -> dict[str, float | None]:
    """Ours over theirs: the whole line of equal length, the line as each wrote it, the first token."""
    return {
        key: ratio(ours["line_ms"], peers["line_ms"]),
        f"{key}_as_generated": ratio(ours["line_as_generated_ms"], peers["line_as_generated_ms"]),
        f"{key}_first_token": ratio(ours["first_token_ms"], peers["first_token_ms"]),
    }


def _engine_values(results: Results) -> dict[str, float | None]:
    engines, limits = results.engines, results.limits
    if engines is None:
        return {}
    rates = {
        name: engines.prefill_tokens / (median(ms) or 1) * 1e3 for name, ms in engines.prefill_ms.items()
    }
    step_ms = engines.steps.ms_by_tokens
    values: dict[str, float | None] = {
        "prefill_rate_ratio": ratio(rates.get("ours"), rates.get(results.peer)),
        "step16_over_step1": ratio(step_ms.get(16), step_ms.get(1)),
        **{f"prefill_tokens_per_s_{_slug(name)}": rate for name, rate in rates.items()},
        **{f"decode_ms_{_slug(name)}": median(ms) for name, ms in engines.decode_ms.items()},
    }
    if limits is not None:
        bound_ms = engines.step_weight_bytes / limits.bandwidth_bytes_per_s * 1e3
        achieved = rates["ours"] * engines.operations_per_token
        values |= {
            "step_over_bandwidth_bound": ratio(step_ms.get(1), bound_ms),
            "prefill_share_of_int8_rate": ratio(achieved, limits.int8_operations_per_s),
        }
    return values


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def _sessions_table(results: Results) -> Table:
    table = Table(title="Editing sessions, medians", title_justify="left")
    columns = ("request", "contender", "n", "first token ms", f"line of {LINE_TOKENS} ms", "as generated ms")
    for column in (*columns, "tokens written", "read / prompt", "ms/token"):
        table.add_column(column, justify="left" if column in {"request", "contender"} else "right")
    for kind in get_args(Kind):
        for name in results.contenders:
            row = results.at_kind(name, kind)
            if row["n"]:
                table.add_row(kind, name, *_cells(row))
        table.add_section()
    return table


def _changes_table(results: Results) -> Table:
    table = Table(title="Retrieved definitions, changed and kept, medians", title_justify="left")
    columns = ("tokens", "definitions", "contender", "n", "first token ms", f"line of {LINE_TOKENS} ms")
    for column in (*columns, "as generated ms", "tokens written", "read / prompt", "ms/token"):
        is_text = column in {"definitions", "contender"}
        table.add_column(column, justify="left" if is_text else "right")
    for size in results.sizes:
        for state in STATES:
            for name in results.contenders:
                row = results.at_size(name, size, state)
                if row["n"]:
                    table.add_row(_figure(row["definition_tokens"]), state, name, *_cells(row))
        table.add_section()
    return table


def _engines_table(results: Results) -> Table:
    table = Table("", "", title="Engines and machine", title_justify="left", show_header=False)
    for name, value in summary_of(results).items():
        if not name.startswith("line_"):
            table.add_row(name, "" if value is None else f"{value:,.4g}")
    for run in results.indexing:
        rate = run.n_lines / run.seconds
        table.add_row(f"indexed {run.package}", f"{run.n_lines:,} lines, {rate:,.0f} lines/s")
    if results.limits is not None:
        table.add_row("memory bandwidth, GB/s", f"{results.limits.bandwidth_bytes_per_s / 1e9:.1f}")
        table.add_row("int8 products, Tops/s", f"{results.limits.int8_operations_per_s / 1e12:.2f}")
    if results.engines is not None:
        steps = results.engines.steps
        shown = ", ".join(f"{width}: {ms:.1f}" for width, ms in steps.ms_by_tokens.items())
        table.add_row(f"pass over so many tokens, {steps.n_past} past, ms", shown)
        table.add_row("weights read in a step, MB", f"{results.engines.step_weight_bytes / 1e6:.0f}")
    for phase, peak_mb in results.pss_mb_by_phase.items():
        table.add_row(f"our peak PSS while {phase}, MB", _figure(peak_mb))
    table.add_row("peer's peak PSS, MB", _figure(results.peer_pss_mb))
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    names = ("n", "first_token_ms", "line_ms", "line_as_generated_ms", "written_tokens")
    read = f"{_figure(row['computed_tokens'])} / {_figure(row['prompt_tokens'])}"
    return [*(_figure(row[name]) for name in names), read, _figure(row["pace_ms"])]


def _figure(value: float | None) -> str:
    short = rounded(value)
    if short is None:
        return ""
    return f"{short:,.0f}" if abs(short) >= 100 or float(short).is_integer() else f"{short:.1f}"
