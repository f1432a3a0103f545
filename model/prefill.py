"""Brings a decoder's buffer to what a prompt asks for: keeps what is there, copies memories, runs the rest.

Knows neither text nor what the parts of a prompt mean.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.errors import Cancelled
from model.types import CHUNK_TOKENS, BufferPart, Decoder, LogitRows, Memory, TokenRun

__all__ = ["Prefilled", "prefill", "read_ahead"]


@dataclass(frozen=True, slots=True)
class Prefilled:
    """What a prefill gave, and what it cost."""

    rows: npt.NDArray[np.float32]
    """Logits after the last token of the parts and after each token of the draft, (1 + draft, vocab)."""
    n_tokens: int
    """Of the parts."""
    n_reused: int
    """Of them, those that were in the buffer already."""
    n_copied: int
    """Of them, those that came with memories."""


def prefill(
    decoder: Decoder,
    parts: Sequence[BufferPart],
    draft: Sequence[int] = (),
    *,
    n_reused: int | None = None,
    before_pass: Callable[[], None] = lambda: None,
) -> Prefilled:
    """Fill the buffer with parts and a draft, and return the logits of the last token and of the draft.

    The last token of the parts is always run, for its logits.

    Args:
        decoder: Its buffer holds whatever the last call left there.
        parts: The last one is a run of tokens.
        draft: Tokens that follow the parts, read in the last pass.
        n_reused: What `decoder.reuse(parts)` returned just before, if it was asked already.
        before_pass: Called before each run of the model; what it raises ends the prefill.
    """
    last = parts[-1]
    if isinstance(last, Memory) or not last.n_tokens:
        raise ValueError("a prompt ends with tokens: there is nothing to continue otherwise")
    n_tokens = sum(part.n_tokens for part in parts)
    if n_reused is None:
        n_reused = decoder.reuse(parts)
    if n_reused == n_tokens:
        n_reused -= 1
        decoder.rewind(n_reused)
    n_copied = _read(decoder, parts[:-1], n_reused, before_pass)
    rows = np.empty((0, 0), np.float32)
    n_here = max(0, n_reused - (n_tokens - last.n_tokens))
    for chunk, position, logits in _passes(last, n_here, draft, wants_rows=True):
        before_pass()
        rows = decoder.extend(chunk, logits=logits, positions=range(position, position + len(chunk)))
    return Prefilled(rows, n_tokens, n_reused, n_copied)


def read_ahead(decoder: Decoder, parts: Sequence[BufferPart], *, while_: Callable[[], bool]) -> int:
    """Fill the buffer with the first parts of a prompt whose rest is not known yet, as far as there is time.

    Args:
        decoder: Its buffer holds whatever the last call left there.
        parts: Of any kind. What the buffer holds behind them is dropped.
        while_: Asked before each run of the model; False ends the reading.

    Returns:
        How many tokens of the parts were in the buffer already.
    """

    def before_pass() -> None:
        if not while_():
            raise Cancelled

    n_reused = decoder.reuse(parts)
    with contextlib.suppress(Cancelled):
        _read(decoder, parts, n_reused, before_pass)
    return n_reused


def _read(
    decoder: Decoder, parts: Sequence[BufferPart], n_reused: int, before_pass: Callable[[], None]
) -> int:
    """Bring parts into the buffer of which `n_reused` tokens stand there; return how many were copied."""
    n_copied = at = 0
    for part in parts:
        n_here = min(max(0, n_reused - at), part.n_tokens)
        at += part.n_tokens
        if n_here == part.n_tokens:
            continue
        if isinstance(part, Memory):
            decoder.attach(part)
            n_copied += part.n_tokens
            continue
        for chunk, position, logits in _passes(part, n_here, (), wants_rows=False):
            before_pass()
            decoder.extend(chunk, logits=logits, positions=range(position, position + len(chunk)))
    return n_copied


def _passes(
    run: TokenRun, start: int, draft: Sequence[int], *, wants_rows: bool
) -> Iterator[tuple[list[int], int, LogitRows]]:
    """Yield the tokens of each pass, the position of the first, and the rows that are wanted of it.

    All rows that are wanted lie in the last pass, which the run's last token and the draft must fit in.
    """
    pending = [*run.token_ids[start:], *draft]
    n_rows = len(draft) + 1 if wants_rows else 0
    position = run.first_position + start
    while len(pending) - n_rows >= CHUNK_TOKENS:
        yield pending[:CHUNK_TOKENS], position, "none"
        pending = pending[CHUNK_TOKENS:]
        position += CHUNK_TOKENS
    if pending:
        yield pending, position, range(len(pending) - n_rows, len(pending)) if n_rows else "none"
