"""What a completion is given from the repository, and what is remembered of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from fake_memories import FakeEncoder, FakeStore
from fake_model import FakeCodec
from memory_catalogue import definition

from indexer.types import RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.config import RetrievalSettings, Settings
from lsp_server.feeding import Memories
from lsp_server.requests import CompletionRequest
from lsp_server.retrieving import DefinitionSource, in_background
from model.memory_bank import MemoryBank
from model.prompt import Prompt, PromptDefinition, PromptRequest, add_definitions, build_prompt

CODEC = FakeCodec()
SETTINGS = Settings(retrieval=RetrievalSettings(definitions=4, definition_tokens=64))


class Asking:
    """Completions of one file, as far as definitions are concerned; nothing is encoded but by the test."""

    def __init__(self) -> None:
        self.encoder, self.told = FakeEncoder(), list[str]()
        self.bank = MemoryBank(self.encoder, FakeStore(), clock=self.encoder.clock)
        self.feeding = Memories(self.bank, 64, self._tell)
        self.source = DefinitionSource(CODEC, self.feeding, SETTINGS.retrieval)
        self.queries: list[RetrievalQuery] = []

    def _tell(self, _: tuple[int, ...], definitions: Sequence[tuple[int, ...]]) -> None:
        self.told = [CODEC.decode(ids).decode().splitlines()[1] for ids in definitions]

    def encode(self, names: str) -> None:
        """Make memories of these definitions."""
        prompt = self.prompt("", names)
        with self.bank.foreground():
            self.bank.recall(prompt.sink, prompt.definitions, encode_ms=None)

    def prompt(self, prefix: str, names: str) -> Prompt:
        budget = self.feeding.budget(SETTINGS)
        window = build_prompt(CODEC, PromptRequest("shop", "app.py", prefix, ""), budget)
        rows = [PromptDefinition("cart.py", name) for name in names]
        return add_definitions(CODEC, window, rows, budget)

    def complete(self, prefix: str, names: str) -> tuple[str, str]:
        """Return what is given and what is missed, where these definitions are retrieved."""

        def retrieve(query: RetrievalQuery) -> RetrievalResult:
            self.queries.append(query)
            rows = [Retrieved(definition("cart.py", name, name), 1.0, ()) for name in names]
            return RetrievalResult(tuple(rows[: query.n]), (), {}, {})

        request = CompletionRequest("shop", "app.py", "python", prefix, "", retrieve=retrieve, encode_ms=0.0)
        decided = self.source.decide(request, self.prompt(prefix, ""))
        given = "".join(row.definition.name for row in decided.choice.rows)
        prompt = self.prompt(prefix, given)
        with self.bank.foreground():
            fed = self.feeding.feed(prompt, encode_ms=0.0)
        self.source.keep(request, decided, prompt, fed)
        return given, "".join(row.definition.name for row in decided.missed)


def test_more_is_retrieved_than_there_are_places_and_what_was_missed_is_encoded_behind_best_first():
    asking = Asking()
    asking.encode("bdf")
    assert asking.complete("x = ", "abcdefghi") == ("bdf", "ac")
    assert all(query.n >= 8 for query in asking.queries)
    assert asking.told == ["a", "c", "e", "g", "h"], "ranks below the places too"


CURSORS = {
    "the same word": ("x = su", "x = sum", "abcd"),
    "a word that begins": ("x = ", "x = s", "xabc"),
    "another word": ("x = su", "x = sum + p", "xabc"),
    "behind a word": ("x = su", "x = su(", "xabc"),
    "another word at the same column of another line": ("x = su", "y = 1\nx = su", "xabc"),
}


@pytest.mark.parametrize(("before", "after", "given"), CURSORS.values(), ids=CURSORS.keys())
def test_a_word_that_goes_on_is_told_by_where_it_begins(before, after, given):
    asking = Asking()
    asking.encode("abcdx")
    assert asking.complete(before, "abcd")[0] == "abcd"
    assert asking.complete(after, "xabcd")[0] == given


def test_a_word_is_given_what_it_missed_once_that_is_encoded():
    asking = Asking()
    asking.encode("abcd")
    assert asking.complete("x = s", "xabcd") == ("abcd", "x")
    assert asking.complete("x = su", "xabcd") == ("abcd", "x")
    asking.encode("x")
    assert asking.complete("x = sum", "xabcd") == ("xabc", "")


def test_what_is_done_in_the_background_has_a_result_or_an_error():
    def fail() -> None:
        raise RuntimeError("nobody foresaw this")

    thread = in_background(threading.current_thread).result()
    assert thread is not threading.current_thread()
    with pytest.raises(RuntimeError, match="nobody foresaw this"):
        in_background(fail).result()
