"""Token healing: which tokens may come next while typed bytes are still to be typed again.

A tokenizer would have split what the user is typing otherwise, had it seen the word's end. So the prompt
ends before the last pre-token of the cursor's line, and decoding types it again: until those bytes are used
up, a token is allowed if it begins with all that remain, or if it is a proper part of their beginning. This
is exact over bytes: inside a multi-byte character, over several tokens, and whatever the vocabulary, as long
as it holds each single byte.

This file does not know about prompts, logits or models.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from model.types import TokenCodec

__all__ = ["allowed", "remaining_after", "split_typed"]


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
