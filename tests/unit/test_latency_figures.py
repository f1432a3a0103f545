"""From timings to the last line of the latency bench."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_model import FakeCodec
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from latency.changes import Change, State
from latency.contenders import Timing, n_written
from latency.engines import Steps
from latency.figures import LINE_TOKENS, SUMMARY_KEYS, median, of_timings, pace_ms, ratio, summary, warm_share
from latency.machine import Limits
from latency.replay import Sample
from latency.report import Engines, Results, print_tables, summary_of, table_of
from latency.resources import PeakMemory, pss_mb
from latency.session import Kind
from latency.workspace import IndexRun

OURS, PEER = "ours: memories", "llama.cpp"


def timing(first_ms: float, line_ms: float, n_tokens: int, **more: Any) -> Timing:
    return Timing(first_ms, line_ms, n_tokens, 100, 10, 0, "text" if n_tokens else "", **more)


def results_with(
    *,
    samples: Sequence[tuple[Kind, str, Timing]] = (),
    changes: Sequence[tuple[str, int, State, Timing]] = (),
) -> Results:
    results = Results({"commit": "abc"}, OURS, PEER)
    results.samples += [Sample("s", kind, {name: one}) for kind, name, one in samples]
    results.changes += [Change(*change) for change in changes]
    return results


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([None], None), ([3.0], 3.0), ([1.0, None, 3.0], 2.0), ([5.0, 1.0, 2.0], 2.0)],
)
def test_a_median_is_of_what_is_known(values: list[float | None], expected: float | None) -> None:
    assert median(values) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(1.0, 2.0, 0.5), (None, 2.0, None), (1.0, None, None), (1.0, 0.0, None), (0.0, 2.0, 0.0)],
)
def test_a_ratio_needs_both(one: float | None, other: float | None, expected: float | None) -> None:
    assert ratio(one, other) == expected


def test_a_pace_is_of_all_tokens_after_the_first_whatever_line_they_are_in() -> None:
    assert pace_ms([timing(100, 130, 4), timing(50, 120, 8)]) == pytest.approx(10)


def test_lines_of_which_nothing_is_shown_tell_no_pace() -> None:
    assert pace_ms([timing(100, 900, 0), timing(100, 100, 1)]) is None
    assert pace_ms([timing(100, 900, 0), timing(100, 110, 2)]) == pytest.approx(10)


def test_what_was_foreseen_tells_no_pace():
    assert pace_ms([timing(1, 1, 9), timing(100, 110, 2)]) == pytest.approx(10)


def test_who_writes_less_is_not_faster() -> None:
    short, long = of_timings([timing(100, 120, 3)]), of_timings([timing(100, 190, 10)])
    assert short["line_ms"] == long["line_ms"] == pytest.approx(100 + (LINE_TOKENS - 1) * 10)
    assert short["line_as_generated_ms"] < long["line_as_generated_ms"]


def test_tokens_are_counted_in_the_text_alone() -> None:
    assert n_written(FakeCodec(), "") == 0
    assert n_written(FakeCodec(), "a b") == len(FakeCodec().encode("a b")) + 1


def test_the_warm_share_is_of_requests_that_had_memories() -> None:
    rows = [timing(1, 2, 1, is_warm=state) for state in (True, False, True, True, None)]
    assert warm_share(rows) == pytest.approx(0.75)
    assert warm_share([timing(1, 2, 1)]) is None


def test_the_last_line_has_all_keys_when_nothing_was_measured() -> None:
    values = summary_of(results_with())
    assert list(values)[: len(SUMMARY_KEYS)] == list(SUMMARY_KEYS)
    assert set(values.values()) == {None}
    assert json.loads(json.dumps(values)) == values


def test_without_the_peer_its_ratios_are_null_and_ours_stand() -> None:
    changes: list[tuple[str, int, State, Timing]] = [
        (OURS, 0, "kept", timing(100, 110, 2)),
        (OURS, 2000, "kept", timing(150, 160, 2)),
        (OURS, 2000, "changed", timing(400, 410, 2)),
    ]
    values = summary_of(results_with(samples=[("cold", OURS, timing(100, 110, 2))], changes=changes))
    assert values["line_cold"] is None
    assert values["line_retrieval_change"] is None
    assert values["memory_flatness_2k"] == pytest.approx((150 + 110) / (100 + 110), rel=1e-3)
    assert values["memory_swap"] == pytest.approx((400 + 110) / (150 + 110), rel=1e-3)


def test_ratios_are_ours_over_the_peer() -> None:
    samples: list[tuple[Kind, str, Timing]] = [
        ("keystroke", OURS, timing(100, 110, 2)),
        ("keystroke", PEER, timing(200, 220, 2)),
    ]
    values = summary_of(results_with(samples=samples))
    assert values["line_keystroke"] == pytest.approx(0.5)
    assert values["line_keystroke_first_token"] == pytest.approx(0.5)


def test_engines_are_compared_by_rate_and_with_the_machine() -> None:
    results = results_with()
    results.engines = Engines(
        prefill_tokens=1000,
        prefill_ms={"ours": [1000.0], PEER: [5000.0]},
        decode_past_tokens=1000,
        decode_ms={"ours": [25.0], PEER: [50.0]},
        steps=Steps(1024, {1: 30.0, 16: 45.0}),
        step_weight_bytes=500_000_000,
        operations_per_token=700_000_000,
    )
    results.limits = Limits(bandwidth_bytes_per_s=20e9, int8_operations_per_s=2e12)
    values = summary_of(results)
    assert values["prefill_rate_ratio"] == pytest.approx(5)
    assert values["step16_over_step1"] == pytest.approx(1.5)
    assert values["step_over_bandwidth_bound"] == pytest.approx(30 / 25)
    assert values["prefill_share_of_int8_rate"] == pytest.approx(0.35)


def test_tables_and_file_say_the_same_of_whatever_was_measured() -> None:
    samples: list[tuple[Kind, str, Timing]] = [("newline", OURS, timing(100, 110, 2))]
    results = results_with(samples=samples, changes=[(PEER, 500, "changed", timing(7000, 7100, 3))])
    results.indexing.append(IndexRun("pkg", 1000, 100, 0.5))
    results.notes.append("Something is missing.")
    console = Console(width=200, record=True, file=io.StringIO())
    print_tables(console, results)
    printed = console.export_text()
    assert "newline" in printed
    assert "7,000" in printed
    assert "Something is missing." in printed
    table = json.loads(json.dumps(table_of(results)))
    assert table["sessions"][OURS]["newline"]["first_token_ms"] == 100
    assert table["changes"][PEER]["500"]["changed"]["n"] == 1
    assert table["summary"]["index_lines_per_s"] == 2000


def test_figures_are_rounded_to_four_digits() -> None:
    assert summary({"line_cold": 0.123456})["line_cold"] == 0.1235


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells it")
def test_memory_is_that_of_the_tree_of_processes_without_those_left_out() -> None:
    alone = pss_mb([os.getpid()])
    peak = PeakMemory()
    peak.look("editing")
    assert alone is not None
    assert peak.mb is not None
    assert peak.mb > 0
    peak = PeakMemory()
    peak.leave_out(os.getpid())
    peak.look("editing")
    assert peak.mb == 0
