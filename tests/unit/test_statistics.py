"""What is counted of suggestions, and what is told of it."""

import sqlite3

import pytest

from lsp_server.server.statistics import Statistics, summarize

NOW = 1_700_000_000.0
DAY_S = 86_400


def written(tmp_path, tell):
    file = tmp_path / "data" / "statistics.sqlite3"
    clock = [NOW]
    statistics = Statistics(file, clock=lambda: clock[0])
    tell(statistics, clock)
    statistics.close()
    return file


def offer(statistics, id_, language="python", *, latency_ms=100.0, shown=True, source="model", n=10):
    statistics.offered(id_, language, source=source, n_characters=n, latency_ms=latency_ms, shown=shown)


def test_what_became_of_suggestions_is_counted_by_language(tmp_path):
    def tell(statistics, clock):
        for n in range(4):
            offer(statistics, f"p{n}")
        offer(statistics, "g0", "go")
        offer(statistics, "p0")  # what is left of it while it is typed
        statistics.accepted("p0", 10)
        statistics.accepted("p1", 4)
        statistics.kept("p0", "30s", True)
        statistics.kept("p1", "30s", False)
        statistics.kept("p0", "5min", True)

    summary = summarize(written(tmp_path, tell), 30, now=NOW)
    python, go = summary.languages
    assert (python.language, python.shown, python.accepted, python.partially_accepted) == ("python", 4, 2, 1)
    assert (python.characters_accepted, python.kept_30s, python.kept_5min) == (14, 0.5, 1.0)
    assert (go.language, go.shown, go.accepted, go.kept_30s) == ("go", 1, 0, None)
    assert (summary.total.shown, summary.total.accepted) == (5, 2)


def test_what_was_not_seen_is_not_counted(tmp_path):
    def tell(statistics, clock):
        offer(statistics, "a", shown=False)
        offer(statistics, "b", shown=False)
        statistics.shown("b")

    assert summarize(written(tmp_path, tell), 30, now=NOW).total.shown == 1


def test_the_most_that_was_accepted_counts(tmp_path):
    def tell(statistics, clock):
        offer(statistics, "a")
        statistics.accepted("a", 4)
        statistics.accepted("a", 10)
        statistics.accepted("a", 2)

    total = summarize(written(tmp_path, tell), 30, now=NOW).total
    assert (total.accepted, total.partially_accepted, total.characters_accepted) == (1, 0, 10)


def test_latencies_are_those_of_the_model(tmp_path):
    def tell(statistics, clock):
        for n in range(1, 101):
            offer(statistics, str(n), latency_ms=float(n))
        offer(statistics, "typed", latency_ms=0.1, source="known")

    assert summarize(written(tmp_path, tell), 30, now=NOW).latency_ms == {
        "p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0,
    }  # fmt: skip


def test_only_the_days_asked_for_are_told_and_old_ones_are_forgotten(tmp_path):
    def tell(statistics, clock):
        clock[0] = NOW - 40 * DAY_S
        offer(statistics, "old")
        clock[0] = NOW - DAY_S
        offer(statistics, "yesterday")
        clock[0] = NOW
        offer(statistics, "today")

    file = written(tmp_path, tell)
    assert [day.shown for day in summarize(file, 30, now=NOW).days] == [1, 1]
    assert summarize(file, 100, now=NOW).total.shown == 3


def test_nothing_was_ever_counted(tmp_path):
    summary = summarize(tmp_path / "none", 30)
    assert (summary.total.shown, summary.languages, summary.latency_ms) == (0, (), {})


def test_a_file_that_cannot_be_written_costs_the_counting_alone(tmp_path):
    (tmp_path / "data").write_text("a file where a folder should be")
    written(tmp_path, lambda statistics, clock: offer(statistics, "a"))


def test_a_damaged_file_is_told_of(tmp_path):
    file = tmp_path / "statistics.sqlite3"
    file.write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.Error):
        summarize(file, 30)


def test_the_file_is_the_users_alone(tmp_path):
    file = written(tmp_path, lambda statistics, clock: offer(statistics, "a"))
    assert file.stat().st_mode & 0o077 == 0
