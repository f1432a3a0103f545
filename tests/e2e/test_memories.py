"""Memories of the real model, seen from outside: kept between processes, and never needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command import Command, write_repository

BILL = "app.py:6"
"""Where the small repository waits for a completion."""


@pytest.fixture
def unhurried(with_model: Command) -> Command:
    """The command in a new home, with deadlines that a busy machine does not miss."""
    with_model.config_file.parent.mkdir(parents=True)
    with_model.config_file.write_text(
        "[completion]\ndeadline_ms = 200000\n[retrieval]\ndeadline_ms = 60000\n", "utf-8"
    )
    return with_model


def complete(command: Command, cursor: str | Path, *options: str) -> tuple[dict, str]:
    """Return a completion's trace, and what was said beside it."""
    result = command("complete", cursor, "--json", *options)
    assert result.returncode == 0, result
    return json.loads(result.stdout), result.stderr


def temperatures(trace: dict) -> set[str]:
    return {row["memory"] for row in trace["retrieved"] if row["n_tokens"]}


def memories_folder(command: Command) -> Path:
    return command.cache / "crosslight" / "memories"


def test_memories_are_warm_in_the_next_process_and_cold_where_they_were_deleted(
    unhurried: Command, repository: Path
) -> None:
    cold, _ = complete(unhurried, repository / BILL)
    assert temperatures(cold) == {"cold"}, cold
    warm, said = complete(unhurried, repository / BILL)
    assert temperatures(warm) == {"warm"}, warm
    assert said == ""
    assert warm["tokens"] == cold["tokens"]
    assert warm["tokens"]["definitions"]["copied"] == sum(row["n_tokens"] for row in warm["retrieved"]) > 0
    assert (warm["text"], bool(cold["text"])) == (cold["text"], True)

    shutil.rmtree(memories_folder(unhurried))
    again, said = complete(unhurried, repository / BILL)
    assert temperatures(again) == {"cold"}, again
    assert (again["text"], said) == (cold["text"], "")
    assert temperatures(complete(unhurried, repository / BILL)[0]) == {"warm"}


def test_changed_text_is_found_and_encoded_again(unhurried: Command, repository: Path) -> None:
    complete(unhurried, repository / BILL)
    billing = repository / "billing.py"
    billing.write_text(billing.read_text().replace("amount_cents: int)", "amount_in_cents: int)"))
    trace, _ = complete(unhurried, repository / BILL)  # which brings the index up to date
    rows = {row["qualified_name"]: row["memory"] for row in trace["retrieved"]}
    assert rows["Invoice.add_line"] == "cold", trace
    assert "warm" in rows.values(), trace


def test_memories_that_cannot_be_kept_cost_one_sentence_and_no_completion(
    unhurried: Command, repository: Path
) -> None:
    expected, _ = complete(unhurried, repository / BILL)
    folder = memories_folder(unhurried)
    shutil.rmtree(folder)
    folder.write_text("a file in the folder's place, which stops root too")
    for _ in range(2):
        trace, said = complete(unhurried, repository / BILL)
        assert trace["text"] == expected["text"]
        assert temperatures(trace) == {"cold"}, trace
        (sentence,) = said.splitlines()
        assert sentence.startswith("crosslight: "), said
        assert "cannot be kept in" in sentence, said
        assert str(folder) in sentence, said


# A file of more than 5,000 lines

DEFINED = '''def schedule_retry(job_id, backoff_seconds, max_attempts):
    """Queue a job again."""
    return [(job_id, backoff_seconds * 2**n) for n in range(max_attempts)]


'''
USED = '''

def retry(options):
    """Try a job again, as its options say."""
    return schedule_retry(▮)
'''


@pytest.fixture
def long_file(tmp_path: Path) -> tuple[Path, int, str]:
    """A real module with a definition put at its beginning, its line, and a cursor at a use at the end."""
    _pydecimal = pytest.importorskip("_pydecimal", reason="this interpreter has no decimals in Python")
    source = Path(_pydecimal.__file__).read_text("utf-8")
    start = source.index("\nclass ") + 1
    text = source[:start] + DEFINED + source[start:].rstrip() + "\n" + USED
    before, _, after = text.partition("▮")
    assert before.count("\n") > 5_000
    root = write_repository(tmp_path / "jobs", {"jobs.py": before + after})
    column = len(before) - before.rfind("\n")
    return root / "jobs.py", before[:start].count("\n") + 1, f"{before.count(chr(10)) + 1}:{column}"


def test_a_file_of_5000_lines_completes_a_use_of_something_defined_at_its_far_end(
    unhurried: Command, long_file: tuple[Path, int, str]
) -> None:
    file, line, cursor = long_file
    trace, _ = complete(unhurried, f"{file}:{cursor}")
    (far,) = (row for row in trace["retrieved"] if row["qualified_name"] == "schedule_retry")
    assert (far["path"], far["line"], far["memory"]) == ("jobs.py", line, "cold"), trace
    assert far["n_tokens"] > 0, trace
    # these names stand nowhere but in that definition
    assert "backoff_seconds" in trace["text"], trace
    assert "max_attempts" in trace["text"], trace
    alone, _ = complete(unhurried, f"{file}:{cursor}", "--no-retrieval")
    assert "backoff" not in alone["text"], alone
    assert "attempts" not in alone["text"], alone
