"""Ctrl-C, kills, and what a second run makes of the rest."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from command import N_DEFINITIONS, N_FILES, Command, has_program
from fake_servers import FakeServer
from terminal import Terminal
from tiny_model import CONFIG, random_tensors, write_gguf

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not has_program("setsid"), reason="terminals are driven on Linux, by setsid"
)

_SLOW_CONFIG = replace(
    CONFIG, n_layers=8, hidden_size=512, intermediate_size=2048, n_heads=8, n_kv_heads=8, head_dim=64
)


@pytest.fixture(scope="module")
def slow_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose conversion takes a second or two."""
    return write_gguf(
        tmp_path_factory.mktemp("weights") / "slow.gguf",
        random_tensors(_SLOW_CONFIG),
        config=_SLOW_CONFIG,
    )


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.close()


def interrupted(terminal: Terminal) -> str:
    """Press Ctrl-C, and return the line that the command ends with."""
    terminal.press_ctrl_c()
    code = terminal.finish()
    assert "Traceback" not in terminal.shown, terminal.shown
    assert code == 130, (code, terminal.shown)
    line = terminal.shown.splitlines()[-1]
    assert line.startswith("crosslight: interrupted"), terminal.shown
    return line


def test_while_starting(without_model: Command) -> None:
    with Terminal(without_model, "doctor") as terminal:
        terminal.wait_until_it_has("numpy")  # imports go on
        terminal.press_ctrl_c()
        assert terminal.finish() == 130, terminal.shown
        assert "Traceback" not in terminal.shown


def test_while_downloading_what_came_is_kept_and_the_next_pull_goes_on(
    without_model: Command, hub: FakeServer, slow_weights: Path
) -> None:
    content = slow_weights.read_bytes()
    hub.put_hub_model("Some/Slow-GGUF", {"slow.gguf": content})
    path = "/Some/Slow-GGUF/resolve/c0ffee/slow.gguf"
    hub.stall_after = {path: len(content) // 2}
    command = without_model.with_variables(HF_ENDPOINT=hub.url)
    with Terminal(command, "model", "pull", "Some/Slow-GGUF") as terminal:
        assert hub.stalled.wait(60)
        terminal.wait_for("download.* [1-9][0-9]* MB of")
        line = interrupted(terminal)
    assert "are kept in" in line, line
    assert "the next pull goes on from there" in line, line
    hub.stall_after = {}
    assert "ready" in command.ok("model", "pull", "Some/Slow-GGUF")
    assert hub.asked_for(path)[-1].range is not None


def test_while_converting_nothing_half_is_left(without_model: Command, slow_weights: Path) -> None:
    with Terminal(without_model, "model", "pull", slow_weights) as terminal:
        terminal.wait_for("convert")
        interrupted(terminal)
    assert not without_model.models.joinpath("slow").exists()
    assert not list(without_model.models.glob(".converting/*"))
    assert "ready" in without_model.ok("model", "pull", slow_weights)
    without_model.ok("model", "verify", "slow")


@pytest.mark.parametrize("phase", ["parse", "embed"])
def test_while_indexing_the_next_run_finishes_the_work(
    with_model: Command, large_repository: Path, phase: str
) -> None:
    with Terminal(with_model, "index", large_repository) as terminal:
        terminal.wait_for(phase)
        interrupted(terminal)
    summary = json.loads(with_model.ok("index", large_repository, "--json"))
    assert_whole(summary)


def test_a_completion_finishes_an_index_that_was_left_half(
    with_model: Command, large_repository: Path
) -> None:
    cursor = f"{large_repository}/module_0.py:3"
    with Terminal(with_model, "complete", cursor) as terminal:
        terminal.wait_for("parse")
        interrupted(terminal)
    assert "embed: " in with_model("complete", cursor).stderr
    assert "embed: " not in with_model("complete", cursor).stderr


@pytest.mark.parametrize("phase", ["parse", "embed"])
@pytest.mark.parametrize("victim", ["the index worker", "the command"])
def test_killed_while_indexing_the_next_run_finishes_the_work(
    with_model: Command, large_repository: Path, victim: str, phase: str
) -> None:
    with Terminal(with_model, "index", large_repository) as terminal:
        terminal.wait_for(phase)
        if victim == "the command":
            terminal.process.kill()
            terminal.finish()
        else:
            (worker,) = psutil.Process(terminal.process.pid).children()
            worker.kill()
            assert terminal.finish() == 1, terminal.shown
            assert "Traceback" not in terminal.shown, terminal.shown
            assert "crosslight: the index worker ended" in terminal.shown.splitlines()[-1], terminal.shown
    summary = json.loads(with_model.ok("index", large_repository, "--json"))
    assert_whole(summary)
    assert phase == "parse" or summary["n_files_written"] == 0, summary


def assert_whole(summary: dict) -> None:
    assert summary["is_complete"], summary
    assert summary["n_files"] == N_FILES, summary
    assert summary["n_definitions"] == summary["n_embedded"] == N_DEFINITIONS, summary


def test_killed_while_converting_the_next_pull_works(without_model: Command, slow_weights: Path) -> None:
    with Terminal(without_model, "model", "pull", slow_weights) as terminal:
        terminal.wait_for("convert")
        terminal.process.kill()
        terminal.finish()
    assert json.loads(without_model.ok("model", "list", "--json"))["installed"] == []
    without_model.ok("model", "pull", slow_weights)
    assert not list(without_model.models.glob(".converting/*"))
    without_model.ok("model", "verify", "slow")


def test_while_loading_the_model(crosslight: Command, repository: Path) -> None:
    with Terminal(crosslight, "complete", f"{repository}/app.py:6", "--no-retrieval") as terminal:
        terminal.wait_until_it_has("decoder.data")
        interrupted(terminal)


def test_while_generating(with_model: Command, tmp_path: Path) -> None:
    with_model.config_file.parent.mkdir(parents=True)
    with_model.config_file.write_text(
        "[completion]\nprefix_tokens = 8000\nprompt_tokens = 8192\ndeadline_ms = 600000\n"
    )
    source = tmp_path / "long.py"
    source.write_text("".join(f"value_{n} = compute_{n}({n}, {n * n})\n" for n in range(1000)))
    with Terminal(with_model, "complete", f"{source}:1001", "--no-retrieval") as terminal:
        terminal.wait_for_cpu_seconds(4.0)  # loading takes two of them, and reading such a prompt twenty
        interrupted(terminal)


def test_a_second_ctrl_c_is_no_traceback_either(with_model: Command, large_repository: Path) -> None:
    with Terminal(with_model, "index", large_repository) as terminal:
        terminal.wait_for("parse")
        terminal.press_ctrl_c()
        terminal.press_ctrl_c()
        terminal.finish()
    assert "Traceback" not in terminal.shown, terminal.shown
