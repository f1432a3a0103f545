"""Cancelling and working ahead, on the real model: whatever was given up, the next answer is a fresh one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from command import Command

from indexer.types import Definition, Reason, RetrievalQuery, RetrievalResult, Retrieved, Span
from lsp_server.ahead import Ahead, after_acceptance, after_enter
from lsp_server.assemble import start_model
from lsp_server.completer import Completer, CompletionRequest, RunningModel
from lsp_server.config import Settings
from lsp_server.paths import Folders
from lsp_server.trace import CompletionTrace

SETTINGS = Settings()
SETTINGS = replace(SETTINGS, memory=replace(SETTINGS.memory, ram_mb=0, disk_mb=0))
"""No memory is kept, so that each completion encodes."""
ABOVE = "from bank import Account\n\n\ndef pay(account: Account, amount: int) -> None:\n    account."
BELOW = "\n\n\ndef close(account: Account) -> None:\n    account.is_open = False\n"
ACCOUNT = "class Account:\n    def withdraw(self, amount: int) -> None: ...\n    is_open: bool\n"
OTHER = "import json\n\n\ndef load(path: str) -> dict:\n    with open(path) as file:\n        return json."


def retrieve(_: RetrievalQuery) -> RetrievalResult:
    definition = Definition(
        id="bank.py:Account",
        path="bank.py",
        language="python",
        kind="class",
        role="source",
        name="Account",
        qualified_name="Account",
        signature="class Account",
        docstring="",
        span=Span(0, len(ACCOUNT), 0, 3),
        text=ACCOUNT,
        content_hash="account",
    )
    return RetrievalResult((Retrieved(definition, 1.0, (Reason("symbol", 1, "named"),)),), (), {}, {})


PAY = CompletionRequest("shop", "pay.py", "python", ABOVE, BELOW, False, retrieve)
LOAD = CompletionRequest("shop", "load.py", "python", OTHER, "\n", False)


@pytest.fixture(scope="module")
def model(crosslight: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningModel]:
    folder = tmp_path_factory.mktemp("folders")
    model = start_model(Folders(folder, crosslight.models, folder / "index", folder), SETTINGS)
    yield model
    model.close()


@pytest.fixture
def completer(model: RunningModel) -> Completer:
    completer = Completer(model, SETTINGS)
    completer.forget()
    return completer


def outcome(trace: CompletionTrace) -> tuple[object, ...]:
    """What must be the same to the last bit."""
    return trace.text, trace.stop_reason, trace.n_generated_tokens, trace.first_token_probability


class CancellingSession:
    """Runs a real session and, in one given run, has another thread cancel while that run is under way."""

    def __init__(self, session: Any, runs: list[int], cancel_run: int, cancel: Any) -> None:
        self._session, self._runs, self._cancel_run, self._cancel = session, runs, cancel_run, cancel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, cache: Any, token_ids: Any, **arguments: Any) -> Any:
        self._runs.append(len(token_ids))
        if len(self._runs) == self._cancel_run:
            canceller = threading.Thread(target=self._cancel)
            canceller.start()
            canceller.join()
        return self._session.run(cache, token_ids, **arguments)


def complete_with_cancel(
    model: RunningModel, completer: Completer, monkeypatch: pytest.MonkeyPatch, cancel_run: int
) -> tuple[CompletionTrace, list[int]]:
    """Complete, and cancel in one of the runs of the model; return also the tokens of each run."""
    runs: list[int] = []
    assert model.bank is not None
    with monkeypatch.context() as patch:
        for state in (model.decoder, model.bank._encoder._state):
            session = CancellingSession(state._session, runs, cancel_run, completer.cancel)
            patch.setattr(state, "_session", session)
        return completer.complete(PAY), runs


def test_a_completion_that_is_cancelled_in_any_run_leaves_the_next_as_a_fresh_start_makes_it(
    model: RunningModel, completer: Completer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, runs = complete_with_cancel(model, completer, monkeypatch, 0)
    assert fresh.text
    assert fresh.retrieved[0].memory == "cold", "it encodes, reads and decodes"
    assert len(runs) >= 3
    for cancel_run in range(1, len(runs) + 1):
        completer.forget()
        cancelled, made = complete_with_cancel(model, completer, monkeypatch, cancel_run)
        if len(made) >= cancel_run:  # how many there are depends on how soon the index answers
            assert (cancelled.stop_reason, cancelled.text) == ("cancelled", "")
        assert outcome(completer.complete(PAY)) == outcome(fresh)


def test_visits_elsewhere_change_no_answer(completer: Completer) -> None:
    fresh = outcome(completer.complete(PAY))
    for request in (LOAD, replace(PAY, prefix=ABOVE.partition("def")[0]), PAY):
        last = completer.complete(request)
    assert outcome(last) == fresh


def test_what_is_foreseen_is_what_would_have_been_answered(model: RunningModel, completer: Completer) -> None:
    shown = completer.complete(PAY)
    accepted = after_acceptance(PAY, shown)
    expected = [outcome(completer.complete(request)) for request in (accepted, after_enter(accepted))]
    ahead = Ahead(Completer(model, SETTINGS))
    ahead.complete(PAY)
    assert ahead.suggestion_shown(PAY, shown)
    assert [outcome(ahead.complete(request)) for request in (accepted, after_enter(accepted))] == expected


def test_a_line_that_the_cursor_has_entered_is_read_before_its_first_keystroke(completer: Completer) -> None:
    assert completer.prepare(PAY)
    trace = completer.complete(replace(PAY, prefix=ABOVE + "w"))
    assert trace.tokens["frame"].computed == 0
    assert trace.tokens["frame"].reused > 0
