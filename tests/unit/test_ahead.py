"""What is foreseen, what it costs the next completion, and what ends it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from test_completer import BlockingDecoder, ByteCodec, ScriptedDecoder, retrieve_one

from indexer.errors import WorkerError
from lsp_server.ahead import Ahead, after_acceptance, after_enter
from lsp_server.completer import Completer, CompletionRequest, RunningModel
from lsp_server.config import Settings

REQUEST = CompletionRequest("shop", "app.py", "python", "x = ", "\ny = 2\n", False)


class PassesDecoder(ScriptedDecoder):
    """Writes `1` on the first line, `z = 3` on the next one; counts its passes."""

    def __init__(self):
        super().__init__("", "")
        self.n_passes = 0

    def extend(self, token_ids, **options):
        self.n_passes += 1
        shown = bytes(i for i in (*self._ids, *token_ids) if i < 256)
        text = "x = 1\nz = 3" if b"x = 1\n" in shown else "x = 1"
        self._script = [*text.encode(), 256]
        return super().extend(token_ids, **options)


def ahead_of(decoder) -> Ahead:
    return Ahead(Completer(RunningModel("fake", "cpu", ByteCodec(), decoder), Settings()))


def test_what_follows_an_accepted_suggestion_is_there_already():
    decoder = PassesDecoder()
    ahead = ahead_of(decoder)
    shown = ahead.complete(REQUEST)
    assert shown.text == "1"
    assert ahead.suggestion_shown(REQUEST, shown)
    n_passes = decoder.n_passes
    accepted = after_acceptance(REQUEST, shown)
    foreseen = ahead.complete(accepted)
    assert (foreseen.request.column, foreseen.text) == (6, "")
    assert (shown.is_foreseen, foreseen.is_foreseen) == (False, True)
    entered = ahead.complete(after_enter(accepted))
    assert entered.request.line == 2
    assert decoder.n_passes == n_passes, "nothing was computed"


def test_what_was_foreseen_is_what_would_have_been_completed():
    ahead = ahead_of(PassesDecoder())
    ahead.suggestion_shown(REQUEST, ahead.complete(REQUEST))
    entered = replace(REQUEST, prefix="x = 1\n")
    foreseen = ahead.complete(entered)
    plain = ahead_of(PassesDecoder())
    plain.complete(REQUEST)
    again = plain.complete(entered)
    assert (foreseen.text, foreseen.request, foreseen.tokens) == (again.text, again.request, again.tokens)


@pytest.mark.parametrize(
    "change",
    [
        {"prefix": "x = 2"},
        {"suffix": "\n"},
        {"path": "b.py"},
        {"multi_line": None},
        {"repo_name": "b"},
        {"n_edits_elsewhere": 1},
    ],
)
def test_another_text_is_completed_anew(change):
    decoder = PassesDecoder()
    ahead = ahead_of(decoder)
    shown = ahead.complete(REQUEST)
    ahead.suggestion_shown(REQUEST, shown)
    n_passes = decoder.n_passes
    ahead.complete(replace(after_acceptance(REQUEST, shown), **change))
    assert decoder.n_passes > n_passes


def test_what_is_forgotten_is_completed_anew():
    decoder = PassesDecoder()
    ahead = ahead_of(decoder)
    shown = ahead.complete(REQUEST)
    ahead.suggestion_shown(REQUEST, shown)
    ahead.forget()
    n_passes = decoder.n_passes
    ahead.complete(after_acceptance(REQUEST, shown))
    assert decoder.n_passes > n_passes


def test_what_was_foreseen_without_a_failing_index_is_not_kept():
    failures = [WorkerError("the index worker ended")]

    def retrieve(query):
        if failures:
            raise failures[0]
        return retrieve_one(query)

    decoder = PassesDecoder()
    ahead = ahead_of(decoder)
    request = replace(REQUEST, retrieve=retrieve)
    shown = ahead.complete(request)
    assert shown.is_stopgap
    assert not ahead.suggestion_shown(request, shown)
    failures.clear()
    accepted = ahead.complete(after_acceptance(request, shown))
    assert [told.qualified_name for told in accepted.retrieved] == ["helper"]
    assert not accepted.is_stopgap


def test_what_was_foreseen_long_ago_is_let_go_of():
    decoder = PassesDecoder()
    ahead = ahead_of(decoder)
    requests = [replace(REQUEST, suffix=f"\ny = {number}\n") for number in range(5)]
    shown = [ahead.complete(request) for request in requests]
    assert all(map(ahead.suggestion_shown, requests, shown))
    n_passes = decoder.n_passes
    ahead.complete(after_acceptance(requests[-1], shown[-1]))
    assert decoder.n_passes == n_passes
    ahead.complete(after_acceptance(requests[0], shown[0]))
    assert decoder.n_passes > n_passes


def test_where_nothing_is_shown_nothing_is_foreseen():
    decoder = PassesDecoder()
    ahead = ahead_of(decoder)
    nothing = replace(ahead.complete(REQUEST), text="")
    n_passes = decoder.n_passes
    assert ahead.suggestion_shown(REQUEST, nothing)
    assert decoder.n_passes == n_passes


ENTERS = {
    "no indentation": ("python", "x = 1", "x = 1\n"),
    "the line's own": ("python", "def f():\n    x = 1", "def f():\n    x = 1\n    "),
    "a block": ("python", "def f():\n    if x:", "def f():\n    if x:\n        "),
    "carriage returns": ("python", "a = 1\r\n    x = 1", "a = 1\r\n    x = 1\r\n    "),
    "no grammar": (None, "\tfoo", "\tfoo\n\t"),
}


@pytest.mark.parametrize(("language", "prefix", "entered"), ENTERS.values(), ids=ENTERS.keys())
def test_enter_is_foreseen_with_the_indentation_that_editors_give(language, prefix, entered):
    request = CompletionRequest("shop", "a.py", language, prefix, "\n")
    assert after_enter(request).prefix == entered


# Being ended


class Stuck:
    """Work ahead that stays in its first pass, in a thread of its own."""

    def __init__(self, pool, start):
        self.decoder = BlockingDecoder("x = ", "1")
        self.ahead = ahead_of(self.decoder)
        self.working = pool.submit(start, self.ahead)
        assert self.decoder.begun.wait(30)
        self.decoder.is_blocking = False


STARTS = {
    "foreseeing": lambda ahead: ahead._foresee(replace(REQUEST, suffix="\n")),
    "preparing": lambda ahead: ahead.cursor_rests(REQUEST),
}


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as one:
        yield one


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_a_request_ends_what_is_done_ahead_of_it(pool, start):
    stuck = Stuck(pool, start)
    assert stuck.ahead.complete(REQUEST).text == "1"
    assert stuck.working.result(30) is False


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_what_is_done_ahead_is_cancelled_and_what_comes_next_is_not(pool, start):
    stuck = Stuck(pool, start)
    stuck.ahead.cancel()
    assert stuck.working.result(30) is False
    assert stuck.ahead.complete(REQUEST).text == "1"


def test_what_was_foreseen_and_is_cancelled_before_it_is_shown_says_so(monkeypatch):
    ahead = ahead_of(PassesDecoder())
    shown = ahead.complete(REQUEST)
    ahead.suggestion_shown(REQUEST, shown)
    turns = ahead._completer._feeding.turns
    hold = turns.hold

    def cancelled_while_it_waits(turn, *models):
        ahead.cancel()
        return hold(turn, *models)

    with monkeypatch.context() as patch:
        patch.setattr(turns, "hold", cancelled_while_it_waits)
        trace = ahead.complete(after_acceptance(REQUEST, shown))
    assert (trace.stop_reason, trace.suppression_reason, trace.text) == ("cancelled", "cancelled", "")
    assert ahead.complete(REQUEST).text == "1"


def test_a_request_does_not_wait_for_the_index_that_is_asked_ahead_of_it(pool):
    asked, may_answer = threading.Event(), threading.Event()

    def retrieve(query):
        asked.set()
        may_answer.wait(30)
        return retrieve_one(query)

    ahead = ahead_of(ScriptedDecoder("x = ", "1"))
    working = pool.submit(ahead.cursor_rests, replace(REQUEST, retrieve=retrieve))
    assert asked.wait(30)
    assert ahead.complete(REQUEST).text == "1"
    assert working.result(30) is False
    may_answer.set()


def test_what_is_foreseen_leaves_the_last_completion_to_be_explained():
    ahead = ahead_of(PassesDecoder())
    shown = ahead.complete(REQUEST)
    last = ahead._completer._last[-1]
    ahead.suggestion_shown(REQUEST, shown)
    assert ahead._completer._last[-1] is last
    ahead.complete(after_acceptance(REQUEST, shown))
    assert ahead._completer._last[-1] is not last
