"""Bringing a buffer to a prompt, and to the beginning of one whose rest is not known yet."""

from __future__ import annotations

import itertools

import pytest
from fake_memories import FakeEncoder
from fake_model import FakeCodec, FakeDecoder

from model.prefill import prefill, read_ahead
from model.types import CHUNK_TOKENS, TokenRun

CODEC = FakeCodec()
SINK, LINE = TokenRun((1, 2, 3), 0), TokenRun((7, 8), 40)
ABOVE = TokenRun(tuple(itertools.islice(itertools.cycle(range(9, 90)), 2 * CHUNK_TOKENS + 5)), 10)
MEMORY = FakeEncoder().encode(SINK.token_ids, (4, 5, 6))


def new_decoder() -> FakeDecoder:
    return FakeDecoder(CODEC, lambda _: {})


def test_what_was_read_ahead_is_not_read_again():
    decoder = new_decoder()
    assert read_ahead(decoder, (SINK, ABOVE), while_=lambda: True) == 0
    decoder.passes.clear()
    done = prefill(decoder, (SINK, ABOVE, MEMORY, LINE))
    assert decoder.passes == [LINE.n_tokens]
    assert (done.n_reused, done.n_copied) == (SINK.n_tokens + ABOVE.n_tokens, MEMORY.n_tokens)


@pytest.mark.parametrize("n_passes", range(5))
def test_reading_ahead_ends_between_passes_when_there_is_something_better_to_do(n_passes):
    decoder = new_decoder()
    read_ahead(decoder, (SINK, ABOVE), while_=lambda: len(decoder.passes) < n_passes)
    assert decoder.passes == [SINK.n_tokens, CHUNK_TOKENS, CHUNK_TOKENS, 5][:n_passes]


def test_reading_ahead_tells_what_was_there_before():
    decoder = new_decoder()
    read_ahead(decoder, (SINK,), while_=lambda: True)
    assert read_ahead(decoder, (SINK, ABOVE), while_=lambda: False) == SINK.n_tokens


def test_a_prompt_must_end_with_tokens():
    for parts in ((SINK, MEMORY), (SINK, TokenRun((), 3))):
        with pytest.raises(ValueError, match="ends with tokens"):
            prefill(new_decoder(), parts)
