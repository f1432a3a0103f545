"""Editing sessions: what is typed, when a completion is asked for, and what a request is called."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from latency.changes import longest_line
from latency.session import ASK_AFTER_MS, Edit, Session, moments, read_sessions, write_sessions
from latency.typist import N_LINES, draw_sessions, write_again

from indexer.parse import parse_file

SLOW, FAST = ASK_AFTER_MS, ASK_AFTER_MS - 1

SOURCE = (
    '"""A module."""\n\nimport os\n\n'
    + "".join(f"CONSTANT_{number} = {number}\n" for number in range(120))
    + "\n\nclass Shop:\n    name = 'shop'\n\n"
    + "    @property\n    def total(self) -> int:\n        amounts = [item.price for item in self.items]\n"
    + "        rebate = self.rebate_of(amounts, os.environ)\n\n        return sum(amounts) - rebate\n\n"
    + "    def close(self) -> None:\n        pass\n"
)


def session_of(initial: str, *edits: tuple[int, str, int]) -> Session:
    return Session(
        "pkg", "a.py", "python", "f", initial, tuple(Edit(position, text, ms) for position, text, ms in edits)
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "package-1.0"
    (root / "package").mkdir(parents=True)
    for name in ("one", "two", "three"):
        (root / "package" / f"{name}.py").write_text(SOURCE, "utf-8")
    (root / "package" / "short.py").write_text("def f():\n    return 1\n", "utf-8")
    return root


def test_a_session_ends_with_the_file_as_its_author_left_it(package: Path) -> None:
    sessions = draw_sessions(package, 3, seed=0)
    assert len(sessions) == 3
    assert all(session.final == SOURCE for session in sessions)


def test_a_session_begins_without_the_function_and_with_an_empty_line_in_its_place(package: Path) -> None:
    for session in draw_sessions(package, 3, seed=0):
        assert "def total" not in session.initial
        assert session.initial[session.edits[0].position] == "\n"


def test_the_same_seed_gives_the_same_sessions_and_another_one_others(package: Path) -> None:
    assert draw_sessions(package, 2, seed=0) == draw_sessions(package, 2, seed=0)
    assert draw_sessions(package, 2, seed=0) != draw_sessions(package, 2, seed=1)


def test_there_are_no_more_sessions_than_files_with_a_function_worth_writing(package: Path) -> None:
    assert len(draw_sessions(package, 10, seed=0)) == 3


def test_an_indentation_comes_with_its_line_break() -> None:
    definition = next(one for one in parse_file("a.py", SOURCE.encode()).definitions if one.name == "total")
    session = write_again("pkg", "a.py", SOURCE, definition, random.Random(0))
    typed = [edit.text for edit in session.edits]
    assert N_LINES[0] <= sum("\n" in text for text in typed) + 1 <= N_LINES[1]
    assert "\n        " in typed
    assert all(len(text) == 1 for text in typed if not text.isspace())


def test_sessions_survive_a_file(package: Path, tmp_path: Path) -> None:
    sessions = draw_sessions(package, 2, seed=0)
    write_sessions(sessions, tmp_path / "new" / "sessions.jsonl")
    assert read_sessions(tmp_path / "new" / "sessions.jsonl") == sessions


@pytest.mark.parametrize(
    ("edits", "kinds"),
    [
        ([(0, "a", FAST), (1, "b", FAST)], []),
        ([(0, "a", SLOW)], ["cold"]),
        ([(0, "a", SLOW), (1, "b", SLOW)], ["cold", "keystroke"]),
        ([(0, "a", SLOW), (1, "b", FAST), (2, "c", SLOW)], ["cold", "resumed"]),
        ([(0, "a", SLOW), (1, "\n  ", SLOW)], ["cold", "newline"]),
        ([(0, "a", SLOW), (1, "\n", FAST), (2, "b", SLOW), (3, "c", SLOW)], ["cold", "newline", "keystroke"]),
    ],
)
def test_a_request_is_named_by_what_was_typed_since_the_last_one(
    edits: list[tuple[int, str, int]], kinds: list[str]
) -> None:
    assert [moment.kind for moment in moments(session_of("\n", *edits))] == kinds


def test_a_request_is_made_at_the_cursor_of_its_keystroke() -> None:
    session = session_of("x\n\ny\n", (2, "ab", FAST), (4, "c", SLOW))
    (moment,) = moments(session)
    assert (moment.prefix, moment.suffix) == ("x\nabc", "\ny\n")


def test_a_pause_lasts_until_the_next_request() -> None:
    session = session_of("\n", (0, "a", 300), (1, "b", 100), (2, "c", 150), (3, "d", 250))
    assert [moment.pause_ms for moment in moments(session)] == [300 + 100 + 150, 250]


def test_the_longest_line_is_typed_keystroke_by_keystroke() -> None:
    text = "if a:\n    return a + 1\n"
    edits = [(2 + column, character, FAST) for column, character in enumerate(text[:-1])]
    session = session_of("x\n\ny\n", *edits)
    requests = longest_line(session)
    assert requests[0].prefix == "x\nif a:\n    re"
    assert requests[-1].prefix == "x\nif a:\n    return a + 1"
    assert {moment.suffix for moment in requests} == {"\ny\n"}
    assert len(requests) == len("return a + 1") - 1
