"""The bank of memories: what a completion is given of them, and who has the model meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from fake_memories import BlockingEncoder, Clock, FakeEncoder, FakeStore

from model.errors import Cancelled
from model.memory_bank import MemoryBank
from model.turns import Turn, Urgency

SINK = (1, 2, 3)
NEVER = threading.Event()


def tokens(name: int, n_tokens: int = 10) -> tuple[int, ...]:
    return (name,) * n_tokens


def new_bank(encoder: FakeEncoder | None = None, store: FakeStore | None = None):
    encoder, store = encoder or FakeEncoder(), store or FakeStore()
    return MemoryBank(encoder, store, clock=encoder.clock), encoder, store


def recall(bank: MemoryBank, definitions, encode_ms=None, turn: Turn | None = None):
    with bank.turns.hold(turn or Turn(Urgency.REQUEST), *bank.models):
        return bank.recall(SINK, definitions, encode_ms=encode_ms)


# What a completion is given. Encoding takes one millisecond a token.

COLD, WARM, LEFT = "cold", "warm", "left out"
RECALLS = {
    "without a limit": ([10, 10, 10], (), None, [COLD, COLD, COLD]),
    "as many as there is time for, best first": ([10, 10, 10], (), 25, [COLD, COLD, LEFT]),
    "none when there is no time at all": ([10, 10], (), 0, [LEFT, LEFT]),
    "what is kept takes no time": ([10, 50, 10], (1,), 25, [COLD, WARM, COLD]),
    "what is kept is had without time": ([10, 10, 10], (0, 2), 0, [WARM, LEFT, WARM]),
    "what would end too late is not begun": ([10, 30, 5], (), 20, [COLD, LEFT, COLD]),
    "a first one of unknown cost is tried": ([10, 1], (), 5, [COLD, LEFT]),
    "nothing is asked for": ([], (), None, []),
}


@pytest.mark.parametrize(("lengths", "kept", "encode_ms", "expected"), RECALLS.values(), ids=RECALLS.keys())
def test_a_completion_is_given_what_is_kept_and_what_there_is_time_to_encode(
    lengths, kept, encode_ms, expected
):
    bank, encoder, store = new_bank()
    definitions = [tokens(name, n_tokens) for name, n_tokens in enumerate(lengths)]
    other = FakeEncoder()
    for index in kept:
        store.put(other.encode(SINK, definitions[index]))
    recalled = recall(bank, definitions, encode_ms)
    assert list(recalled.temperatures) == expected
    given = [ids for ids, how in zip(definitions, expected, strict=True) if how != LEFT]
    assert [memory.token_ids for memory in recalled.memories] == given
    assert encoder.encoded == [ids for ids, how in zip(definitions, expected, strict=True) if how == COLD]


def test_what_was_encoded_is_warm_the_next_time():
    bank, encoder, _ = new_bank()
    first = recall(bank, [tokens(1), tokens(2)])
    second = recall(bank, [tokens(2), tokens(1)], encode_ms=0)
    assert second.temperatures == (WARM, WARM)
    assert second.memories == (first.memories[1], first.memories[0])
    assert len(encoder.encoded) == 2


def test_the_estimate_follows_what_encodings_really_take():
    bank, encoder, _ = new_bank()
    recall(bank, [tokens(1)])
    assert recall(bank, [tokens(2)], encode_ms=15).temperatures == (COLD,)
    encoder.ms_per_token = 9.0
    for name in range(3, 8):
        recall(bank, [tokens(name)])
    assert recall(bank, [tokens(8)], encode_ms=50).temperatures == (LEFT,)
    assert recall(bank, [tokens(8)], encode_ms=100).temperatures == (COLD,)


def test_the_same_tokens_behind_another_sink_are_another_memory():
    bank, _, _ = new_bank()
    recall(bank, [tokens(1)])
    with bank.foreground():
        assert bank.recall((1, 2, 4), [tokens(1)], encode_ms=None).temperatures == (COLD,)


# Encoding ahead


def test_what_is_kept_is_not_prepared_again():
    bank, encoder, _ = new_bank()
    assert bank.prepare(SINK, tokens(1), stop=NEVER)
    assert not bank.prepare(SINK, tokens(1), stop=NEVER)
    assert encoder.encoded == [tokens(1)]


def test_what_was_prepared_is_warm():
    bank, _, _ = new_bank()
    bank.prepare(SINK, tokens(1), stop=NEVER)
    assert recall(bank, [tokens(1)], encode_ms=0).temperatures == (WARM,)


def test_nothing_is_prepared_once_told_to_stop():
    bank, encoder, _ = new_bank()
    stop = threading.Event()
    stop.set()
    assert not bank.prepare(SINK, tokens(1), stop=stop)
    assert encoder.encoded == []


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def begun(background: ThreadPoolExecutor, bank: MemoryBank, encoder: BlockingEncoder, stop=NEVER):
    """Return an encoding ahead that is in the middle of its work."""
    preparing: Future[bool] = background.submit(bank.prepare, SINK, tokens(1), stop=stop)
    encoder.begun.wait()
    return preparing


def test_a_completion_stops_what_is_encoded_ahead_at_once_and_it_goes_on_later(background):
    encoder = BlockingEncoder()
    bank, _, store = new_bank(encoder)
    preparing = begun(background, bank, encoder)
    with bank.foreground():  # nobody lets the encoding end, so it was cancelled to get here
        assert (encoder.n_begun, encoder.n_cancelled) == (1, 1)
        assert store.memories == {}, "what was cancelled is not kept"
        encoder.finish()
        assert bank.recall(SINK, [tokens(2)], encode_ms=None).temperatures == (COLD,)
    assert preparing.result()
    assert encoder.encoded == [tokens(2), tokens(1)]


def test_nothing_is_encoded_ahead_while_a_completion_runs(background):
    bank, encoder, store = new_bank()
    with bank.foreground():
        preparing = background.submit(bank.prepare, SINK, tokens(1), stop=NEVER)
        store.asked.wait()
        bank.recall(SINK, [tokens(2), tokens(3)], encode_ms=None)
        assert encoder.encoded == [tokens(2), tokens(3)]
    assert preparing.result()
    assert encoder.encoded[-1] == tokens(1)


def test_what_the_completion_itself_encoded_is_not_encoded_ahead_any_more(background):
    encoder = BlockingEncoder()
    bank, _, _ = new_bank(encoder)
    preparing = begun(background, bank, encoder)
    with bank.foreground():
        encoder.finish()
        bank.recall(SINK, [tokens(1)], encode_ms=None)
    assert not preparing.result()
    assert encoder.encoded == [tokens(1)]


def test_encoding_ahead_is_given_up_in_its_middle(background):
    encoder, stop = BlockingEncoder(), threading.Event()
    bank, _, store = new_bank(encoder)
    preparing = begun(background, bank, encoder, stop)
    stop.set()
    bank.cancel_preparing()
    assert not preparing.result()
    assert store.memories == {}


def test_giving_up_what_is_encoded_ahead_leaves_a_completion_alone(background):
    encoder = BlockingEncoder()
    bank, _, _ = new_bank(encoder)
    recalling = background.submit(recall, bank, [tokens(1)])
    encoder.begun.wait()
    bank.cancel_preparing()
    encoder.finish()
    assert recalling.result().temperatures == (COLD,)
    assert encoder.n_cancelled == 0


def test_what_waits_to_be_encoded_ahead_is_given_up_while_a_completion_runs(background):
    bank, encoder, store = new_bank()
    stop = threading.Event()
    with bank.foreground():
        preparing = background.submit(bank.prepare, SINK, tokens(1), stop=stop)
        store.asked.wait()
        stop.set()
        bank.cancel_preparing()
        assert not preparing.result()
    assert encoder.encoded == []


def test_what_was_cancelled_tells_nothing_of_the_cost(background):
    encoder = BlockingEncoder()
    bank, _, _ = new_bank(encoder)
    preparing = begun(background, bank, encoder)
    encoder.clock.now_s += 60
    with bank.foreground():
        encoder.finish()
        bank.recall(SINK, [tokens(2)], encode_ms=None)
        assert bank.recall(SINK, [tokens(3)], encode_ms=15).temperatures == (COLD,)
    preparing.result()


# Cancelling and ending


def test_a_completion_that_is_cancelled_while_it_encodes_leaves_the_model_to_others(background):
    encoder = BlockingEncoder()
    bank, _, _ = new_bank(encoder)
    turn = Turn(Urgency.REQUEST)
    recalling = background.submit(recall, bank, [tokens(1)], turn=turn)
    encoder.begun.wait()
    bank.turns.cancel(turn)
    with pytest.raises(Cancelled):
        recalling.result()
    encoder.finish()
    assert bank.prepare(SINK, tokens(1), stop=NEVER)


def test_a_completion_that_fails_leaves_the_model_to_others():
    bank, _, _ = new_bank()
    with pytest.raises(ZeroDivisionError), bank.foreground():
        raise ZeroDivisionError
    assert bank.prepare(SINK, tokens(1), stop=NEVER)
    assert recall(bank, [tokens(1)]).temperatures == (WARM,)


class InterruptedEncoder(BlockingEncoder):
    """Ctrl-C arrives while a completion waits for the model."""

    def cancel_turn(self) -> None:
        super().cancel_turn()
        raise KeyboardInterrupt


def test_a_completion_that_is_interrupted_while_it_waits_leaves_the_model_to_others(background):
    encoder = InterruptedEncoder()
    bank, _, _ = new_bank(encoder)
    preparing = begun(background, bank, encoder)
    with pytest.raises(KeyboardInterrupt), bank.foreground():
        pass
    encoder.finish()
    assert preparing.result()


def test_what_was_cleared_is_encoded_anew():
    bank, *_ = new_bank()
    assert recall(bank, [tokens(1)]).temperatures == ("cold",)
    assert recall(bank, [tokens(1)]).temperatures == ("warm",)
    bank.clear()
    assert recall(bank, [tokens(1)]).temperatures == ("cold",)


def test_closing_the_bank_closes_the_store():
    bank, _, store = new_bank()
    bank.close()
    assert store.is_closed


def test_time_is_counted_over_all_definitions_of_a_completion_and_not_over_completions():
    clock = Clock()
    bank, _, _ = new_bank(FakeEncoder(clock))
    for name in range(3):
        assert recall(bank, [tokens(name)], encode_ms=15).temperatures == (COLD,)
