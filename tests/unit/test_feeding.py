"""How definitions reach the model: as memories or in the prompt, and what the trace tells of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fake_memories import FakeEncoder, FakeStore
from fake_model import FakeCodec, FakeDecoder, continues
from memory_catalogue import definition

from indexer.errors import WorkerError
from indexer.types import Reason, RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.completer import Completer, CompletionRequest, RunningModel
from lsp_server.config import RetrievalSettings, Settings
from lsp_server.feeding import Concatenated, Memories, prompt_budget
from lsp_server.trace import CompletionTrace, SegmentTokens
from model.memory_bank import MemoryBank
from model.prompt import PromptDefinition, PromptRequest, build_prompt
from model.types import Memory, TokenRun

CODEC = FakeCodec(["    ", "return", " = "])
SETTINGS = Settings(retrieval=RetrievalSettings(definitions=3, definition_tokens=64, deadline_ms=60_000))
A, B, C, D = (f"def {name}():\n    return {name!r}\n" for name in ("first", "second", "third", "fourth"))
PREFIX, SUFFIX = "import lib\n\n\nx = 1\n", "\nz = 3\n"
COLD, WARM, LEFT = "cold", "warm", "left out"
TIMEOUT_S = 30


class Editor:
    """Completes cursors of one file, one after the other; a token takes a millisecond to encode."""

    def __init__(self, *, with_bank: bool = True, line: str = "y = ", writes: str = "first()") -> None:
        self.encoder = FakeEncoder()
        self.bank = MemoryBank(self.encoder, FakeStore(), clock=self.encoder.clock)
        self.decoder = FakeDecoder(CODEC, continues(CODEC, line + writes))
        bank = self.bank if with_bank else None
        self.model = RunningModel("fake", "cpu", CODEC, self.decoder, bank)
        self.completer = Completer(self.model, SETTINGS)

    def complete(
        self,
        texts: Sequence[str] | None,
        *,
        repo_name: str = "shop",
        typed: str = "y = ",
        encode_ms: float | None = None,
    ) -> CompletionTrace:
        request = CompletionRequest(
            repo_name=repo_name,
            path="app.py",
            language="python",
            prefix=PREFIX + typed,
            suffix=SUFFIX,
            multi_line=False,
            retrieve=None if texts is None else retrieval_of(texts),
            encode_ms=encode_ms,
        )
        return self.completer.complete(request)


def retrieval_of(texts: Sequence[str]) -> Callable[..., RetrievalResult]:
    rows = [
        Retrieved(definition("lib.py", f"d{index}", text), 1.0, (Reason("symbol", index + 1, "named"),))
        for index, text in enumerate(texts)
    ]
    return lambda query: RetrievalResult(tuple(rows[: query.n]), (), {}, {})


def temperatures(trace: CompletionTrace) -> list[str | None]:
    return [row.memory for row in trace.retrieved]


# Temperatures


def test_definitions_are_cold_at_first_and_warm_from_then_on():
    editor = Editor()
    assert temperatures(editor.complete([A, B])) == [COLD, COLD]
    assert temperatures(editor.complete([A, B])) == [WARM, WARM]
    assert temperatures(editor.complete([C, B, A])) == [COLD, WARM, WARM]


def test_changed_text_is_cold_and_what_it_was_before_is_still_warm():
    editor = Editor()
    editor.complete([A])
    assert temperatures(editor.complete([A.replace("return", "raise")])) == [COLD]
    assert temperatures(editor.complete([A])) == [WARM]


def test_another_repository_with_the_same_text_has_memories_of_its_own():
    editor = Editor()
    editor.complete([A])
    assert temperatures(editor.complete([A], repo_name="store")) == [COLD]


def test_what_there_is_no_time_to_encode_is_left_out_and_was_not_read():
    editor = Editor()
    trace = editor.complete([A, B, C], encode_ms=50)  # each takes 30 to 40
    assert temperatures(trace) == [COLD, LEFT, LEFT]
    assert [row.n_tokens > 0 for row in trace.retrieved] == [True, False, False]
    assert [memory.n_tokens for memory in editor.decoder.attached] == [trace.retrieved[0].n_tokens]
    assert trace.tokens["definitions"].copied == trace.retrieved[0].n_tokens


def test_while_nobody_waits_definitions_are_encoded_however_long_it_takes():
    editor, retrieve = Editor(), retrieval_of([A, B, C])
    request = CompletionRequest(
        "shop", "app.py", "python", PREFIX + "y = ", SUFFIX, multi_line=False, retrieve=retrieve, encode_ms=50
    )
    assert editor.completer.prepare(request)
    trace = editor.completer.complete(request)
    assert temperatures(trace) == [WARM, WARM, WARM]
    assert counted(trace)["definitions"] == (0, sum(row.n_tokens for row in trace.retrieved), 0)


def test_what_was_left_out_is_told_to_whoever_encodes_ahead():
    editor, told = Editor(), []
    feeding = Memories(editor.bank, 64, lambda *left_out: told.append(left_out))
    editor.completer = Completer(editor.model, SETTINGS, feeding)
    editor.complete([A, B, C], encode_ms=50)
    editor.complete([A])
    ((sink, definitions),) = told
    assert [CODEC.decode(ids).decode() for ids in definitions] == [f"lib.py\n{B}", f"lib.py\n{C}"]
    assert CODEC.decode(sink) == b"shop\n"


# Tokens


def counted(trace: CompletionTrace) -> dict[str, tuple[int, int, int]]:
    return {name: (t.computed, t.reused, t.copied) for name, t in trace.tokens.items()}


def test_tokens_of_memories_are_copied_and_all_others_computed():
    trace = Editor().complete([A, B])
    n_definitions = sum(row.n_tokens for row in trace.retrieved)
    tokens = counted(trace)
    assert list(tokens) == ["sink", "frame", "finished", "definitions", "live"], "in the buffer's order"
    assert tokens["definitions"] == (0, 0, n_definitions)
    for name in ("sink", "frame", "live"):
        assert tokens[name][0] > 0
        assert tokens[name][1:] == (0, 0)


STEPS = {
    "the same again": ([A, B], "y = ", {"sink", "frame", "definitions"}),
    "a keystroke": ([A, B], "y = f", {"sink", "frame", "definitions"}),
    "other definitions": ([C], "y = f", {"sink", "frame"}),
    "no definitions": ([], "y = f", {"sink", "frame"}),
    "Enter": ([A, B], "y = first()\ny = ", {"sink", "frame"}),
    "Enter and other definitions": ([C, D], "y = first()\ny = ", {"sink", "frame"}),
    "one more definition": ([A, B, C], "y = f", {"sink", "frame"}),
}


@pytest.mark.parametrize(("texts", "typed", "reused"), STEPS.values(), ids=STEPS.keys())
def test_after_it_sink_and_frame_are_reused_and_memories_as_long_as_they_are_the_same(texts, typed, reused):
    editor = Editor()
    before = editor.complete([A, B])
    after = editor.complete(texts, typed=typed)
    for name, tokens in after.tokens.items():
        if name in reused:
            assert tokens == SegmentTokens(0, before.tokens[name].computed + before.tokens[name].copied)
        elif name == "finished":
            assert (tokens.computed > 0) == ("\n" in typed)
        elif name != "definitions":
            assert tokens.computed > 0
    definitions = after.tokens["definitions"]
    assert definitions.computed == 0
    assert definitions.reused + definitions.copied == sum(row.n_tokens for row in after.retrieved)


@pytest.mark.parametrize("with_bank", [True, False], ids=["memories", "concatenated"])
def test_every_token_is_computed_reused_or_copied(with_bank):
    editor = Editor(with_bank=with_bank)
    for texts in ([A], [A, B], [], [C, A, B], None):
        trace = editor.complete(texts)
        assert sum(row.n_tokens for row in trace.retrieved) == sum(counted(trace)["definitions"])
        total = sum(sum(tokens) for tokens in counted(trace).values())
        assert total <= len(editor.decoder.ids) <= total + trace.n_generated_tokens + len("y = ")


def test_without_retrieval_nothing_is_attached():
    editor = Editor()
    for texts in (None, []):
        trace = editor.complete(texts)
        assert trace.retrieved == ()
        assert counted(trace)["definitions"] == (0, 0, 0)
    assert editor.decoder.attached == []


# Pasted into the prompt


def test_without_a_bank_definitions_stand_in_the_prompt():
    editor = Editor(with_bank=False)
    trace = editor.complete([A, B])
    assert temperatures(trace) == [None, None]
    assert all(row.n_tokens for row in trace.retrieved)
    tokens = counted(trace)
    assert list(tokens) == ["sink", "definitions", "frame", "finished", "live"], "in the buffer's order"
    assert tokens["definitions"] == (sum(row.n_tokens for row in trace.retrieved), 0, 0)
    assert editor.decoder.attached == []
    read = CODEC.decode(editor.decoder.ids).decode()
    assert read.index(B) < read.index(A) < read.index("app.py\n"), "the best one next to the file"


def test_the_text_of_a_completion_does_not_depend_on_how_definitions_are_fed():
    texts = {Editor(with_bank=with_bank).complete([A, B]).text for with_bank in (True, False)}
    assert texts == {"first()"}


# Positions


def prompt_of(settings: Settings, texts: Sequence[str], path: str = "lib.py"):
    feeding = Memories(Editor().bank, settings.retrieval.definition_tokens)
    rows = [PromptDefinition(path, text) for text in texts]
    request = PromptRequest("shop", "app.py", PREFIX + "y = ", SUFFIX, rows)
    prompt = build_prompt(CODEC, request, feeding.budget(settings))
    return prompt, feeding.feed(prompt, encode_ms=None).parts


@pytest.mark.parametrize("path", ["lib.py", "very/" * 40 + "deep.py"])
@pytest.mark.parametrize("definition_tokens", [16, 64, 192])
def test_memories_lie_between_sink_and_frame_whatever_their_number_and_length(path, definition_tokens):
    settings = Settings(retrieval=RetrievalSettings(definitions=3, definition_tokens=definition_tokens))
    placed = []
    for texts in ([], [A], [A * 20, B, C]):
        prompt, (sink, frame, *memories, live) = prompt_of(settings, texts, path)
        assert (sink, len(memories)) == (TokenRun(prompt.sink, 0), len(texts))
        for memory in memories:
            assert isinstance(memory, Memory)
            assert memory.first_position == sink.n_tokens
            assert memory.first_position + memory.n_tokens <= frame.first_position
        assert live.first_position == frame.first_position + frame.n_tokens
        placed.append((sink, frame, live))
    assert placed[0] == placed[1] == placed[2], "the rest does not depend on what was retrieved"


def test_memories_are_given_best_first_and_pasted_definitions_best_last():
    budgets = Memories(Editor().bank, 64).budget(SETTINGS), Concatenated().budget(SETTINGS)
    assert [budget.order for budget in budgets] == ["best_first", "best_last"]
    assert replace(budgets[1], order="best_first") == budgets[0] == prompt_budget(SETTINGS)
    editor = Editor()
    editor.complete([A, B])
    assert [CODEC.decode(memory.token_ids).decode() for memory in editor.decoder.attached] == [
        f"lib.py\n{A}",
        f"lib.py\n{B}",
    ]


# While the index is asked


class Scripted:
    """An index that answers when it is told to, and a decoder that says when it runs."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.may_answer = threading.Event()
        self.has_begun = threading.Event()
        self.was_cancelled = threading.Event()
        self.n_passes = 0
        decoder = editor.decoder
        extend = decoder.extend

        def noted(*args: Any, **more: Any) -> Any:
            self.n_passes += 1
            self.has_begun.set()
            return extend(*args, **more)

        decoder.extend = noted
        decoder.cancel = self.was_cancelled.set

    def complete_after(
        self, event: threading.Event, texts: Sequence[str], typed: str, *, encode_ms: float | None = None
    ) -> CompletionTrace:
        """Complete with an index that answers when something has happened."""
        answer = retrieval_of(texts)

        def retrieve(query: RetrievalQuery) -> RetrievalResult:
            assert event.wait(TIMEOUT_S)
            return answer(query)

        return self.editor.completer.complete(
            CompletionRequest("shop", "app.py", "python", PREFIX + typed, SUFFIX, False, retrieve, encode_ms)
        )


def test_a_keystroke_does_not_wait_for_an_index_that_says_the_same():
    editor = Editor()
    before = editor.complete([A, B])
    scripted = Scripted(editor)
    trace = scripted.complete_after(scripted.has_begun, [A, B], "y = f")
    assert (trace.text, before.text) == ("irst()", "first()")
    assert not scripted.was_cancelled.is_set()
    n_passes, alone = scripted.n_passes, Editor()
    alone.complete([A, B])
    counted_alone = Scripted(alone)
    counted_alone.may_answer.set()
    counted_alone.complete_after(counted_alone.may_answer, [A, B], "y = f")
    assert n_passes == counted_alone.n_passes, "nothing is computed twice"


def test_nothing_is_written_without_what_has_to_be_encoded_again():
    editor, alone = Editor(), Editor()
    alone.complete([A, B])
    counted_alone = Scripted(alone)
    counted_alone.may_answer.set()
    counted_alone.complete_after(counted_alone.may_answer, [A, B], "y = f")
    editor.complete([A, B])
    editor.bank._store.memories.clear()
    scripted = Scripted(editor)
    scripted.may_answer.set()
    trace = scripted.complete_after(scripted.may_answer, [A, B], "y = f")
    assert temperatures(trace) == [COLD, COLD]
    assert scripted.n_passes == counted_alone.n_passes


def test_what_was_begun_with_the_wrong_definitions_is_ended_and_not_shown():
    editor = Editor()
    editor.complete([A, B])
    scripted = Scripted(editor)
    trace = scripted.complete_after(scripted.has_begun, [C, D, A], "y = f")
    assert scripted.was_cancelled.is_set()
    assert [CODEC.decode(memory.token_ids).decode() for memory in editor.decoder.attached[-3:]] == [
        f"lib.py\n{text}" for text in (C, D, A)
    ]
    assert trace.text == "irst()"


def test_what_is_written_does_not_wait_for_an_index_that_is_late():
    editor = Editor()
    hurried = replace(SETTINGS, retrieval=replace(SETTINGS.retrieval, deadline_ms=1))
    editor.completer = Completer(editor.model, hurried)
    before = editor.complete([A, B])
    scripted = Scripted(editor)
    trace = scripted.complete_after(scripted.may_answer, [C], "y = f", encode_ms=100.0)
    scripted.may_answer.set()
    assert trace.text == "irst()"
    assert trace.is_stopgap
    assert [row.qualified_name for row in trace.retrieved] == [row.qualified_name for row in before.retrieved]
    assert trace.retrieval_notes == ("the index had not answered after 1 ms: the line kept its definitions",)


def test_what_nobody_waits_for_waits_for_the_index(monkeypatch):
    editor = Editor()
    hurried = replace(SETTINGS, retrieval=replace(SETTINGS.retrieval, deadline_ms=1))
    editor.completer = Completer(editor.model, hurried)
    editor.complete([A, B])
    scripted = Scripted(editor)
    awaiting = editor.completer._awaiting
    result, waited_s = awaiting.result, []

    def answer_now(future, timeout_s):
        waited_s.append(timeout_s)
        scripted.may_answer.set()
        return result(future, timeout_s)

    monkeypatch.setattr(awaiting, "result", answer_now)
    trace = scripted.complete_after(scripted.may_answer, [C], "y = f")
    assert waited_s == [None]
    assert (trace.is_stopgap, trace.retrieval_notes) == (False, ())


@pytest.mark.parametrize("before", [[], [A, B]], ids=["a first line", "another line"])
def test_who_types_on_a_new_line_does_not_wait_for_an_index_that_says_nothing(monkeypatch, before):
    monkeypatch.setattr("lsp_server.overlap._PATIENCE_MS", 1)
    editor, may_answer = Editor(), threading.Event()
    hurried = replace(SETTINGS, retrieval=replace(SETTINGS.retrieval, deadline_ms=2))
    editor.completer = Completer(editor.model, hurried)
    if before:
        editor.complete(before)

    def say_nothing(_: RetrievalQuery) -> RetrievalResult:
        may_answer.wait(30)
        raise WorkerError("the index worker ended")

    request = CompletionRequest(
        "shop", "app.py", "python", PREFIX + "\ny = ", SUFFIX, False, say_nothing, encode_ms=100.0
    )
    trace = editor.completer.complete(request)
    assert not may_answer.is_set()
    may_answer.set()
    assert (trace.stop_reason, trace.retrieved) == ("control_token", ())
    assert trace.retrieval_notes == ("completed without retrieval: the index had not answered after 2 ms",)
    waited = editor.completer.complete(replace(request, encode_ms=None, prefix=PREFIX + "\n\ny = "))
    assert waited.retrieval_notes == ("completed without retrieval: the index worker ended",)


def test_a_new_line_is_read_while_the_index_is_asked():
    editor = Editor()
    scripted = Scripted(editor)
    trace = scripted.complete_after(scripted.has_begun, [A], "y = ")
    assert temperatures(trace) == [COLD]
    assert counted(trace)["frame"][1:] == (0, 0), "what it read itself was not there before"


def test_an_index_that_fails_ends_what_was_begun_with_its_definitions():
    editor = Editor()
    editor.complete([A, B])

    def fail(_: RetrievalQuery) -> RetrievalResult:
        raise WorkerError("the index worker ended")

    trace = editor.completer.complete(
        CompletionRequest(
            "shop", "app.py", "python", PREFIX + "y = ", SUFFIX, multi_line=False, retrieve=fail
        )
    )
    assert trace.retrieved == ()
    assert trace.retrieval_notes == ("completed without retrieval: the index worker ended",)


def test_an_index_that_fails_in_an_unforeseen_way_is_not_hidden():
    def fail(_: RetrievalQuery) -> RetrievalResult:
        raise RuntimeError("nobody foresaw this")

    with pytest.raises(RuntimeError, match="nobody foresaw this"):
        Editor().completer.complete(
            CompletionRequest("shop", "app.py", "python", PREFIX, SUFFIX, multi_line=False, retrieve=fail)
        )
