"""Folders that cannot be written and disks that are full: one line, and nothing broken afterwards."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import N_DEFINITIONS, SHOP, Command, has_program, write_repository
from tiny_model import random_tensors, write_gguf

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

# What root may write it may write anywhere, whatever the mode says; without this privilege root is like
# everybody else.
_LIKE_EVERYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as its owner may have it lying around."""
    return write_gguf(tmp_path_factory.mktemp("weights") / "tiny.gguf", random_tensors())


@pytest.fixture
def everybody(without_model: Command) -> Command:
    """The command without root's privilege to write everywhere."""
    if not IS_ROOT:
        return without_model
    if not has_program("setpriv"):
        pytest.skip("root can write everywhere, and there is no setpriv to take that privilege away")
    return without_model.under(*_LIKE_EVERYBODY)


@pytest.fixture
def locked_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be written."""
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)


def in_the_folders_place(folder: Path) -> Path:
    """Put a file where a program wants its folder."""
    folder.mkdir()
    (folder / "crosslight").write_text("")
    return folder


@pytest.fixture(params=["a locked folder", "a file in the folder's place"])
def unwritable(request: pytest.FixtureRequest, tmp_path: Path, locked_folder: Path) -> Path:
    """A folder in which nothing can be made."""
    return locked_folder if request.param == "a locked folder" else in_the_folders_place(tmp_path / "taken")


def test_a_cache_that_cannot_be_written_is_one_line(
    everybody: Command, repository: Path, unwritable: Path
) -> None:
    command = everybody.with_variables(XDG_CACHE_HOME=str(unwritable))
    for arguments in (("index", repository), ("search", "add_line", "--root", repository)):
        line = command.complaint(*arguments)
        assert str(unwritable) in line, line
    assert "crosslight" not in {path.name for path in repository.rglob("*")}


def test_a_cache_that_cannot_be_written_costs_the_retrieval_only(
    with_model: Command, repository: Path, tmp_path: Path
) -> None:
    taken = in_the_folders_place(tmp_path / "taken")
    command = with_model.with_variables(XDG_CACHE_HOME=str(taken))
    trace = json.loads(command.ok("complete", f"{repository}/app.py:6", "--json"))
    (note,) = trace["retrieval_notes"]
    assert note.startswith("completed without retrieval: "), note
    assert str(taken) in note, note
    assert trace["n_generated_tokens"], trace


def test_doctor_finds_folders_that_cannot_be_written(everybody: Command, unwritable: Path) -> None:
    command = everybody.with_variables(XDG_CACHE_HOME=str(unwritable), XDG_DATA_HOME=str(unwritable))
    result = command("doctor", "--json")
    assert result.returncode == 1, result
    levels = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    for subject in ("models folder", "index folder"):
        assert levels[subject]["level"] == "error", levels[subject]
        assert str(unwritable) in levels[subject]["cure"], levels[subject]


def test_a_models_folder_that_cannot_be_written_is_one_line(
    everybody: Command, weights: Path, unwritable: Path
) -> None:
    line = everybody.with_variables(XDG_DATA_HOME=str(unwritable)).complaint("model", "pull", weights)
    assert str(unwritable) in line, line
    assert "ready" in everybody.ok("model", "pull", weights)


@pytest.mark.parametrize("n_bytes", [0x4000, 0x20000, 0x100000], ids=lambda n: f"{n // 1024} KiB")
def test_a_full_disk_under_the_index_is_one_line_and_room_cures_it(
    without_model: Command, large_repository: Path, small_disk: Callable[[int], Path], n_bytes: int
) -> None:
    disk = small_disk(n_bytes)
    command = without_model.with_variables(XDG_CACHE_HOME=str(disk))
    line = command.complaint("index", large_repository)
    assert str(disk) in line, line
    assert "full" in line, line
    subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
    summary = json.loads(command.ok("index", large_repository, "--json"))
    assert summary["is_complete"], summary
    assert summary["n_definitions"] == N_DEFINITIONS, summary
    command("index-worker", "--stop")


def test_a_full_disk_under_the_vectors_is_told_and_room_cures_it(
    with_model: Command, large_repository: Path, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(6 << 20)  # the catalogue fits, the vectors do not
    command = with_model.with_variables(XDG_CACHE_HOME=str(disk))
    line = command.complaint("index", large_repository)
    assert str(disk) in line, line
    assert "full" in line, line
    assert "work_0_1" in command.ok("search", "work_0_1", "--root", large_repository)
    subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
    summary = json.loads(command.ok("index", large_repository, "--json"))
    assert summary["n_definitions"] == summary["n_embedded"] == N_DEFINITIONS, summary
    command("index-worker", "--stop")


@pytest.mark.parametrize("n_bytes", [0x4000, 0x40000], ids=lambda n: f"{n // 1024} KiB")
def test_a_full_disk_under_the_models_is_one_line_and_no_half_model(
    without_model: Command, weights: Path, small_disk: Callable[[int], Path], n_bytes: int
) -> None:
    disk = small_disk(n_bytes)
    command = without_model.with_variables(XDG_DATA_HOME=str(disk))
    line = command.complaint("model", "pull", weights)
    assert str(disk) in line, line
    assert "free some space" in line, line
    assert json.loads(command.ok("model", "list", "--json"))["installed"] == []
    assert not list(command.models.glob(".converting/*"))
    subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
    command.ok("model", "pull", weights)
    command.ok("model", "verify", "tiny")


def test_a_full_disk_under_the_repository_is_not_our_business(
    without_model: Command, small_disk: Callable[[int], Path]
) -> None:
    root = write_repository(small_disk(0x8000) / "shop", SHOP)
    (root / "filler").write_bytes(b"\0" * 0x1000)
    before = sorted(path.name for path in root.iterdir())
    without_model.ok("index", root)
    assert sorted(path.name for path in root.iterdir()) == before
