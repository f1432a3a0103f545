r"""How likely a model finds what the author wrote, in nats, whatever tokens it would write it in.

A prompt ends before the last pre-token of the cursor's line, whose bytes decoding types again. So what is
known is that the text begins with those bytes, and what is asked is that it goes on with the target:

    nats = log P(text begins with typed) - log P(text begins with typed + target)

P(text begins with s) is a sum over the tokens that write s and end with it or past it: a target's `)` is
found in the model's `)` and in its `)\n`. Of the many ways to split s into tokens, those are counted that
follow the tokenizer's own split but for the last token, which may be any that covers the rest; for the typed
bytes, the split of typed + target counts as well. So the result is never negative. The splits left out are
improbable under a model that was trained on the tokenizer's own; what is lost makes the target look a little
less likely than it is, by the same splits in every arm, so that differences between arms hardly move.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.prefill import prefill
from model.prompt import Prompt
from model.types import BufferPart, Decoder, TokenCodec

__all__ = ["Likelihood", "target_likelihood"]

_MAX_SCORED_TOKENS = 256
"""Of a longer target only the beginning is scored; the decoder's buffer has room for no more."""
_ROWS = 32
"""Logits held at a time: at a vocabulary of 150,000, 20 MB."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """What a target costs a model."""

    nats: float
    """At least 0; lower is better."""
    n_bytes: int
    """Of the target, as far as it was scored."""


def target_likelihood(
    decoder: Decoder, codec: TokenCodec, prompt: Prompt, parts: Sequence[BufferPart], target: str
) -> Likelihood:
    """Return how likely a target is after a prompt.

    Over the whole vocabulary, whatever the decoder's shortlist. Leaves the decoder's buffer with the prompt
    and the target in it.

    Args:
        decoder: The running model; what its buffer shares with the prompt is not computed again.
        codec: The model's tokenizer.
        prompt: Without an opening: all that it types again stands before the cursor.
        parts: The prompt as the decoder reads it.
        target: The text after the cursor; not empty.
    """
    data = target.replace("\r\n", "\n").encode("utf-8", "replace")
    path = codec.encode(prompt.typed.decode() + data.decode())[:_MAX_SCORED_TOKENS]
    scored = b"".join(map(codec.token_bytes, path))
    typed = _Beginning(codec, prompt.typed)
    whole = _Beginning(codec, scored)
    with decoder.whole_vocabulary():
        for step in _walk(decoder, codec, parts, path):
            typed.add(step)
            whole.add(step)
        if prompt.draft and tuple(path[: len(prompt.draft) - 1]) != prompt.draft[:-1]:
            for step in _walk(decoder, codec, parts, prompt.draft):
                typed.add(step)
    nats = typed.log_probability() - whole.log_probability()
    return Likelihood(max(0.0, nats), len(scored) - len(prompt.typed))


@dataclass(frozen=True, slots=True)
class _Step:
    """A place on a path of tokens."""

    before: tuple[int, ...]
    n_bytes: int
    """That those tokens wrote."""
    log_probability: float
    """Of those tokens."""
    log_probabilities: npt.NDArray[np.float32]
    """Of every next token, shape (vocab,)."""


class _Beginning:
    """Sums up the probability that a text begins with some bytes, over distinct sequences of tokens."""

    def __init__(self, codec: TokenCodec, data: bytes) -> None:
        self._codec = codec
        self._data = data
        self._seen: set[tuple[int, ...]] = set()
        self._terms: list[float] = []

    def add(self, step: _Step) -> None:
        """Count the tokens that cover all that remains after a path."""
        if step.n_bytes >= len(self._data) or step.before in self._seen:
            return
        self._seen.add(step.before)
        ids = self._codec.tokens_with_prefix(self._data[step.n_bytes :])
        if len(ids):
            self._terms.append(step.log_probability + _log_sum_exp(step.log_probabilities[ids]))

    def log_probability(self) -> float:
        """Return the logarithm of the sum; 0 where there are no bytes to write."""
        return _log_sum_exp(np.array(self._terms)) if self._data else 0.0


def _walk(
    decoder: Decoder, codec: TokenCodec, parts: Sequence[BufferPart], path: Sequence[int]
) -> Iterator[_Step]:
    """Yield the place before each token of a path, teacher-forced."""
    row = prefill(decoder, parts).rows[0]
    n_bytes, log_probability = 0, 0.0
    pending = list(path[:-1])
    rows = iter((row,))
    for index, token in enumerate(path):
        next_row = next(rows, None)
        if next_row is None:
            chunk, pending = pending[:_ROWS], pending[_ROWS:]
            rows = iter(decoder.extend(chunk, logits="all"))
            next_row = next(rows)
        log_probabilities = next_row - np.float32(_log_sum_exp(next_row))
        yield _Step(tuple(path[:index]), n_bytes, log_probability, log_probabilities)
        n_bytes += len(codec.token_bytes(token))
        log_probability += float(log_probabilities[token])


def _log_sum_exp(values: npt.NDArray[np.floating]) -> float:
    highest = float(values.max())
    return highest + math.log(float(np.exp(values - highest).sum(dtype=np.float64)))
