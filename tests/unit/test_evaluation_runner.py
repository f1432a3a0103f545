"""Runs that end and go on, and what is made of their answers."""

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lsp_server.config import Settings
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.fingerprint import code_hash, repository_state, subject_fingerprint
from lsp_server.evaluation.report import markdown
from lsp_server.evaluation.results import ResultFile
from lsp_server.evaluation.runner import run
from lsp_server.evaluation.subject import Answer
from lsp_server.evaluation.summary import NLL, summarize

CASES = [Case(Path("/shop"), "app.py", f"x{i} = f(", "\n", f"a{i})", "line") for i in range(4)]


@dataclass
class Scripted:
    """Answers by a function, and counts."""

    arm: str = "off"
    text: object = "a0)"
    version: str = "1"
    stop_at: int | None = None
    asked: list[str] = field(default_factory=list)

    def key(self, case):
        return self.version

    def answer(self, case):
        if len(self.asked) == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append(case.id)
        text = self.text(case) if callable(self.text) else self.text
        return Answer(text, 0, 10.0 * len(self.asked), 2.0, 4, "control_token", None, 1, ("bm25: late",))


def test_a_run_goes_on_where_it_was_ended(tmp_path):
    file = tmp_path / "answers.jsonl"
    ended = Scripted(stop_at=2)
    with pytest.raises(KeyboardInterrupt) as stop:
        run(CASES, [ended], ResultFile(file))
    assert stop.value.__notes__ == ["2 of 4 answers are kept; run it again to go on"]
    goes_on, seen = Scripted(), []
    outcomes = run(CASES, [goes_on], ResultFile(file), on_progress=seen.append)
    assert len(goes_on.asked) == 2
    assert set(goes_on.asked).isdisjoint(ended.asked)
    assert [outcome.case for outcome in outcomes] == CASES
    assert (seen[-1].n_done, seen[-1].n_total, seen[-1].n_kept) == (4, 4, 2)
    assert outcomes == run(CASES, [Scripted(stop_at=0)], ResultFile(file))  # nothing is asked twice


@pytest.mark.parametrize("other", [Scripted(version="2"), Scripted(arm="on")])
def test_another_arm_or_key_is_asked_anew(tmp_path, other):
    file = tmp_path / "answers.jsonl"
    run(CASES, [Scripted()], ResultFile(file))
    run(CASES, [other], ResultFile(file))
    assert len(other.asked) == len(CASES)


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_line_that_was_cut_short_costs_its_answer_only(tmp_path, cut):
    file = tmp_path / "answers.jsonl"
    run(CASES, [Scripted()], ResultFile(file))
    file.write_bytes(file.read_bytes()[:-cut])
    again = Scripted()
    run(CASES, [again], ResultFile(file))
    assert len(again.asked) <= 1
    run(CASES, [Scripted(stop_at=0)], ResultFile(file))
    assert sum(line.startswith("{") for line in file.read_text().splitlines()) >= len(CASES)


def test_answers_are_the_users_alone(tmp_path):
    file = tmp_path / "new" / "answers.jsonl"
    run(CASES[:1], [Scripted()], ResultFile(file))
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_cleared_answers_are_asked_anew(tmp_path):
    results = ResultFile(tmp_path / "answers.jsonl")
    run(CASES, [Scripted()], results)
    results.clear()
    again = Scripted()
    run(CASES, [again], results)
    assert len(again.asked) == len(CASES)


def test_arms_take_turns_case_by_case(tmp_path):
    order = []
    run(
        CASES,
        [Scripted("off"), Scripted("on")],
        ResultFile(tmp_path / "answers.jsonl"),
        on_progress=lambda progress: order.append(progress.arm),
    )
    assert order == ["off", "on"] * len(CASES)


def summary_of(tmp_path, *subjects):
    return summarize(run(CASES, subjects, ResultFile(tmp_path / "answers.jsonl")))


def test_figures_are_means_over_cases_and_differences_over_pairs(tmp_path):
    right = Scripted("right", text=lambda case: case.target)
    summary = summary_of(tmp_path, Scripted("off"), right)
    off, better = summary.kinds["line"]["off"], summary.kinds["line"]["right"]
    assert (off.n, off.metrics["exact_match"].mean, better.metrics["exact_match"].mean) == (4, 0.25, 1.0)
    assert off.metrics[NLL].mean == 0.5  # all nats by all bytes
    assert (off.p50_ms, off.n_with_notes, off.n_shown) == (25.0, 4, 4)
    assert summary.baseline == "off"
    assert list(summary.differences["line"]) == ["right"]
    difference = summary.differences["line"]["right"]["exact_match"]
    assert difference.mean == 0.75
    assert difference.low > 0
    json.dumps(summary.to_json())
    turned = summarize(
        run(CASES, [Scripted("off"), right], ResultFile(tmp_path / "answers.jsonl")), baseline="right"
    )
    assert turned.differences["line"]["off"]["exact_match"].mean == -0.75


def test_a_peer_without_probabilities_has_no_likelihood(tmp_path):
    @dataclass
    class Peer(Scripted):
        def answer(self, case):
            return replace(super().answer(case), nats=None, n_scored_bytes=0)

    summary = summary_of(tmp_path, Scripted("off"), Peer("peer"))
    assert summary.kinds["line"]["peer"].metrics[NLL] is None
    assert NLL not in summary.differences["line"]["peer"]
    assert "| line | peer | 4 |" in markdown(summary, ["about"])


def test_a_report_has_a_row_for_each_kind_and_arm(tmp_path):
    text = markdown(summary_of(tmp_path, Scripted("off"), Scripted("on")), ["model: fake"])
    rows = [line for line in text.splitlines() if line.startswith("| line |")]
    assert [row.split("|")[2].strip() for row in rows] == [
        "off",
        "on",
        "on",
    ]  # the last one is the difference
    assert "- model: fake" in text


def test_the_chart_is_a_png(tmp_path):
    pytest.importorskip("PIL", reason="the environment is older than the chart")
    from lsp_server.evaluation.chart import draw_chart  # noqa: PLC0415

    draw_chart(summary_of(tmp_path, Scripted("off"), Scripted("on")), tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_cannot_be_summed_up():
    with pytest.raises(ValueError, match="nothing"):
        summarize([])


def test_a_fingerprint_changes_with_the_model_and_the_settings_that_matter():
    settings = Settings()
    base = subject_fingerprint("m", "cpu", settings)
    assert base == subject_fingerprint(
        "m", "cpu", replace(settings, index=replace(settings.index, worker_idle_s=9))
    )
    fewer = replace(settings, retrieval=replace(settings.retrieval, definitions=1))
    assert len({base, subject_fingerprint("n", "cpu", settings), subject_fingerprint("m", "cuda", settings),
                subject_fingerprint("m", "cpu", fewer)}) == 4  # fmt: skip
    assert code_hash() == code_hash()


def test_the_state_of_a_repository_changes_with_its_files(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    before = repository_state(tmp_path)
    assert repository_state(tmp_path) == before
    os.utime(tmp_path / "a.py", (1, 1))
    after = repository_state(tmp_path)
    (tmp_path / "b.py").write_text("")
    assert len({before, after, repository_state(tmp_path)}) == 3
