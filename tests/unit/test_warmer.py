"""What is encoded ahead of completions, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake_memories import BlockingEncoder, FakeEncoder, FakeStore
from fake_model import FakeCodec
from memory_catalogue import definition as definition_in

from indexer.errors import WorkerError
from indexer.types import Definition
from lsp_server.warmer import Warmer
from model.memory_bank import MemoryBank
from model.prompt import PromptDefinition, definition_ids, sink_ids

CODEC = FakeCodec()
TOKENS = 64
TIMEOUT_S = 30


def definition(name: str) -> Definition:
    return definition_in("shop/cart.py", name, f"def {name}(): ...")


def ids_of(name: str) -> tuple[int, ...]:
    one = definition(name)
    return definition_ids(CODEC, PromptDefinition(one.path, one.text), TOKENS)


SINK = sink_ids(CODEC, "shop")


class Workshop:
    """A warmer with what it works with."""

    def __init__(self, encoder: FakeEncoder) -> None:
        self.encoder, self.store = encoder, FakeStore()
        self.bank = MemoryBank(encoder, self.store)
        self.warmer = Warmer(self.bank, CODEC, TOKENS)

    def encoded(self) -> list[tuple[int, ...]]:
        """Wait until nothing is left to do, and return what was encoded, in order."""
        assert self.warmer.wait_until_idle(TIMEOUT_S)
        return self.encoder.encoded


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    one = Workshop(FakeEncoder())
    yield one
    one.warmer.close()


@pytest.fixture
def busy() -> Iterator[Workshop]:
    """A warmer that is in the middle of encoding `first`."""
    encoder = BlockingEncoder()
    one = Workshop(encoder)
    one.warmer.expect(SINK, [ids_of("first")])
    assert encoder.begun.wait(TIMEOUT_S)
    yield one
    encoder.finish()
    one.warmer.close()


def test_what_an_open_file_needs_is_encoded_likeliest_first(workshop):
    workshop.warmer.open("app.py", "shop", lambda: [definition("add"), definition("total")])
    assert workshop.encoded() == [ids_of("add"), ids_of("total")]


def test_a_completion_finds_what_was_encoded_ahead(workshop):
    workshop.warmer.open("app.py", "shop", lambda: [definition("add")])
    workshop.encoded()
    with workshop.bank.foreground():
        recalled = workshop.bank.recall(SINK, [ids_of("add")], encode_ms=0)
    assert recalled.temperatures == ("warm",)


def test_what_is_kept_is_not_encoded_again(workshop):
    for _ in range(2):
        workshop.warmer.open("app.py", "shop", lambda: [definition("add")])
        assert workshop.encoded() == [ids_of("add")]


def test_a_file_that_the_index_cannot_tell_of_goes_without(workshop):
    def fail():
        raise WorkerError("the index worker ended")

    workshop.warmer.open("broken.py", "shop", fail)
    assert workshop.encoded() == []
    workshop.warmer.open("app.py", "shop", lambda: [definition("add")])
    assert workshop.encoded() == [ids_of("add")]


def test_what_was_left_out_comes_first_and_then_the_file_opened_last(busy):
    busy.warmer.open("old.py", "shop", lambda: [definition("old")])
    busy.warmer.open("new.py", "shop", lambda: [definition("new")])
    busy.warmer.expect(SINK, [ids_of("left"), ids_of("out")])
    busy.encoder.finish()
    assert busy.encoded() == [ids_of(name) for name in ("first", "left", "out", "new", "old")]


def test_a_file_opened_again_is_asked_about_again(busy):
    busy.warmer.open("app.py", "shop", lambda: [definition("before")])
    busy.warmer.open("app.py", "shop", lambda: [definition("after")])
    busy.encoder.finish()
    assert busy.encoded() == [ids_of("first"), ids_of("after")]


def test_a_completion_stops_it_at_once_and_it_goes_on_afterwards(busy):
    with busy.bank.foreground():
        assert busy.encoder.n_cancelled == 1
        assert busy.encoder.encoded == []
    busy.encoder.finish()
    assert busy.encoded() == [ids_of("first")]


def test_it_ends_in_the_middle_of_its_work(busy):
    busy.warmer.expect(SINK, [ids_of("never")])
    busy.warmer.close()
    assert busy.encoder.n_cancelled >= 1
    assert busy.encoder.encoded == []
    assert not any(thread.name == "warmer" for thread in threading.enumerate())


def test_it_ends_while_a_completion_encodes_and_leaves_that_alone():
    one = Workshop(BlockingEncoder())
    with ThreadPoolExecutor(1) as completing, one.bank.foreground():
        recalling = completing.submit(one.bank.recall, SINK, [ids_of("add")], encode_ms=None)
        assert one.encoder.begun.wait(TIMEOUT_S)
        one.warmer.expect(SINK, [ids_of("never")])
        one.warmer.close()
        one.encoder.finish()
        assert recalling.result().temperatures == ("cold",)
    assert one.encoder.n_cancelled == 0


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """What would be printed of exceptions that end a thread."""
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(str(args.exc_value)))
    return told


def test_it_outlives_an_index_that_fails_in_an_unforeseen_way(workshop, told):
    def fail():
        raise RuntimeError("nobody foresaw this")

    workshop.warmer.open("broken.py", "shop", fail)
    workshop.encoded()
    workshop.warmer.open("app.py", "shop", lambda: [definition("add")])
    assert workshop.encoded() == [ids_of("add")]
    assert told == ["nobody foresaw this"]


def test_it_outlives_a_definition_that_cannot_be_encoded(workshop, told):
    workshop.warmer.expect(SINK, [(), ids_of("add")])  # nothing to encode: the cost of a token is not defined
    assert workshop.encoded()[-1] == ids_of("add")
    assert told
