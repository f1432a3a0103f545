"""A decoder with a shortlist against the same one without: the same numbers, where there are any."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_decoder import FP32, W7A8, W8A8, W8A8_UNROTATED, load, load_golden

from model.graph import build_decoder
from model.quantize import rotated
from model.session import load_decoder
from model.shortlist import Shortlist
from model.state import DecodeState

GOLDEN = load_golden()
N_IDS = GOLDEN.config.vocab_size
SHORTLIST = Shortlist(N_IDS // 2, N_IDS - 5, N_IDS)
OFFERED = [N_IDS // 2 + 3, N_IDS // 2 + 11]


def with_shortlist(quantization, folder):
    build_decoder(rotated(GOLDEN), quantization, folder, lambda _: None, SHORTLIST)
    return load_decoder(folder, GOLDEN.config, quantization, provider="cpu", n_threads=2)


@pytest.mark.parametrize("quantization", [W8A8, W7A8], ids=["8 bits", "7 bits"])
def test_listed_and_offered_tokens_have_the_logits_of_the_whole_vocabulary_to_the_last_bit(
    quantization, tmp_path_factory
):
    ids = GOLDEN.token_ids[:24]
    plain = load(GOLDEN, quantization, tmp_path_factory.mktemp("plain"))
    expected = DecodeState(plain, 64).extend(ids, logits="all")
    state = DecodeState(with_shortlist(quantization, tmp_path_factory.mktemp("listed")), 64)
    with state.whole_vocabulary():
        np.testing.assert_array_equal(state.extend(ids, logits="all"), expected)
        state.rewind(0)
        state.offer([])  # the whole vocabulary holds until its end
        np.testing.assert_array_equal(state.extend(ids, logits="all"), expected)
    for offered in (OFFERED, [], [0, N_IDS - 1]):
        state.rewind(0)
        state.offer(offered)
        told = sorted({*range(SHORTLIST.n_first), *offered, *range(SHORTLIST.last_from, N_IDS)})
        logits = np.concatenate([state.extend(ids[:1]), state.extend(ids[1:], logits="all")])
        np.testing.assert_array_equal(logits[:, told], expected[:, told])
        assert np.isneginf(np.delete(logits, told, axis=1)).all()


@pytest.mark.parametrize("quantization", [FP32, W8A8_UNROTATED], ids=["fp32", "rows with scales"])
def test_a_shortlist_needs_rows_with_one_scale(quantization, tmp_path):
    with pytest.raises(ValueError, match="shortlist"):
        build_decoder(GOLDEN, quantization, tmp_path, lambda _: None, SHORTLIST)


def test_a_decoder_without_a_shortlist_takes_offers_and_tells_of_all_tokens(tmp_path):
    state = DecodeState(load(GOLDEN, W8A8, tmp_path), 64)
    state.offer(OFFERED)
    with state.whole_vocabulary():
        assert np.isfinite(state.extend(GOLDEN.token_ids[:3])).all()
