"""What a cache lets out and takes in: keys and values of entries, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_decoder import FP32, W4A16, Golden, load, load_golden

from model.session import DecoderSession, Interrupt, KeyValueCache


@pytest.fixture(scope="module")
def golden() -> Golden:
    return load_golden()


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
