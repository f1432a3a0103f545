"""The running state of one document's decoder: a cache buffer and what is in it.

Lengths advance only after a run succeeded, so a run that failed or was cancelled leaves nothing to repair:
what it wrote lies behind the end. This file does not know what tokens mean, nor onnxruntime.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from model.session import DecoderSession, Interrupt
from model.types import LogitRows

CHUNK_TOKENS: Final = 256
"""Tokens of a pass at most. Fewer read the weights too often, more no longer fit the processor's caches."""


class DecodeState:
    """The tokens in one cache buffer, and the ways to add, drop and keep them.

    For one thread at a time, but for `cancel`, which is for the others.
    """

    def __init__(self, session: DecoderSession, capacity_tokens: int) -> None:
        """Allocate the buffer, once.

        Args:
            session: May be shared with other states.
            capacity_tokens: Room; each token takes a key and a value in every layer and key-value head.
        """
        self.capacity_tokens: Final = capacity_tokens
        self._session = session
        self._cache = session.new_cache(capacity_tokens)
        self._token_ids: list[int] = []
        self._positions: list[int] = []
        self._lock = threading.Lock()
        self._interrupt: Interrupt | None = None  # of the extend in progress; guarded by the lock

    @property
    def n_tokens(self) -> int:
        """How many tokens the buffer holds."""
        return len(self._token_ids)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The tokens in the buffer, in its order."""
        return tuple(self._token_ids)

    @property
    def positions(self) -> tuple[int, ...]:
        """The rotary positions of the tokens in the buffer."""
        return tuple(self._positions)

    def extend(
        self,
        token_ids: Sequence[int],
        *,
        logits: LogitRows = "last",
        positions: Sequence[int] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Append tokens, in passes of `CHUNK_TOKENS`, and return logits of those that are asked for.

        Args:
            token_ids: Any number over any past; none is allowed if no logits are wanted.
            logits: Of which new tokens; numbers count from the first new one, in any order.
            positions: One for each new token, gaps allowed; by default they go on after the last one.

        Returns:
            (rows, vocab), in the order asked for; never memory that a later call writes to.

        Raises:
            Cancelled: `cancel` was called. Passes that were complete stay in the buffer, the rest does not.
            ValueError: More tokens or higher positions than there is room for, a row that is not among the
                new tokens, or not as many positions as tokens. Nothing was appended.
        """
        rows = _row_numbers(logits, len(token_ids))
        positions = self._next_positions(len(token_ids)) if positions is None else positions
        self._check_room(len(token_ids), positions)
        with self._lock:
            interrupt = self._interrupt = Interrupt()
        try:
            return self._run_in_chunks(token_ids, positions, rows, interrupt)
        finally:
            with self._lock:
                self._interrupt = None

    def rewind(self, n_tokens: int) -> None:
        """Keep only the first `n_tokens` tokens of the buffer; costs nothing."""
        if not 0 <= n_tokens <= self.n_tokens:
            raise ValueError(f"cannot rewind to {n_tokens} of {self.n_tokens} tokens")
        del self._token_ids[n_tokens:]
        del self._positions[n_tokens:]

    def reuse(self, token_ids: Sequence[int]) -> int:
        """Rewind to the longest common prefix of the buffer and `token_ids`, and return its length.

        Only tokens at the positions that they would get in a fresh buffer count.
        """
        n_common = 0
        for position, (held, wanted) in enumerate(zip(self._token_ids, token_ids, strict=False)):
            if held != wanted or self._positions[position] != position:
                break
            n_common += 1
        self.rewind(n_common)
        return n_common

    def cancel(self) -> None:
        """End the `extend` in progress in another thread, in the middle of a pass, if there is one."""
        with self._lock:
            if self._interrupt is not None:
                self._interrupt.trigger()

    def _run_in_chunks(
        self, token_ids: Sequence[int], positions: Sequence[int], rows: list[int], interrupt: Interrupt
    ) -> npt.NDArray[np.float32]:
        result = np.empty((len(rows), self._session.config.vocab_size), np.float32)
        for start in range(0, len(token_ids), CHUNK_TOKENS):
            chunk = token_ids[start : start + CHUNK_TOKENS]
            chunk_positions = positions[start : start + CHUNK_TOKENS]
            wanted = [index for index, row in enumerate(rows) if start <= row < start + len(chunk)]
            logits = self._session.run(
                self._cache,
                chunk,
                n_past=self.n_tokens,
                positions=chunk_positions,
                rows=[rows[index] - start for index in wanted],
                interrupt=interrupt,
            )
            self._token_ids += chunk
            self._positions += chunk_positions
            if len(wanted) == len(rows):
                result = logits  # the usual case, without a copy: all rows lie in one chunk
            else:
                result[wanted] = logits
        return result

    def _next_positions(self, n_new: int) -> range:
        start = self._positions[-1] + 1 if self._positions else 0
        return range(start, start + n_new)

    def _check_room(self, n_new: int, positions: Sequence[int]) -> None:
        if len(positions) != n_new:
            raise ValueError(f"{n_new} tokens with {len(positions)} positions")
        if self.n_tokens + n_new > self.capacity_tokens:
            raise ValueError(
                f"{n_new} more tokens do not fit: {self.n_tokens} of {self.capacity_tokens} are in use"
            )
        n_positions = self._session.n_positions
        if n_new and not 0 <= min(positions) <= max(positions) < n_positions:
            raise ValueError(f"positions must lie below {n_positions}, the model's limit")


def _row_numbers(logits: LogitRows, n_new: int) -> list[int]:
    """Return the rows that `logits` asks for, checked."""
    if logits == "none":
        return []
    if logits == "all":
        return list(range(n_new))
    rows = [n_new - 1] if logits == "last" else [int(row) for row in logits]
    if any(not 0 <= row < n_new for row in rows):
        raise ValueError(f"logits of rows {rows} of {n_new} new tokens")
    return rows
