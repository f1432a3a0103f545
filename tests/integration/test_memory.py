"""Memories on a tiny real decoder: what is copied is what would have been computed, and only that is seen."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from tiny_decoder import FP32, W8A8, load, load_golden

from model.attribution import attention_on_memories
from model.errors import Cancelled
from model.memory import MemoryEncoder
from model.memory_store import MemoryStore
from model.prefill import Prefilled, prefill
from model.session import DecoderSession
from model.state import CHUNK_TOKENS, DecodeState
from model.types import BufferPart, Memory, TokenRun

MODEL_HASH = "ab" * 32
MEMORY_TOKENS = 40
"""Positions that are kept for memories."""
SINK = (90, 5, 1)
CAPACITY = 600
ATOL = {"fp32": 1e-4, "w8a8": 0.1}
"""Of logits, whose standard deviation is 1.7, where sums are taken in another order: rounding of activations
to eight bits swallows what is in the last bits of a float, or amplifies it."""


@pytest.fixture(scope="module", params=[FP32, W8A8], ids=["fp32", "w8a8"])
def scheme(request) -> str:
    return request.param.scheme


@pytest.fixture(scope="module")
def session(scheme: str, tmp_path_factory: pytest.TempPathFactory) -> DecoderSession:
    return load(load_golden(), {"fp32": FP32, "w8a8": W8A8}[scheme], tmp_path_factory.mktemp(scheme))


def ids(seed: int, n_tokens: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(0, 100, n_tokens).tolist())


FRAME, LIVE = ids(1, 30), ids(2, 12)


def new_encoder(session: DecoderSession, max_tokens: int = 2 * MEMORY_TOKENS) -> MemoryEncoder:
    return MemoryEncoder(session, MODEL_HASH, max_tokens=max_tokens)


def memories_of(
    session: DecoderSession, lengths: Sequence[int], sink: tuple[int, ...] = SINK
) -> list[Memory]:
    encoder = new_encoder(session)
    return [encoder.encode(sink, ids(seed, n_tokens)) for seed, n_tokens in enumerate(lengths, 100)]


def composed(memories: Sequence[Memory], sink=SINK, frame=FRAME, live=LIVE) -> tuple[BufferPart, ...]:
    """Return what `Prompt.with_memories` does."""
    start = len(sink) + MEMORY_TOKENS
    return (TokenRun(sink, 0), TokenRun(frame, start), *memories, TokenRun(live, start + len(frame)))


def run_fresh(session: DecoderSession, parts: Sequence[BufferPart], draft: Sequence[int] = ()):
    return prefill(DecodeState(session, CAPACITY), parts, draft).rows


def assert_same_arrays(one: Memory, other: Memory, atol: float) -> None:
    assert identity(one) == identity(other)
    np.testing.assert_allclose(one.keys_lhtd, other.keys_lhtd, atol=atol, rtol=0)
    np.testing.assert_allclose(one.values_lhtd, other.values_lhtd, atol=atol, rtol=0)


def identity(memory: Memory) -> tuple:
    return memory.key, memory.token_ids, memory.first_position, memory.keys_lhtd.dtype


class RecordingSession:
    """Runs a real session, counts the tokens of each run, and interrupts the run that it is told to."""

    def __init__(self, session: DecoderSession, cancel_run: int | None = None) -> None:
        self.config, self.n_positions, self.new_cache = session.config, session.n_positions, session.new_cache
        self.projection = session.projection
        self.runs: list[int] = []
        self.cancel_run = cancel_run
        self.cancel: Callable[[], None] = lambda: None
        self._session = session

    def run(self, cache, token_ids, **arguments):
        self.runs.append(len(token_ids))
        if len(self.runs) == self.cancel_run:
            canceller = threading.Thread(target=self.cancel)
            canceller.start()
            canceller.join()
        return self._session.run(cache, token_ids, **arguments)


# A memory is the definition's own keys and values


def encoded_alone(session: DecoderSession, sink: tuple[int, ...], token_ids: tuple[int, ...]):
    """Compute sink and definition in one pass, in a buffer of their own."""
    state = DecodeState(session, CAPACITY)
    state.extend([*sink, *token_ids], logits="none")
    return state.detach(len(sink))


@pytest.mark.parametrize("n_tokens", [1, 2, 17, 40])
def test_a_memory_equals_the_same_definition_encoded_alone(session, scheme, n_tokens):
    encoder = new_encoder(session)
    encoder.encode(SINK, ids(9, 40))  # what was encoded before leaves no trace
    memory = encoder.encode(SINK, ids(3, n_tokens))
    keys, values = encoded_alone(session, SINK, ids(3, n_tokens))
    assert (memory.n_tokens, memory.first_position, memory.token_ids) == (n_tokens, 3, ids(3, n_tokens))
    atol = 1e-5 if scheme == "fp32" else 0.0
    np.testing.assert_allclose(memory.keys_lhtd, keys, atol=atol, rtol=0)
    np.testing.assert_allclose(memory.values_lhtd, values, atol=atol, rtol=0)


def through_disk(memories: Sequence[Memory], folder: Path) -> list[Memory]:
    """Return memories as another process finds them."""

    def store() -> MemoryStore:
        return MemoryStore(
            folder=folder,
            model_hash=MODEL_HASH,
            max_ram_bytes=0,
            max_disk_bytes=1 << 30,
            on_problem=pytest.fail,
        )

    writer, reader = store(), store()
    for memory in memories:
        writer.put(memory)
    writer.close()
    found = [reader.get(memory.key) for memory in memories]
    assert reader.stats.n_disk_hits == len(memories)
    return [memory for memory in found if memory is not None]


def test_a_memory_from_the_disk_equals_the_same_definition_encoded_alone(session, tmp_path):
    memories = memories_of(session, [1, 7, 40])
    for memory, found in zip(memories, through_disk(memories, tmp_path), strict=True):
        spread = np.ptp(memory.keys_lhtd, axis=2).max()
        largest = np.abs(memory.values_lhtd).max()
        assert identity(found) == identity(memory)
        # integers from -127 to 127: each number is off by half a step at most
        np.testing.assert_allclose(found.keys_lhtd, memory.keys_lhtd, atol=spread / 254 * 1.01, rtol=0)
        np.testing.assert_allclose(found.values_lhtd, memory.values_lhtd, atol=largest / 254 * 1.01, rtol=0)


def test_attending_to_memories_from_the_disk_changes_little(session, tmp_path):
    memories = memories_of(session, [30, 40, 20])
    exact = run_fresh(session, composed(memories))
    found = run_fresh(session, composed(through_disk(memories, tmp_path)))
    without = run_fresh(session, composed([]))
    assert np.abs(found - exact).max() < 0.2 * np.abs(without - exact).max()


def test_a_memory_longer_than_a_pass_is_the_same(session, scheme):
    token_ids = ids(4, CHUNK_TOKENS + 44)
    memory = new_encoder(session, max_tokens=400).encode(SINK, token_ids)
    state = DecodeState(session, CAPACITY)
    state.extend(SINK, logits="none")
    for start in range(0, len(token_ids), 37):
        state.extend(token_ids[start : start + 37], logits="none")
    keys, values = state.detach(len(SINK))
    atol = 1e-4 if scheme == "fp32" else 0.0
    np.testing.assert_allclose(memory.keys_lhtd, keys, atol=atol, rtol=0)
    np.testing.assert_allclose(memory.values_lhtd, values, atol=atol, rtol=0)


SINKS = {
    "apart": ((90, 5, 1), (91, 6, 1)),
    "one begins the other": ((90, 5), (90, 5, 1)),
    "the same tokens split elsewhere": ((90,), (90, *ids(101, 1))),
}


@pytest.mark.parametrize("sinks", SINKS.values(), ids=SINKS.keys())
def test_one_encoder_serves_two_sinks(session, scheme, sinks):
    shared = new_encoder(session)
    for round_ in range(2):
        for sink in (*sinks, sinks[0]):
            token_ids = ids(101 + round_, 20)
            expected = new_encoder(session).encode(sink, token_ids)
            assert_same_arrays(shared.encode(sink, token_ids), expected, 1e-5 if scheme == "fp32" else 0.0)


def test_an_encoding_that_was_cancelled_leaves_no_trace(session, scheme):
    recording = RecordingSession(session)
    encoder = new_encoder(recording)
    recording.cancel = encoder.cancel_turn
    expected = new_encoder(session).encode(SINK, ids(5, 30))
    for cancel_run in (1, 2):  # in the sink, and in the definition
        recording.runs, recording.cancel_run = [], cancel_run
        with pytest.raises(Cancelled):
            encoder.encode(SINK, ids(6, 30))
        encoder.close_turn()
    recording.cancel_run = None
    assert_same_arrays(encoder.encode(SINK, ids(5, 30)), expected, 1e-5 if scheme == "fp32" else 0.0)


def test_the_sink_is_computed_once(session):
    recording = RecordingSession(session)
    encoder = new_encoder(recording)
    for seed in range(3):
        encoder.encode(SINK, ids(seed, 20))
    assert recording.runs == [len(SINK), 20, 20, 20]


# Composing


@pytest.mark.parametrize("lengths", [[40, 3], [1, 30, 8], [12, 25, 1, 40]])
def test_the_order_of_memories_changes_nothing_beyond_rounding(session, scheme, lengths):
    memories = memories_of(session, lengths)
    forward = run_fresh(session, composed(memories), draft=(7, 8))
    for seed in range(4):
        shuffled = random.Random(seed).sample(memories, len(memories))
        rows = run_fresh(session, composed(shuffled), draft=(7, 8))
        np.testing.assert_allclose(rows, forward, atol=ATOL[scheme], rtol=0)


def test_composing_nothing_equals_no_retrieval(session):
    sink, frame, live = parts = composed([])
    state = DecodeState(session, CAPACITY)
    token_ids = [*sink.token_ids, *frame.token_ids, *live.token_ids]
    state.extend(sink.token_ids, logits="none")
    start = frame.first_position
    positions = range(start, start + frame.n_tokens + live.n_tokens)
    expected = state.extend(token_ids[len(SINK) :], positions=positions)
    np.testing.assert_array_equal(run_fresh(session, parts), expected)
    used = DecodeState(session, CAPACITY)
    prefill(used, composed(memories_of(session, [40, 20])))
    np.testing.assert_array_equal(prefill(used, parts).rows, expected)


def test_memories_are_seen_by_the_live_segment_only(session):
    frame_end = len(SINK) + 30
    kept = []
    for memories in ([], memories_of(session, [40, 20])):
        state = DecodeState(session, CAPACITY)
        parts = composed(memories)
        prefill(state, parts)
        keys, values = state.detach(0)
        live = keys.shape[2] - parts[-1].n_tokens
        kept.append((keys[:, :, :frame_end], values[:, :, :frame_end], values[:, :, live:]))
    (keys, values, live), (other_keys, other_values, other_live) = kept
    np.testing.assert_array_equal(keys, other_keys)
    np.testing.assert_array_equal(values, other_values)
    # the last layers' values of the live segment tell of what was attended to
    assert np.abs(live[1:] - other_live[1:]).max() > 0.01


def test_memories_of_other_text_give_other_logits(session, scheme):
    one, other = memories_of(session, [30, 30])
    difference = run_fresh(session, composed([one])) - run_fresh(session, composed([other]))
    assert np.abs(difference).max() > 2 * ATOL[scheme]


def test_replacing_memories_recomputes_neither_sink_nor_frame(session):
    recording = RecordingSession(session)
    state = DecodeState(recording, CAPACITY)
    memories = memories_of(session, [20, 30, 10])
    prefill(state, composed(memories[:2]))
    live, kept = 12, len(SINK) + 30
    replacements = [
        (memories[2:], kept, 10),
        ([], kept, 0),
        (memories[:1], kept, 20),
        (memories[:2], kept + 20, 30),  # what both have in common from the start stays
        (memories[1::-1], kept, 50),
    ]
    for wanted, n_reused, n_copied in replacements:
        recording.runs = []
        done = prefill(state, composed(wanted))
        assert recording.runs == [live]
        assert (done.n_reused, done.n_copied) == (n_reused, n_copied)
    recording.runs = []
    assert prefill(state, composed(memories[1::-1])).n_reused == kept + 50 + live - 1
    assert recording.runs == [1]


# One buffer, many prompts


@dataclass(frozen=True)
class Pool:
    """What random prompts are put together from; many of them begin alike."""

    memories: dict[tuple[int, ...], list[Memory]]
    frames: Sequence[tuple[int, ...]] = (ids(1, 30), ids(1, 30)[:21], (*ids(1, 30)[:9], *ids(7, 15)), ())
    lives: Sequence[tuple[int, ...]] = (ids(2, 12), ids(2, 13), ids(2, 5), (*ids(2, 5), *ids(8, 3)))
    drafts: Sequence[tuple[int, ...]] = ((), (7,), (7, 8, 9))

    @classmethod
    def of(cls, session: DecoderSession) -> Pool:
        sinks = (SINK, SINK[:2])
        return cls({sink: memories_of(session, [20, 1, 30, 12], sink) for sink in sinks})

    def prompt(self, rng: random.Random) -> tuple[tuple[BufferPart, ...], tuple[int, ...]]:
        sink = rng.choice(list(self.memories))
        memories = rng.sample(self.memories[sink], rng.randrange(4))
        parts = composed(memories, sink, rng.choice(self.frames), rng.choice(self.lives))
        if rng.random() < 0.2:  # a memory's tokens may also stand in the prompt, where the memory stood
            parts = tuple(
                TokenRun(part.token_ids, part.first_position) if isinstance(part, Memory) else part
                for part in parts
            )
        return parts, rng.choice(self.drafts)


def disturb(state: DecodeState, rng: random.Random, n_prompt: int) -> None:
    """Do to a state what decoding does after a prefill: steps, rewinds, and what is refused."""
    if rng.random() < 0.5:
        state.extend([rng.randrange(100)] * rng.randrange(1, 4))
    if rng.random() < 0.5:
        state.rewind(rng.randrange(n_prompt, state.n_tokens + 1))
    if rng.random() < 0.3:
        with pytest.raises(ValueError, match="cannot rewind"):
            state.rewind(state.n_tokens + 1)


@pytest.mark.parametrize("seed", range(6))
def test_a_buffer_that_has_seen_other_memories_gives_the_logits_of_a_fresh_one(session, scheme, seed):
    rng, pool = random.Random(seed), Pool.of(session)
    state = DecodeState(session, CAPACITY)
    n_reused = 0
    for _ in range(25):
        parts, draft = pool.prompt(rng)
        done = prefill(state, parts, draft)
        expected = run_fresh(session, parts, draft)
        np.testing.assert_allclose(done.rows, expected, atol=1e-4 if scheme == "fp32" else 0.0, rtol=0)
        assert state.token_ids == tuple(token for part in parts for token in part.token_ids) + draft
        n_reused += done.n_reused
        disturb(state, rng, done.n_tokens)
    assert n_reused > 100, "prompts that have nothing in common test nothing"


@pytest.mark.parametrize("seed", range(4))
def test_a_prefill_that_was_cancelled_leaves_a_buffer_from_which_the_next_is_right(session, scheme, seed):
    rng, pool = random.Random(seed), Pool.of(session)
    long = replace(pool, frames=(ids(1, CHUNK_TOKENS + 60), *pool.frames))
    recording = RecordingSession(session)
    state = DecodeState(recording, CAPACITY)
    recording.cancel = state.cancel
    n_cancelled = 0
    for _ in range(20):
        recording.runs, recording.cancel_run = [], rng.randrange(1, 5)
        try:
            prefill(state, *long.prompt(rng))
        except Cancelled:
            n_cancelled += 1
        recording.cancel_run = None
        parts, draft = long.prompt(rng)
        rows = prefill(state, parts, draft).rows
        expected = run_fresh(session, parts, draft)
        np.testing.assert_allclose(rows, expected, atol=1e-4 if scheme == "fp32" else 0.0, rtol=0)
    assert n_cancelled > 5


def test_a_prefill_ended_between_two_passes_goes_on_from_there(session):
    parts = composed(memories_of(session, [20]), frame=ids(1, CHUNK_TOKENS + 60))
    state, passes = DecodeState(session, CAPACITY), []

    def give_up() -> None:
        passes.append(state.n_tokens)
        if len(passes) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        prefill(state, parts, before_pass=give_up)
    assert passes == [0, 3, 3 + CHUNK_TOKENS]
    done: Prefilled = prefill(state, parts)
    assert done.n_reused == 3 + CHUNK_TOKENS
    np.testing.assert_array_equal(done.rows, run_fresh(session, parts))


# What is refused


def test_a_rewind_into_a_memory_is_refused_and_changes_nothing(session):
    memories = memories_of(session, [20, 10, 5])
    parts = composed(memories)
    state = DecodeState(session, CAPACITY)
    prefill(state, parts)
    held = state.token_ids, state.positions
    first = len(SINK) + 30
    for n_tokens in (first + 1, first + 19, first + 25, first + 34):
        with pytest.raises(ValueError, match="a memory ends at"):
            state.rewind(n_tokens)
        assert (state.token_ids, state.positions) == held
        assert state.reuse(parts) == len(held[0]), "the memories are still known as such"
    for n_tokens in (first + 35, first + 30, first + 20, first):
        state.rewind(n_tokens)
        assert state.n_tokens == n_tokens


def test_a_memory_never_counts_as_tokens_nor_tokens_as_a_memory(session):
    (memory,) = memories_of(session, [20])
    as_tokens = TokenRun(memory.token_ids, memory.first_position)
    state = DecodeState(session, CAPACITY)
    state.attach(memory)
    assert state.reuse([as_tokens]) == 0
    state.extend(as_tokens.token_ids, logits="none", positions=range(3, 23))
    assert state.reuse([memory]) == 0


def test_memories_that_do_not_fit_are_refused_and_change_nothing(session):
    (memory,) = memories_of(session, [20])
    state = DecodeState(session, 25)
    state.extend(ids(1, 6), logits="none")
    with pytest.raises(ValueError, match="do not fit"):
        state.attach(memory)
    assert state.token_ids == ids(1, 6)


@pytest.mark.parametrize("end", ["a memory", "nothing"])
def test_a_prompt_that_does_not_end_with_tokens_is_refused(session, end):
    (memory,) = memories_of(session, [20])
    last = memory if end == "a memory" else TokenRun((), 23)
    with pytest.raises(ValueError, match="ends with tokens"):
        prefill(DecodeState(session, CAPACITY), [TokenRun(SINK, 0), last])


# Asking afterwards what was attended to


@pytest.mark.parametrize("n_live", [1, 2, 12])
def test_attention_is_asked_about_the_completion_that_was_made_also_right_behind_a_memory(
    session, scheme, n_live
):
    parts, generated = composed(memories_of(session, [7, 20]), live=LIVE[:n_live]), ids(3, 5)
    completed, asked = DecodeState(session, CAPACITY), DecodeState(session, CAPACITY)
    prefill(completed, parts)
    completed.extend(generated[:-1], logits="none")
    attention = attention_on_memories(asked, parts, generated)
    assert attention.shape == (5, 2)
    assert (asked.token_ids, asked.positions) == (completed.token_ids, completed.positions)
    atol = 1e-4 if scheme == "fp32" else 0.0
    for layer in session.query_layers:
        np.testing.assert_allclose(asked.keys(layer), completed.keys(layer), atol=atol, rtol=0)
