import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import wait_for, write_files

from indexer.languages import TooSlowError
from indexer.parse_pool import BATCH_FILES, Outcome, ParsePool, Task, look_at
from indexer.walk import WalkedFile, WalkOptions, walk

OPTIONS = WalkOptions()


@pytest.fixture
def files(tmp_path: Path) -> list[WalkedFile]:
    write_files(tmp_path, {f"m{n:03}.py": f"def f{n}():\n    pass\n" for n in range(3 * BATCH_FILES)})
    return list(walk(tmp_path))


def run(pool: ParsePool, files: list[WalkedFile], after: int = 1 << 30) -> list[Outcome]:
    asked = iter(range(1 << 30))
    tasks = [Task(file, None) for file in files]
    return [outcome for batch in pool.outcomes(tasks, lambda: next(asked) >= after) for outcome in batch]


@pytest.fixture(params=[0, 2])
def pool(request: pytest.FixtureRequest) -> Iterator[ParsePool]:
    with ParsePool(request.param, OPTIONS) as pool:
        yield pool


def test_outcomes_come_in_order(pool: ParsePool, files: list[WalkedFile]) -> None:
    outcomes = run(pool, files)
    assert [outcome.file for outcome in outcomes] == files
    assert all(outcome.parsed and outcome.content_hash for outcome in outcomes)


def test_a_cancelled_run_ends_early(pool: ParsePool, files: list[WalkedFile]) -> None:
    assert len(run(pool, files, after=1)) < len(files)


def test_a_file_that_is_known_is_not_parsed(files: list[WalkedFile]) -> None:
    outcome = look_at(Task(files[0], look_at(Task(files[0], None), OPTIONS).content_hash), OPTIONS)
    assert (outcome.parsed, outcome.left_out) == (None, None)


def test_a_file_that_went_meanwhile_is_gone(files: list[WalkedFile]) -> None:
    files[0].absolute.unlink()
    assert look_at(Task(files[0], None), OPTIONS).left_out == "gone"


def test_a_file_that_its_parser_fails_on_costs_that_file_only(
    files: list[WalkedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str, source: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr("indexer.parse_pool.parse_file", fail)
    assert look_at(Task(files[0], None), OPTIONS).left_out == "crashed the parser"


def test_a_child_that_dies_is_replaced(files: list[WalkedFile]) -> None:
    with ParsePool(1, OPTIONS) as pool:
        run(pool, files[:1])
        child = pool._children.get()
        process = child._process
        assert process is not None
        process.kill()
        process.wait()
        pool._children.put(child)
        assert all(outcome.parsed for outcome in run(pool, files))


def test_a_child_ends_with_its_input(files: list[WalkedFile]) -> None:
    with ParsePool(1, OPTIONS) as pool:
        run(pool, files[:1])
        child = pool._children.get()
        process = child._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()  # as happens when the parent dies, however it dies
        wait_for(lambda: process.poll() is not None)
        assert process.returncode == 0
        pool._children.put(child)


def test_a_file_that_a_grammar_takes_too_long_over_is_left_out(
    files: list[WalkedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(path: str, source: bytes) -> None:
        raise TooSlowError

    monkeypatch.setattr("indexer.parse_pool.parse_file", give_up)
    assert look_at(Task(files[0], None), OPTIONS).left_out == "too slow to parse"


@pytest.mark.skipif(sys.platform == "win32", reason="no timer of processor time")
def test_a_child_that_hangs_costs_the_file_it_hangs_on(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.py": "a = f()\n", "hangs.py": "x=[\n" * 100_000, "z.py": "z = f()\n"})
    files = list(walk(tmp_path))
    with ParsePool(1, OPTIONS, max_file_s=0.3) as pool:
        outcomes = run(pool, files)
    assert [outcome.left_out for outcome in outcomes] == [None, "too slow to parse", None]
