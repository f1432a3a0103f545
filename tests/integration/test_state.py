"""The decoder on a tiny model, against transformers' Qwen2 and against itself."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace

import numpy as np
import pytest
from tiny_decoder import (
    FP32,
    W4A16,
    W7A8,
    W8A8,
    W8A8_UNROTATED,
    Golden,
    load,
    load_golden,
    with_block_weights,
)

from model.errors import Cancelled
from model.session import DecoderSession
from model.state import CHUNK_TOKENS, DecodeState
from model.types import Memory, Quantization, TokenRun

PASSES = {
    "one pass": [40],
    "chunks": [16, 16, 8],
    "single tokens": [1] * 40,
    "several tokens": [4] * 10,
    "odd numbers": [3, 1, 7, 2, 1, 1, 9, 16],
    "prefill, steps, drafts": [24, 1, 1, 8, 1, 5],
}


@pytest.fixture(scope="module")
def golden() -> Golden:
    return load_golden()


@pytest.fixture(scope="module")
def fp32(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> DecoderSession:
    return load(golden, FP32, tmp_path_factory.mktemp("fp32"))


@pytest.fixture(scope="module")
def w8a8(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> DecoderSession:
    return load(golden, W8A8, tmp_path_factory.mktemp("w8a8"))


def run_passes(session: DecoderSession, golden: Golden, sizes: list[int], *, gapped: bool = False):
    state = DecodeState(session, 48)
    rows, start = [], 0
    for size in sizes:
        part = slice(start, start + size)
        positions = golden.gapped_positions[part] if gapped else None
        rows.append(state.extend(golden.token_ids[part], logits="all", positions=positions))
        start += size
    assert state.n_tokens == len(golden.token_ids) == start
    return np.concatenate(rows)


@pytest.mark.parametrize("sizes", PASSES.values(), ids=PASSES.keys())
def test_logits_are_those_of_transformers_however_tokens_are_spread_over_passes(fp32, golden, sizes):
    np.testing.assert_allclose(run_passes(fp32, golden, sizes), golden.logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("sizes", PASSES.values(), ids=PASSES.keys())
def test_positions_may_have_gaps(fp32, golden, sizes):
    logits = run_passes(fp32, golden, sizes, gapped=True)
    np.testing.assert_allclose(logits, golden.gapped_logits, atol=1e-4, rtol=0)


def test_long_input_is_cut_into_passes(fp32, golden):
    repeated = (golden.token_ids * 20)[: 2 * CHUNK_TOKENS - 9]
    wanted = [len(repeated) - 1, 3, CHUNK_TOKENS, 3]
    chunked = DecodeState(fp32, len(repeated)).extend(repeated, logits=wanted)
    single = DecodeState(fp32, len(repeated))
    one_by_one = np.concatenate([single.extend([token]) for token in repeated])
    np.testing.assert_allclose(chunked, one_by_one[wanted], atol=1e-4, rtol=0)


def test_rewound_tokens_leave_no_trace(fp32, golden):
    state = DecodeState(fp32, 64)
    state.extend([5] * 60, logits="none")
    state.rewind(0)
    state.extend(golden.token_ids[:20], logits="none")
    state.extend([7] * 30, logits="none")
    state.rewind(20)
    logits = state.extend(golden.token_ids[20:], logits="all")
    np.testing.assert_allclose(logits, golden.logits[20:], atol=1e-4, rtol=0)
    assert state.token_ids == tuple(golden.token_ids)


@pytest.mark.parametrize("quantization", [W8A8, W8A8_UNROTATED, W7A8], ids=["w8a8", "unrotated", "w7a8"])
def test_no_row_depends_on_the_rows_that_share_its_pass(golden, quantization: Quantization, tmp_path):
    session = load(golden, quantization, tmp_path)
    expected = run_passes(session, golden, [40])
    for sizes in PASSES.values():
        np.testing.assert_array_equal(run_passes(session, golden, sizes), expected)


def test_no_row_depends_on_which_logits_are_asked_for(w8a8, golden):
    ids = golden.token_ids
    every = DecodeState(w8a8, 40).extend(ids, logits="all")
    state = DecodeState(w8a8, 40)
    assert state.extend(ids[:10], logits="none").shape == (0, golden.config.vocab_size)
    np.testing.assert_array_equal(state.extend(ids[10:20]), every[19:20])
    np.testing.assert_array_equal(state.extend(ids[20:], logits=[7, 0, 7]), every[[27, 20, 27]])


def test_results_are_not_overwritten_by_later_runs(w8a8, golden):
    state = DecodeState(w8a8, 40)
    first = state.extend(golden.token_ids[:8])
    kept = first.copy()
    state.extend(golden.token_ids[8:16])
    np.testing.assert_array_equal(first, kept)


def test_states_of_one_session_do_not_disturb_each_other(w8a8, golden):
    expected = run_passes(w8a8, golden, [40])
    one, other = DecodeState(w8a8, 40), DecodeState(w8a8, 40)
    rows = []
    for start in range(0, 40, 10):
        rows.append(one.extend(golden.token_ids[start : start + 10], logits="all"))
        other.extend([1] * 10, logits="none")
    np.testing.assert_array_equal(np.concatenate(rows), expected)


def test_a_buffer_can_be_filled_to_its_last_token(w8a8, golden):
    state = DecodeState(w8a8, 40)
    state.extend(golden.token_ids[:39], logits="none")
    np.testing.assert_array_equal(state.extend(golden.token_ids[39:]), run_passes(w8a8, golden, [40])[39:])


def test_reuse_keeps_the_longest_common_prefix(w8a8, golden):
    state = DecodeState(w8a8, 64)
    state.extend(golden.token_ids, logits="none")
    wanted = [*golden.token_ids[:25], 3, 3, 3]
    assert golden.token_ids[25] != 3
    assert state.reuse([TokenRun(tuple(wanted), 0)]) == 25
    assert state.n_tokens == 25
    assert state.reuse([TokenRun(tuple(golden.token_ids[:10]), 0)]) == 10


def test_reuse_does_not_take_tokens_at_other_positions(w8a8, golden):
    state = DecodeState(w8a8, 64)
    state.extend(golden.token_ids, logits="none", positions=golden.gapped_positions)
    assert state.reuse([TokenRun(tuple(golden.token_ids), 0)]) == 12


def test_positions_go_on_after_the_last_one(w8a8, golden):
    state = DecodeState(w8a8, 64)
    state.extend([1, 2], positions=[0, 30])
    state.extend([3, 4])
    assert state.positions == (0, 30, 31, 32)


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        ([1] * 11, {}, "do not fit"),
        ([1, 2], {"positions": [0]}, "2 tokens with 1 positions"),
        ([1], {"positions": [512]}, "below 512"),
        ([1], {"positions": [-1]}, "below 512"),
        ([1, 2], {"logits": [2]}, "rows"),
        ([1, 2], {"logits": [-1]}, "rows"),
        ([], {}, "rows"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(w8a8, ids, options, message):
    state = DecodeState(w8a8, 15)
    state.extend([1] * 5)
    with pytest.raises(ValueError, match=message):
        state.extend(ids, **options)
    assert state.token_ids == (1,) * 5
    with pytest.raises(ValueError, match="cannot rewind to 6 of 5"):
        state.rewind(6)


class InterruptingSession:
    """Runs a real session and, in one given run, triggers the interrupt while that run is under way."""

    def __init__(self, session: DecoderSession, cancel_run: int) -> None:
        self.config, self.n_positions, self.new_cache = session.config, session.n_positions, session.new_cache
        self.projection = session.projection
        self.state: DecodeState | None = None
        self._session = session
        self._countdown = cancel_run

    def run(self, cache, token_ids, **arguments):
        self._countdown -= 1
        if self._countdown == 0:
            assert self.state is not None
            canceller = threading.Thread(target=self.state.cancel)
            canceller.start()
            canceller.join()
        return self._session.run(cache, token_ids, **arguments)


def test_a_cancelled_run_leaves_the_state_exact(w8a8, golden):
    ids = (golden.token_ids * 20)[: 2 * CHUNK_TOKENS]
    expected = DecodeState(w8a8, len(ids)).extend(ids, logits="last")
    session = InterruptingSession(w8a8, cancel_run=2)
    state = session.state = DecodeState(session, len(ids))
    with pytest.raises(Cancelled):
        state.extend(ids)
    assert state.token_ids == tuple(ids[:CHUNK_TOKENS])
    np.testing.assert_array_equal(state.extend(ids[CHUNK_TOKENS:]), expected)


def test_cancelling_at_any_moment_leaves_the_state_exact(w8a8, golden):
    ids = golden.token_ids
    expected = run_passes(w8a8, golden, [40])
    for _ in range(30):
        state = DecodeState(w8a8, 500)
        state.extend(ids[:8], logits="none")
        begin = threading.Barrier(2)
        canceller = threading.Thread(target=lambda state=state, begin=begin: (begin.wait(), state.cancel()))
        canceller.start()
        begin.wait()
        with contextlib.suppress(Cancelled):
            state.extend(ids * 5, logits="none")
        canceller.join()
        assert state.token_ids in {tuple(ids[:8]), tuple(ids[:8] + ids * 5)}
        state.rewind(8)
        np.testing.assert_array_equal(state.extend(ids[8:], logits="all"), expected[8:])


def test_cancelling_when_nothing_runs_has_no_effect(w8a8, golden):
    state = DecodeState(w8a8, 40)
    state.cancel()
    state.extend(golden.token_ids)
    state.cancel()
    assert state.n_tokens == 40


def test_a_cancelled_turn_ends_what_begins_later_and_nothing_after_it(w8a8, golden):
    state = DecodeState(w8a8, 40)
    state.extend(golden.token_ids[:4])
    state.cancel_turn()
    for _ in range(2):
        with pytest.raises(Cancelled):
            state.extend(golden.token_ids[4:])
    state.close_turn()
    state.extend(golden.token_ids[4:])
    assert state.n_tokens == 40


class CountingSession(InterruptingSession):
    """Runs a real session and counts the tokens."""

    def __init__(self, session: DecoderSession) -> None:
        super().__init__(session, cancel_run=0)
        self.n_computed = 0

    def run(self, cache, token_ids, **arguments):
        self.n_computed += len(token_ids)
        return super().run(cache, token_ids, **arguments)


def text(number: int) -> tuple[int, ...]:
    """Return a hundred tokens that no other text begins with."""
    return tuple((7 + index) * (number + 1) % 101 for index in range(100))


def visit(state: DecodeState, ids: tuple[int, ...]) -> int:
    """Bring a buffer to some tokens; return how many of them were at hand."""
    n_reused = state.reuse([TokenRun(ids, 0)])
    if n_reused < len(ids):
        state.extend(ids[n_reused:], logits="none")
    return n_reused


def n_bytes(session: DecoderSession, n_tokens: int) -> int:
    config = session.config
    return n_tokens * 8 * config.n_layers * config.n_kv_heads * config.head_dim


A, B = text(0), text(1)
VISITS = {
    "a place just left": ([A, B, A], 100),
    "back and forth": ([A, B, A, B, A], 100),
    "what it has in common with another place": ([A, B, A[:60] + B], 60),
    "an edit in its middle": ([A, A[:30] + B[:50], A], 100),
    "no more than what agrees": ([A, B, A[:70] + B[:20]], 70),
    "joined from several runs": ([A, A[:50] + B, B, A[:50] + B], 150),
    "after it was edited elsewhere": ([A, B, A[:70] + B, A], 100),
    "few tokens are computed again": ([A[:40], B, A[:40]], 0),
    "of two places the one left last": ([A, B, A[::-1], B[::-1], A], 0),
}


@pytest.mark.parametrize(("texts", "n_expected"), VISITS.values(), ids=VISITS.keys())
def test_a_place_just_left_is_copied_back_bit_by_bit(w8a8, texts, n_expected):
    session = CountingSession(w8a8)
    state = DecodeState(session, 200, kept_bytes=n_bytes(w8a8, 260))
    n_reused = [visit(state, ids) for ids in texts]
    assert n_reused[-1] == n_expected
    assert session.n_computed == sum(map(len, texts)) - sum(n_reused)
    fresh = DecodeState(w8a8, 200)
    fresh.extend(texts[-1], logits="none")
    np.testing.assert_array_equal(state.extend([7]), fresh.extend([7]))
    for layer in range(w8a8.config.n_layers):
        np.testing.assert_array_equal(state.keys(layer), fresh.keys(layer))


def test_random_visits_leave_the_buffer_exact_and_keep_no_more_than_there_is_room_for(w8a8):
    rng = np.random.default_rng(5)
    most = n_bytes(w8a8, 300)
    state = DecodeState(w8a8, 400, kept_bytes=most)
    n_reused = 0
    for _ in range(120):
        first, second = rng.permutation(3)[:2]
        cut, end = rng.integers(0, 100, 2)
        ids = text(first)[:cut] + text(second)[: end + 1]
        n_reused += visit(state, ids)
        assert state._kept.n_bytes <= most
        fresh = DecodeState(w8a8, 400)
        fresh.extend(ids, logits="none")
        np.testing.assert_array_equal(state.extend([7]), fresh.extend([7]))
    assert n_reused > 120 * 20


def test_what_is_forgotten_is_computed_again(w8a8):
    state = DecodeState(w8a8, 200, kept_bytes=n_bytes(w8a8, 300))
    visit(state, A)
    visit(state, B)
    state.forget()
    assert visit(state, A) == 0


def test_nothing_is_kept_behind_a_memory(w8a8):
    state = DecodeState(w8a8, 300, kept_bytes=n_bytes(w8a8, 300))
    keys = np.ones((w8a8.config.n_layers, w8a8.config.n_kv_heads, 10, w8a8.config.head_dim), np.float32)
    memory = Memory("m", tuple(range(10)), 0, keys, keys)
    state.extend(A, logits="none")
    state.attach(memory)
    state.extend(B, logits="none", positions=range(100, 200))
    assert visit(state, B[:20]) == 0
    assert state.reuse([TokenRun(A, 0), memory, TokenRun(B, 100)]) == 100


def test_the_cuda_graph_computes_what_its_weights_say(golden, tmp_path):
    """On the CPU, whose operators also take fp16; a run on CUDA is not part of the tests."""
    (tmp_path / "reference").mkdir()
    reference = load(with_block_weights(golden), FP32, tmp_path / "reference")
    expected = run_passes(reference, golden, [40])
    logits = run_passes(load(golden, W4A16, tmp_path), golden, PASSES["prefill, steps, drafts"])
    assert np.abs(logits - expected).max() < 0.02 * expected.std()


@pytest.mark.parametrize("quantization", [W8A8, W8A8_UNROTATED], ids=["w8a8", "unrotated"])
def test_rows_of_zeros_are_exact(golden, quantization: Quantization, tmp_path):
    """A row's scale is its largest magnitude, and 0 is divided by it."""
    zeros = {
        name: np.zeros_like(value)
        for name, value in golden.tensors.items()
        if name == "embed" or name.endswith("_bias")
    }
    session = load(replace(golden, tensors=golden.tensors | zeros), quantization, tmp_path)
    logits = DecodeState(session, 40).extend(golden.token_ids, logits="all")
    np.testing.assert_array_equal(logits, np.zeros_like(logits))
