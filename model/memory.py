"""Encodes a definition once, by itself, into a `Memory` that any later completion can attend to.

A memory holds what the decoder would compute for the definition right behind the repository's sink, and all
memories of a repository share that range of positions: so they can be attended to in any number and order,
without being computed again (block-wise reuse, as in Parallel Context Windows, arXiv 2212.10947, and
Block-Attention, arXiv 2409.15355). This file knows neither where memories are kept nor who chooses them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Final

from model.session import DecoderSession
from model.state import DecodeState
from model.types import Memory, TokenRun

__all__ = ["LAYOUT_VERSION", "MemoryEncoder", "memory_key"]

LAYOUT_VERSION: Final = 1
"""Of what a memory depends on besides model, sink and tokens: its positions, and what it attends to."""


def memory_key(model_hash: str, sink_ids: Sequence[int], token_ids: Sequence[int]) -> str:
    """Return what identifies a memory's arrays: equal for equal tokens behind an equal sink, and only then.

    Args:
        model_hash: `Manifest.model_hash`.
        sink_ids: Of the repository's first segment, which the memory attends to.
        token_ids: Of the definition, control tokens included.
    """
    numbers = (LAYOUT_VERSION, len(sink_ids), *sink_ids, *token_ids)
    data = struct.pack(f"<{len(numbers)}I", *numbers)
    return hashlib.blake2b(data, key=bytes.fromhex(model_hash)[:64], digest_size=16).hexdigest()


class MemoryEncoder:
    """Turns token ids into memories, in a small buffer of its own that keeps the sink between calls.

    For one thread at a time, but for `cancel_turn`, which is for the others.
    """

    def __init__(self, session: DecoderSession, model_hash: str, *, max_tokens: int) -> None:
        """Allocate the buffer.

        Args:
            session: May be shared with whatever else runs it.
            model_hash: `Manifest.model_hash` of the session's model.
            max_tokens: Of a sink and a memory together.
        """
        self._state = DecodeState(session, max_tokens)
        self._model_hash = model_hash

    def key(self, sink_ids: Sequence[int], token_ids: Sequence[int]) -> str:
        """Return the key that `encode` would give the memory."""
        return memory_key(self._model_hash, sink_ids, token_ids)

    def encode(self, sink_ids: Sequence[int], token_ids: Sequence[int]) -> Memory:
        """Return the memory of a definition.

        Args:
            sink_ids: Of the repository; what was computed for the last call is used again.
            token_ids: Of the definition; at least one.

        Raises:
            Cancelled: The turn was.
            ValueError: They are more than there is room for.
        """
        state, sink = self._state, tuple(sink_ids)
        n_reused = state.reuse([TokenRun(sink, 0)])
        if n_reused < len(sink):
            state.extend(sink[n_reused:], logits="none")
        state.extend(token_ids, logits="none")
        keys, values = state.detach(len(sink))
        return Memory(self.key(sink, token_ids), tuple(token_ids), len(sink), keys, values)

    def cancel_turn(self) -> None:
        """End the `encode` in progress, and until `close_turn` whatever begins: see `turns.Interruptible`."""
        self._state.cancel_turn()

    def close_turn(self) -> None:
        """Let what begins now run to its end again."""
        self._state.close_turn()
