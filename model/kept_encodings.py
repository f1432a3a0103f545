"""A tokenizer that remembers: at the next keystroke nearly all of a prompt's text is what it was.

Tokenizing a window of a thousand tokens takes milliseconds, and a keystroke changes the last word of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

import numpy as np
import numpy.typing as npt

from model.types import ControlTokens, TokenCodec

__all__ = ["KeptEncodings"]

_MOST_KEPT: Final = 512
"""Texts: two prompts with all their definitions. Together a few megabytes."""


class KeptEncodings:
    """Another tokenizer, with the ids of the texts that were encoded last. For any number of threads."""

    def __init__(self, codec: TokenCodec) -> None:
        """Remember nothing yet."""
        self._codec = codec
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, list[int]] = OrderedDict()  # least recently used first

    @property
    def control(self) -> ControlTokens:
        """See `TokenCodec`."""
        return self._codec.control

    @property
    def vocab_size(self) -> int:
        """See `TokenCodec`."""
        return self._codec.vocab_size

    def encode(self, text: str) -> list[int]:
        """See `TokenCodec`; the list is the caller's own."""
        with self._lock:
            ids = self._kept.get(text)
            if ids is not None:
                self._kept.move_to_end(text)
                return ids.copy()
        ids = self._codec.encode(text)
        with self._lock:
            self._kept[text] = ids
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return ids.copy()

    def token_bytes(self, token_id: int) -> bytes:
        """See `TokenCodec`."""
        return self._codec.token_bytes(token_id)

    def last_pretoken_start(self, text: str) -> int:
        """See `TokenCodec`."""
        return self._codec.last_pretoken_start(text)

    def tokens_with_prefix(self, start: bytes) -> npt.NDArray[np.int64]:
        """See `TokenCodec`."""
        return self._codec.tokens_with_prefix(start)

    def tokens_that_are_prefix_of(self, text: bytes) -> npt.NDArray[np.int64]:
        """See `TokenCodec`."""
        return self._codec.tokens_that_are_prefix_of(text)
