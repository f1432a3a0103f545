"""Figures of the server's bench: percentiles, ratios of like requests, what was typed before a slice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from latency.session import Edit, Session
from serve_client import Pulse
from serve_figures import Round, of_round, ratios, times
from serve_typist import Sample, text_before


def sample(ms, kind="keystroke", source="model", reason=None):
    return Sample(kind, ms, source, reason, is_late=False)


def test_times_tell_how_many_exceed_what_a_loop_may_block():
    found = times([1.0] * 98 + [49.9, 50.1])
    assert (found["n"], found["p50_ms"], found["max_ms"], found["n_over_50_ms"]) == (100, 1.0, 50.1, 1)
    assert times([]) == {"n": 0}


def test_a_server_that_takes_twice_as_long_has_a_ratio_of_two_whatever_is_resampled():
    idle = [sample(float(ms)) for ms in range(1, 60)]
    indexing = [sample(2 * one.ms) for one in idle]
    found = ratios(idle, indexing)
    for percent in ("p50", "p95"):
        assert found[percent] == {"ratio": 2.0, "low": 2.0, "high": 2.0}


def test_ratios_are_of_like_requests():
    with pytest.raises(ValueError, match="zip"):
        ratios([sample(1.0)], [])


def test_what_the_machine_takes_is_not_the_loops():
    pulse = Pulse(loop_ms=[5.0, 80.0, 3.0], machine_ms=[1.0, 75.0, 4.0])
    assert list(pulse.excess_ms()) == [4.0, 5.0, 0.0]


def test_a_round_counts_what_was_shown_and_why_nothing_was():
    samples = [sample(10.0, "cold"), sample(1.0, source="known"), sample(2.0, reason="improbable")]
    found = of_round(Round(samples))
    assert found["shown_share"] == pytest.approx(2 / 3, abs=1e-3)
    assert found["reasons"] == {"improbable": 1}
    assert found["without_cold"]["max_ms"] == 2.0
    assert {name: one["n"] for name, one in found["by_source"].items()} == {"known": 1, "model": 2}


def test_a_later_slice_begins_with_what_was_typed_before():
    edits = tuple(Edit(at, key, 60) for at, key in enumerate("abc", start=2))
    session = Session("p", "a.py", "python", "f", "x\n", edits)
    assert [text_before(session, first) for first in (0, 2, 3)] == ["x\n", "x\nab", "x\nabc"]
