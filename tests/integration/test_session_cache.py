"""What a cache lets out and takes in: keys and values of entries, layer by layer."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from tiny_decoder import FP32, W4A16, Golden, load, load_golden

from model.cache import KeyValueCache
from model.cache_graphs import GET_FILE, PUT_FILE, write_cache_graphs
from model.session import DecoderSession, Interrupt
from model.state import DecodeState
from model.types import Memory


@pytest.fixture(scope="module")
def golden() -> Golden:
    return load_golden()


ON_DEVICE = pytest.mark.parametrize("session", [W4A16], indirect=True, ids=["fp16"])
"""Only decoders that are made for a device have their cache as its graphs reach it."""


@pytest.fixture(scope="module", params=[FP32, W4A16], ids=["fp32", "fp16"])
def session(request, golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> DecoderSession:
    return load(golden, request.param, tmp_path_factory.mktemp("decoder"))


def run(session: DecoderSession, cache: KeyValueCache, ids: list[int], n_past: int, first_position: int):
    positions = range(first_position, first_position + len(ids))
    return session.run(
        cache, ids, n_past=n_past, positions=positions, rows=[len(ids) - 1], interrupt=Interrupt()
    )


def test_what_was_got_and_put_elsewhere_is_as_if_it_had_been_computed_there(session, golden):
    ids = golden.token_ids
    first, second = session.new_cache(48), session.new_cache(64)
    run(session, first, ids[:10], 0, 0)
    expected = run(session, first, ids[10:], 10, 10)
    second.put(0, *first.get(0, 6))
    second.put(6, *first.get(6, 10))
    np.testing.assert_array_equal(run(session, second, ids[10:], 10, 10), expected)


def test_put_changes_the_named_entries_only(session, golden):
    cache = session.new_cache(40)
    run(session, cache, golden.token_ids, 0, 0)
    before = cache.get(0, 40)
    keys, values = cache.get(0, 4)
    cache.put(20, keys, values)
    for kept, now, put in zip(before, cache.get(0, 40), (keys, values), strict=True):
        kept[:, :, 20:24] = put
        np.testing.assert_array_equal(now, kept)


def test_what_was_got_is_a_copy_of_the_documented_shape(session, golden):
    config = golden.config
    cache = session.new_cache(40)
    run(session, cache, golden.token_ids, 0, 0)
    keys, values = cache.get(3, 8)
    kept = keys.copy(), values.copy()
    assert keys.shape == values.shape == (config.n_layers, config.n_kv_heads, 5, config.head_dim)
    assert keys.flags.c_contiguous
    run(session, cache, golden.token_ids[::-1], 0, 0)
    np.testing.assert_array_equal((keys, values), kept)


def test_nothing_can_be_got_and_put(session):
    cache = session.new_cache(8)
    keys, values = cache.get(8, 8)
    cache.put(8, keys, values)
    assert keys.shape[2] == 0


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (7, 9)])
def test_entries_outside_of_the_capacity_are_refused(session, start, end):
    with pytest.raises(ValueError, match="of 8"):
        session.new_cache(8).get(start, end)


def test_arrays_that_do_not_fit_are_refused(session):
    cache = session.new_cache(8)
    keys, values = cache.get(0, 4)
    with pytest.raises(ValueError, match="of 8"):
        cache.put(5, keys, values)
    with pytest.raises(ValueError, match="do not fit this decoder"):
        cache.put(0, keys[:1], values[:1])
    with pytest.raises(ValueError, match="do not fit this decoder"):
        cache.put(0, keys, values[:, :, :2])


@pytest.fixture
def on_device(session, golden, tmp_path) -> DecoderSession:
    """The same decoder with caches that only graphs reach; the device is the host."""
    write_cache_graphs(golden.config, session.new_cache(0).get(0, 0)[0].dtype, tmp_path)
    graphs = [
        onnxruntime.InferenceSession(tmp_path / name, providers=["CPUExecutionProvider"])
        for name in (PUT_FILE, GET_FILE)
    ]
    return DecoderSession(session._session, golden.config, "cpu", cache_sessions=tuple(graphs))


@ON_DEVICE
def test_composing_on_a_device_is_the_numpy_copy_bit_by_bit(session, on_device, golden):
    """Parts of one run, put in another order and over each other, by both ways."""
    source = session.new_cache(48)
    run(session, source, golden.token_ids, 0, 0)
    caches = [session.new_cache(48), on_device.new_cache(48)]
    for cache in caches:
        for at, start, end in [(0, 20, 40), (20, 0, 9), (29, 9, 10), (5, 3, 8), (30, 0, 18), (48, 0, 0)]:
            cache.put(at, *source.get(start, end))
    np.testing.assert_array_equal(caches[1].get(0, 48), caches[0].get(0, 48))
    np.testing.assert_array_equal(caches[1].get(7, 23), caches[0].get(7, 23))
    for layer in range(golden.config.n_layers):
        np.testing.assert_array_equal(caches[1].keys(layer, 3, 30), caches[0].keys(layer, 3, 30))
    after = [run(session, cache, golden.token_ids[:8], 30, 30) for cache in caches]
    np.testing.assert_array_equal(after[1], after[0])
    np.testing.assert_array_equal(caches[1].get(0, 48), caches[0].get(0, 48))


@ON_DEVICE
def test_composing_on_a_device_writes_in_place(on_device, golden):
    """A copy of the whole cache elsewhere would leave what the decoder's binding points at as it was."""
    cache, ids = on_device.new_cache(48), golden.token_ids
    run(on_device, cache, ids, 0, 0)
    block = cache._room._blocks["keys"]
    address, before = block.data_ptr(), block.numpy().copy()
    cache.put(7, *(np.ones_like(array) for array in cache.get(0, 3)))
    assert block.data_ptr() == address
    assert (block.numpy()[:, :, 7:10] == 1).all()
    before[:, :, 7:10] = 1
    np.testing.assert_array_equal(block.numpy()[:, :, :40], before[:, :, :40])


@ON_DEVICE
def test_the_state_of_a_device_is_that_of_the_host(session, on_device, golden):
    """Memories taken out of one buffer and attached to another, then decoded behind."""
    ids, logits = golden.token_ids, []
    for one in (session, on_device):
        source, state = DecodeState(one, 40), DecodeState(one, 48)
        source.extend(ids[:12], logits="none")
        memory = Memory("key", tuple(ids[4:12]), 4, *source.detach(4))
        state.extend(ids[:4], logits="none")
        state.attach(memory)
        logits.append(state.extend(ids[12:30], logits="all", positions=range(12, 30)))
    np.testing.assert_array_equal(*logits)


@ON_DEVICE
def test_memories_of_another_number_type_are_converted(session, on_device, golden):
    source = session.new_cache(48)
    run(session, source, golden.token_ids, 0, 0)
    halves = [array.astype(np.float16) for array in source.get(0, 40)]
    caches = [session.new_cache(48), on_device.new_cache(48)]
    for cache in caches:
        cache.put(2, *halves)
    expected = [half.astype(source.get(0, 0)[0].dtype) for half in halves]
    for cache in caches:
        np.testing.assert_array_equal(cache.get(2, 42), expected)


def test_queries_come_with_the_same_logits(session, golden):
    config, ids = golden.config, golden.token_ids
    plain, asked = session.new_cache(40), session.new_cache(40)
    run(session, plain, ids[:9], 0, 0)
    run(session, asked, ids[:9], 0, 0)
    arguments = {"n_past": 9, "positions": range(9, 40), "rows": [0, 30], "interrupt": Interrupt()}
    expected = session.run(plain, ids[9:], **arguments)
    logits, queries = session.run_with_queries(asked, ids[9:], **arguments)
    np.testing.assert_array_equal(logits, expected)
    assert queries.shape == (len(session.query_layers), 31, config.n_heads, config.head_dim)
    assert queries.dtype == plain.get(0, 1)[0].dtype
    np.testing.assert_array_equal(asked.get(0, 40), plain.get(0, 40))


def test_queries_are_the_same_however_tokens_are_spread_over_passes(session, golden):
    """A lone token has a companion row, which is not given out."""
    ids = golden.token_ids[:12]
    expected = with_queries(session, ids, [12])
    for sizes in ([1] * 12, [5, 1, 6], [4, 4, 4]):
        np.testing.assert_allclose(with_queries(session, ids, sizes), expected, atol=2e-3)


def with_queries(session: DecoderSession, ids: list[int], sizes: list[int]):
    cache, parts, start = session.new_cache(40), [], 0
    for size in sizes:
        positions = range(start, start + size)
        arguments = {"n_past": start, "positions": positions, "rows": [], "interrupt": Interrupt()}
        parts.append(session.run_with_queries(cache, ids[start : start + size], **arguments)[1])
        assert parts[-1].shape[1] == size
        start += size
    return np.concatenate(parts, axis=1)


def test_queries_are_not_overwritten_by_later_runs(session, golden):
    cache = session.new_cache(40)
    arguments = {"n_past": 0, "positions": range(4), "rows": [3], "interrupt": Interrupt()}
    _, first = session.run_with_queries(cache, golden.token_ids[:4], **arguments)
    kept = first.copy()
    session.run_with_queries(cache, golden.token_ids[4:8], **arguments)
    run(session, cache, golden.token_ids[8:12], 4, 4)
    np.testing.assert_array_equal(first, kept)
