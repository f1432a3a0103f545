"""Nothing leaves the machine: all works without a network, and nobody even tries to connect."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from command import Command
from isolation import is_permitted, strace, unshare


@pytest.fixture
def offline(with_model: Command) -> Command:
    """The command where there is no network."""
    if not is_permitted(*unshare()):
        pytest.skip("OFFLINE NOT TESTED: network namespaces are not permitted here")
    return with_model.under(*unshare())


def test_an_installed_model_works_without_any_network(offline: Command, repository: Path) -> None:
    interfaces = subprocess.run(
        [*unshare(), "cat", "/proc/net/dev"], capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^\s*(\S+):", interfaces, re.MULTILINE) == ["lo"]
    summary = json.loads(offline.ok("index", repository, "--json"))
    assert summary["n_embedded"] == summary["n_definitions"] > 0, summary
    assert "add_line" in offline.ok("search", "add one line to an invoice", cwd=repository)
    trace = json.loads(offline.ok("complete", f"{repository}/app.py:6", "--json"))
    assert "Invoice.add_line" in {row["qualified_name"] for row in trace["retrieved"]}, trace
    assert trace["retrieval_notes"] == [], trace
    assert trace["n_generated_tokens"], trace
    offline.ok("doctor", cwd=repository)
    offline.ok("model", "verify")


def test_a_pull_without_a_network_says_what_to_fetch_and_where_to_put_it(offline: Command) -> None:
    (offline.models / "qwen2.5-coder-0.5b").unlink()
    line = offline.complaint("model", "pull")
    for told in ("could not be fetched", "sha256", ".gguf", "crosslight model pull /path/to/"):
        assert told in line, line
    assert len(line) < 2_000, line


def test_nothing_tries_to_connect(with_model: Command, repository: Path, tmp_path: Path) -> None:
    log = tmp_path / "connects"
    if not is_permitted(*strace(log)):
        pytest.skip("CONNECTIONS NOT WATCHED: there is no strace, or it is not permitted here")
    with_model.config_file.parent.mkdir(parents=True)
    with_model.config_file.write_text("[index]\nworker_idle_s = 1\n")  # strace stays until the worker ends
    watched = with_model.under(*strace(log))
    for arguments in (("index", repository), ("complete", f"{repository}/app.py:6"), ("doctor",)):
        watched.ok(*arguments)
        calls = [line for line in log.read_text().splitlines() if "sa_family=" in line]
        assert [call for call in calls if "AF_UNIX" not in call] == [], calls
        assert any("crosslight" in call for call in calls) or arguments == ("doctor",), calls


def test_nothing_is_kept_outside_of_our_folders(with_model: Command, repository: Path) -> None:
    before = sorted(path.name for path in repository.rglob("*"))
    with_model.ok("complete", f"{repository}/app.py:6")
    with_model.ok("doctor", cwd=repository)
    homes = {path.relative_to(with_model.home).as_posix() for path in with_model.home.glob("*/*")}
    assert homes == {"cache/crosslight", "data/crosslight", "run/crosslight"}
    assert {path.name for path in with_model.home.iterdir()} == {"cache", "data", "run"}
    assert sorted(path.name for path in repository.rglob("*")) == before
    for folder in ("cache/crosslight", "run/crosslight"):
        for path in (with_model.home / folder, *(with_model.home / folder).rglob("*")):
            assert path.lstat().st_mode & 0o077 == 0, path
