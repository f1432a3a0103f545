"""`crosslight engine …`: the index worker is named and ended where it runs, with an engine or without."""

import pytest
from typer.testing import CliRunner

from lsp_server.cli_engine import app

WORKER = {"pid": 4711, "memory_bytes": 250_000_000}


def test_status_names_an_index_worker_that_runs_without_an_engine(monkeypatch):
    facts = {"engine": None, "index_worker": WORKER, "log": "engine.log"}
    monkeypatch.setattr("lsp_server.engine.status.engine_status", lambda _: facts)
    result = CliRunner().invoke(app, ["status"])
    assert "no engine runs" in result.stderr
    assert result.stdout == "index worker: process 4711, 250 MB of memory\n"


@pytest.mark.parametrize(
    ("worker", "is_alone", "told"),
    [
        (None, True, ""),
        (WORKER, True, "the index worker (process 4711) has ended\n"),
        (WORKER, False, "the index worker (process 4711) goes on, since another program needs it\n"),
    ],
)
def test_stop_ends_the_index_worker_too_if_no_other_program_needs_it(monkeypatch, worker, is_alone, told):
    monkeypatch.setattr("lsp_server.engine.status.stop_engine", lambda _: None)
    monkeypatch.setattr("lsp_server.engine.status.running_worker", lambda _: worker)
    monkeypatch.setattr("lsp_server.assemble.stop_lone_worker", lambda _: is_alone)
    result = CliRunner().invoke(app, ["stop"])
    assert "no engine runs" in result.stderr
    assert result.stdout == told
