"""The joints of one completion, with a byte tokenizer and a decoder that writes what a table says."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from memory_catalogue import definition

from indexer.errors import WorkerError
from indexer.types import Reason, RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.completer import Completer, CompletionRequest, RunningModel
from lsp_server.config import Settings
from model.decode import generate
from model.errors import Cancelled
from model.types import ControlTokens

N_BYTES = 256
CONTROL = ControlTokens(
    end_of_text=256, fim_prefix=257, fim_suffix=258, fim_middle=259, repo_name=260, file_sep=261,
    all_ids=tuple(range(256, 262)),
)  # fmt: skip


class ByteCodec:
    """One token a byte; a pre-token is a run without a space."""

    control = CONTROL
    vocab_size = N_BYTES + 6

    def encode(self, text):
        return list(text.encode())

    def token_bytes(self, token_id):
        return bytes([token_id]) if token_id < N_BYTES else b""

    def tokens_with_prefix(self, prefix):
        return np.array([prefix[0]]) if len(prefix) == 1 else np.array([], dtype=np.int64)

    def tokens_that_are_prefix_of(self, text):
        return np.array(list(text[:1]), dtype=np.int64)

    def last_pretoken_start(self, text):
        return text.rfind(" ") + 1


class ScriptedDecoder:
    """Writes a fixed text after the cursor's line, then ends."""

    capacity_tokens = 1_000_000

    def __init__(self, line, text):
        self._script = [*line.encode(), *text.encode(), CONTROL.end_of_text]
        self._ids = []

    def reuse(self, parts):
        self._ids = []
        return 0

    def offer(self, token_ids):
        """Rows tell of all tokens anyway."""

    def rewind(self, n_tokens):
        del self._ids[n_tokens:]

    def forget(self):
        self._ids = []

    def cancel(self):
        pass

    def cancel_turn(self):
        pass

    def close_turn(self):
        pass

    def extend(self, token_ids, *, logits="last", positions=None):
        rows = []
        for token in token_ids:
            self._ids.append(token)
            row = np.zeros(ByteCodec.vocab_size, dtype=np.float32)
            if CONTROL.fim_middle in self._ids:
                at = len(self._ids) - 1 - self._ids.index(CONTROL.fim_middle)
                row[self._script[min(at, len(self._script) - 1)]] = 9.0
            rows.append(row)
        if logits == "none":
            return np.zeros((0, ByteCodec.vocab_size), dtype=np.float32)
        wanted = [-1] if logits == "last" else range(len(rows)) if logits == "all" else logits
        return np.stack([rows[i] for i in wanted])

    @property
    def read(self):
        return bytes(i for i in self._ids if i < N_BYTES).decode()


def retrieve_one(query: RetrievalQuery) -> RetrievalResult:
    row = Retrieved(
        definition("lib.py", "helper", "def helper(): ...", line=4),
        0.5,
        (Reason("symbol", 1, "imported as helper"),),
    )
    return RetrievalResult((row,), ("vector",), {"bm25": "no terms"}, {"symbol": 1.0})


def complete(prefix, suffix, text, *, retrieve=None, multi_line=False, settings=None):
    decoder = ScriptedDecoder(prefix.rpartition("\n")[2], text)
    model = RunningModel("fake", "cpu", ByteCodec(), decoder)
    request = CompletionRequest("shop", "app.py", "python", prefix, suffix, multi_line, retrieve)
    return Completer(model, settings or Settings()).complete(request), decoder


def test_the_text_after_the_cursor_is_shown_without_the_healed_bytes():
    trace, _ = complete("total = su", "\n", "m(xs)")
    assert (trace.text, trace.replaces, trace.suppression_reason) == ("m(xs)", 0, None)
    assert trace.stop_reason == "control_token"


def test_definitions_are_read_and_told_with_their_reasons():
    trace, decoder = complete("x = ", "\n", "helper()", retrieve=retrieve_one)
    assert "def helper(): ..." in decoder.read
    (told,) = trace.retrieved
    assert (told.rank, told.path, told.line, told.qualified_name) == (1, "lib.py", 5, "helper")
    assert told.reasons == ("symbol #1: imported as helper",)
    assert told.n_tokens == trace.tokens["definitions"].computed > 0
    assert trace.retrieval_notes == ("vector: left out, retrieval had taken 150 ms already", "bm25: no terms")


def test_what_left_the_index_while_a_line_was_typed_is_not_read_again():
    names = ["keep", "gone"]

    def retrieve(query):
        rows = (Retrieved(definition("lib.py", name, f"def {name}(): ..."), 0.5, ()) for name in names)
        return RetrievalResult(tuple(rows), (), {}, {})

    decoder = ScriptedDecoder("x = ", "1")
    completer = Completer(RunningModel("fake", "cpu", ByteCodec(), decoder), Settings())
    request = CompletionRequest("shop", "app.py", "python", "x = ", "\n", False, retrieve)
    completer.complete(request)
    assert "def gone(): ..." in decoder.read
    names.remove("gone")
    completer.definitions_changed()
    trace = completer.complete(request)
    assert [told.qualified_name for told in trace.retrieved] == ["keep"]
    assert "def keep(): ..." in decoder.read
    assert "def gone(): ..." not in decoder.read


def test_retrieval_that_fails_degrades_to_the_file_alone_and_says_why():
    def fail(query):
        raise WorkerError("the index worker ended")

    trace, _ = complete("x = ", "\n", "1", retrieve=fail)
    assert trace.text == "1"
    assert trace.retrieval_notes == ("completed without retrieval: the index worker ended",)


@pytest.mark.parametrize(
    ("prefix", "suffix", "text", "reason"),
    [
        ("x = ", "\n", "", "empty"),
        ("x = 1", "\n", " 2 3", "parses_worse"),
        ("a = 1\n", "\nb = 2\n", "b = 2\n", "repeats_next_line"),
    ],
)
def test_what_is_not_shown_has_a_reason(prefix, suffix, text, reason):
    trace, _ = complete(prefix, suffix, text)
    assert (trace.text, trace.replaces) == ("", 0)
    assert trace.suppression_reason == reason


def test_too_little_time_to_write_anything_is_not_told_as_nothing_to_write(monkeypatch):
    seconds = itertools.count()
    hurried = partial(generate, clock=lambda: float(next(seconds)))
    monkeypatch.setattr("lsp_server.writing.generate", hurried)
    settings = replace(Settings(), completion=replace(Settings().completion, deadline_ms=1_000))
    trace, _ = complete("y = 0\n" * 100 + "x = ", "\n", "1", settings=settings)
    assert (trace.text, trace.suppression_reason) == ("", "deadline")


def test_what_comes_while_typing_ends_once_enough_time_has_passed_and_something_is_written(monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr("lsp_server.writing.generate", partial(generate, clock=lambda: float(next(seconds))))
    decoder = ScriptedDecoder("x = ", "123456789")
    completer = Completer(RunningModel("fake", "cpu", ByteCodec(), decoder), Settings())
    request = CompletionRequest("shop", "app.py", "python", "x = ", "\n", False, enough_ms=5_000)
    trace = completer.complete(request)
    assert trace.stop_reason == "deadline"
    assert trace.text
    assert "123456789".startswith(trace.text)
    seconds = itertools.count()
    whole = completer.complete(replace(request, enough_ms=None))
    assert len(whole.text) > len(trace.text)


PHASES = ["prompt", "retrieval", "definitions", "prefill", "decode", "finish", "total"]


def test_every_token_of_the_prompt_is_accounted_for():
    trace, decoder = complete("x = ", "\n", "1", retrieve=retrieve_one)
    assert (
        sum(t.computed + t.reused for t in trace.tokens.values())
        == len(decoder._ids) - trace.n_generated_tokens
    )
    assert list(trace.phases_ms) == PHASES


def test_json_holds_every_field():
    trace, _ = complete("x = ", "\n", "1", retrieve=retrieve_one)
    table = trace.to_dict()
    assert set(table) == set(trace.__dataclass_fields__)
    assert '"version": 1' in trace.to_json()


class BlockingDecoder(ScriptedDecoder):
    """Stays in its first pass until its turn is cancelled; then it is a scripted one."""

    def __init__(self, line, text):
        super().__init__(line, text)
        self.begun = threading.Event()
        self.cancelled = threading.Event()
        self.is_blocking = True

    def cancel_turn(self):
        self.cancelled.set()

    def close_turn(self):
        self.cancelled.clear()

    def extend(self, token_ids, **options):
        if self.is_blocking:
            self.begun.set()
            assert self.cancelled.wait(30)
        if self.cancelled.is_set():
            raise Cancelled
        return super().extend(token_ids, **options)


def blocking_completer(retrieve=None):
    decoder = BlockingDecoder("x = ", "1")
    request = CompletionRequest("shop", "app.py", "python", "x = ", "\n", False, retrieve)
    return Completer(RunningModel("fake", "cpu", ByteCodec(), decoder), Settings()), decoder, request


def test_a_completion_is_cancelled_in_the_middle_of_a_pass_and_the_next_one_is_not():
    completer, decoder, request = blocking_completer()
    with ThreadPoolExecutor(1) as pool:
        completing = pool.submit(completer.complete, request)
        assert decoder.begun.wait(30)
        completer.cancel()
        trace = completing.result(30)
    assert (trace.text, trace.stop_reason, trace.suppression_reason) == ("", "cancelled", "cancelled")
    decoder.is_blocking = False
    assert completer.complete(request).text == "1"


def test_a_completion_is_cancelled_while_the_index_is_asked():
    asked, may_answer = threading.Event(), threading.Event()

    def retrieve(query):
        asked.set()
        may_answer.wait(30)
        return retrieve_one(query)

    completer, decoder, request = blocking_completer(retrieve)
    decoder.is_blocking = False
    with ThreadPoolExecutor(1) as pool:
        completing = pool.submit(completer.complete, request)
        assert asked.wait(30)
        completer.cancel()
        assert completing.result(30).stop_reason == "cancelled"
    may_answer.set()
    assert completer.complete(request).text == "1"


def test_cancelling_when_nothing_is_in_progress_has_no_effect():
    completer, decoder, request = blocking_completer()
    decoder.is_blocking = False
    completer.cancel()
    assert completer.complete(request).text == "1"


def test_the_last_suggestion_is_explained_also_when_nothing_was_written_behind_it():
    writes = ["1", "", ""]
    decoder = ScriptedDecoder("x = ", "1")
    completer = Completer(RunningModel("fake", "cpu", ByteCodec(), decoder), Settings())
    request = CompletionRequest("shop", "app.py", "python", "x = ", "\n", multi_line=False)
    assert completer.explain() is None
    traces = []
    for number, text in enumerate(writes):
        prefix = "y = 1\n" * number + "x = "
        decoder._script = [*b"x = ", *text.encode(), CONTROL.end_of_text]
        traces.append(completer.complete(replace(request, prefix=prefix)))
    assert [trace.text for trace in traces] == writes
    assert completer.explain(traces[0]).text == "1"
    assert completer.explain(traces[1]) is None
    assert completer.explain().text == ""
