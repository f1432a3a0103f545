"""Token healing: which tokens may come next while typed bytes are still to be typed again.

A tokenizer would have split what the user is typing otherwise, had it seen the word's end. So the prompt
ends before the last pre-token of the cursor's line, and decoding types it again: until those bytes are used
up, a token is allowed if it begins with all that remain, or if it is a proper part of their beginning. This
is exact over bytes: inside a multi-byte character, over several tokens, and whatever the vocabulary, as long
as it holds each single byte.

Which of the allowed tokens to take is a question of its own: `likeliest_cover`. This file does not know about
prompts or models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.types import TokenCodec

__all__ = ["allowed", "likeliest_cover", "remaining_after", "split_typed"]


def allowed(codec: TokenCodec, remaining: bytes) -> npt.NDArray[np.int64]:
    """Return the ids of the tokens that may come next, each once, in no particular order.

    Ids without bytes (control ids) are never among them. Takes microseconds: bisections in a sorted table.

    Args:
        codec: The model's tokenizer.
        remaining: The typed bytes that are not typed again yet; not empty.
    """
    longer = codec.tokens_with_prefix(remaining)
    shorter = codec.tokens_that_are_prefix_of(remaining[:-1])
    return np.concatenate([longer, shorter])


def split_typed(codec: TokenCodec, line: str) -> tuple[str, str]:
    """Split a line into what stays in the prompt and its end, which decoding types again.

    The end is the last pre-token. Of white space at the line's end it is only the last character: a word that
    follows takes that one along and leaves the others behind as they are (` return` after four spaces is
    `   ` and ` return`), so that the model is told the indentation and need not guess it.
    """
    start = codec.last_pretoken_start(line) if line else 0
    typed = line[start:]
    if typed.isspace() and not typed.endswith(("\n", "\r")):
        start = len(line) - 1
    return line[:start], line[start:]


def remaining_after(remaining: bytes, token: bytes) -> bytes:
    """Return the typed bytes that remain after an allowed token."""
    return remaining[len(token) :]


def likeliest_cover(
    codec: TokenCodec, typed: bytes, draft: Sequence[int], rows: npt.NDArray[np.float32]
) -> list[int]:
    """Return the likeliest tokens that type `typed` again, the last of which may reach past it.

    The candidates are the beginnings of the tokenizer's own split, each followed by one token to the end of
    the typed bytes or past it. They are compared by their joint probability: token by token, ` getatt` would
    be begun with the frequent ` get`, after which ` getattr` can no longer be written as the model knows it.

    Args:
        codec: The model's tokenizer.
        typed: The bytes to type again.
        draft: `codec.encode` of them.
        rows: Logits before each drafted token and after the last, shape (len(draft) + 1, vocab).
    """
    best: list[int] = list(draft)
    best_score, score, remaining = -np.inf, 0.0, typed
    for index, token in enumerate(draft):
        row = rows[index]
        highest = float(row.max())
        norm = highest + float(np.log(np.exp(row - highest).sum()))
        ids = codec.tokens_with_prefix(remaining)
        if len(ids):
            scores = row[ids]
            at = int(scores.argmax())
            if score + float(scores[at]) - norm > best_score:
                best_score, best = score + float(scores[at]) - norm, [*draft[:index], int(ids[at])]
        score += float(row[token]) - norm
        remaining = remaining_after(remaining, codec.token_bytes(token))
    return best if best_score >= score else list(draft)
