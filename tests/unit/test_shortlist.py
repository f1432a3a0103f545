from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from fake_model import FakeCodec

from model.errors import DamagedModelError
from model.quantize import quantize_rows
from model.shortlist import Projection, Shortlist, choose_shortlist, save_projection

FAR = [chr(0x4E00 + i) * 2 for i in range(80)]
"""Tokens of another script."""
WORDS = [f"word{i}" for i in range(40)]
SCALE = np.float32(5 / 127)
SHORTLIST = Shortlist(40, 90, 100)


def chosen(longer: list[str | bytes]) -> Shortlist | None:
    codec = FakeCodec(longer)
    return choose_shortlist(codec.token_bytes, codec.control.all_ids, codec.vocab_size)


def test_the_list_ends_where_other_scripts_begin():
    # Half of the single bytes are no ASCII: the words after them outweigh them.
    words = [f"{word}{i}" for word in WORDS for i in range(5)]
    listed = chosen([*words[:150], FAR[0], *words[150:], *FAR, "late"])
    assert listed is not None
    assert (listed.n_first, listed.vocab_size - listed.last_from) == (256 + 200 + 1, 6)


@pytest.mark.parametrize(
    "longer",
    [
        pytest.param([f"{word}{i}" for word in WORDS for i in range(5)], id="nothing to save"),
        pytest.param([*FAR, *FAR[:1]], id="bytes would be left out"),
    ],
)
def test_there_is_no_list_where_it_would_not_do(longer):
    assert chosen(longer) is None


def test_a_control_token_is_never_left_out():
    texts = [bytes([byte]) for byte in range(256)] + [b"word"] * 200 + [b"\xe4\xb8\x80"] * 100
    listed = choose_shortlist([*texts, b""].__getitem__, [len(texts)], len(texts) + 1)
    assert listed == Shortlist(456, 556, 557)
    texts.insert(500, b"")
    assert choose_shortlist([*texts, b"x"].__getitem__, [500], len(texts) + 1) is None


@pytest.fixture(params=[64, 2048], ids=["sums that are exact in 32 bits", "in 64"])
def weight(request) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(100, request.param)).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 7])
def test_logits_of_tokens_outside_of_the_list_are_those_of_integer_products(weight, bits, tmp_path):
    save_projection(weight, bits, SCALE, tmp_path)
    final = np.random.default_rng(4).integers(0, 256, (5, weight.shape[1]), np.uint8)
    values, scales = quantize_rows(weight, bits)
    sums = (final.astype(np.int64) - 128) @ values.astype(np.int64).T
    whole = sums.astype(np.float32) * (SCALE * scales)
    listed = SHORTLIST.rows(whole.T).T

    projection = Projection(SHORTLIST, tmp_path)
    np.testing.assert_array_equal(projection.all_logits(listed, final), whole)
    offered = projection.offer([7, 88, 41, 88, 95], None)
    logits = projection.logits(listed, final, offered)
    told = [*range(40), 41, 88, *range(90, 100)]
    np.testing.assert_array_equal(logits[:, told], whole[:, told])
    assert np.isneginf(np.delete(logits, told, axis=1)).all()


def test_what_is_offered_anew_is_not_read_again(weight, tmp_path):
    save_projection(weight, 8, SCALE, tmp_path)
    projection = Projection(SHORTLIST, tmp_path)
    assert projection.offer([1, 39, 90, 99], None) is None
    first = projection.offer([50, 60, 1], None)
    assert first is not None
    assert projection.offer([60, 50, 50, 2], first) is first
    assert projection.offer([60], first) is not first


def test_no_rows_have_no_logits(weight, tmp_path):
    save_projection(weight, 8, SCALE, tmp_path)
    projection = Projection(SHORTLIST, tmp_path)
    nothing, final = np.empty((0, 50), np.float32), np.empty((0, weight.shape[1]), np.uint8)
    assert projection.logits(nothing, final, projection.offer([50], None)).shape == (0, 100)
    assert projection.all_logits(nothing, final).shape == (0, 100)


@pytest.mark.parametrize("damage", ["missing", "cut", "of another model"])
def test_a_projection_that_cannot_be_read_is_named_with_its_cure(damage, weight, tmp_path):
    save_projection(weight, 8, SCALE, tmp_path)
    path = tmp_path / "vocabulary_rows.npy"
    shortlist = SHORTLIST
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        shortlist = Shortlist(40, 90, 101)
    with pytest.raises(DamagedModelError, match="model pull"):
        Projection(shortlist, tmp_path)


def test_every_id_has_its_place():
    whole = np.arange(3 * 100, dtype=np.float32).reshape(3, 100)
    spread = SHORTLIST.spread(SHORTLIST.rows(whole.T).T)
    for token_id, column in zip(count(), spread.T, strict=False):
        listed = token_id < 40 or token_id >= 90
        assert (column == (whole[:, token_id] if listed else -np.inf)).all()
