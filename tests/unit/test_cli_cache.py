"""`crosslight cache`: memories are listed and cleared, by themselves or with the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lsp_server.cli_cache import app
from lsp_server.errors import UsageError
from lsp_server.paths import Folders


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """A user who has an entry of a memory, and an answer of an evaluation."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CACHE", "DATA", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    folders = Folders.of_user()
    (folders.memories / "0123456789abcdef-1").mkdir(parents=True)
    (folders.memories / "0123456789abcdef-1" / "0f.memory").write_bytes(b"m" * 1000)
    folders.evaluations.mkdir()
    (folders.evaluations / "answers.jsonl").write_bytes(b"a" * 10)
    return folders


def crosslight_cache(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_info_lists_the_memories(folders: Folders) -> None:
    told = json.loads(crosslight_cache("info", "--json").stdout)
    assert told["memories"] == {"bytes": 1000}
    assert told["folders"]["memories"] == str(folders.memories)
    assert "encoded definitions" in crosslight_cache("info").stdout


def test_memories_can_be_cleared_alone(folders: Folders) -> None:
    assert crosslight_cache("clear", "--memories").stdout == "1 kB freed\n"
    assert not folders.memories.exists()
    assert folders.evaluations.exists()
    assert crosslight_cache("clear", "--memories").stdout == "0 bytes freed\n"


def test_trainings_are_listed_and_go_with_the_models(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsp_server.assemble.stop_worker", lambda _: None)
    (folders.trainings / "0123456789abcdef").mkdir(parents=True)
    (folders.trainings / "0123456789abcdef" / "checkpoint.pt").write_bytes(b"c" * 3000)
    assert json.loads(crosslight_cache("info", "--json").stdout)["trainings"] == {"bytes": 3000}
    assert "crosslight adapt" in crosslight_cache("info").stdout
    crosslight_cache("clear")
    assert folders.trainings.exists()
    crosslight_cache("clear", "--models")
    assert not folders.trainings.exists()


def test_clear_clears_the_memories_too(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsp_server.assemble.stop_worker", lambda _: None)
    assert crosslight_cache("clear").stdout == "1 kB freed\n"
    assert not folders.memories.exists()
    assert not folders.evaluations.exists()


@pytest.mark.parametrize("other", ["--models", "."])
def test_clearing_the_memories_alone_goes_with_nothing_else(folders: Folders, other: str) -> None:
    result = crosslight_cache("clear", "--memories", other)
    assert isinstance(result.exception, UsageError)
    assert folders.memories.exists()
