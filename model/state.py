"""The running state of a decoder: a cache buffer, what is in it, and what was in it lately.

Lengths advance only after a run succeeded, so a run that failed or was cancelled leaves nothing to repair:
what it wrote lies behind the end. What leaves the buffer for another text is kept aside for a while
(`kept_runs.py`), and copied back instead of being computed again. This file does not know what tokens mean,
nor onnxruntime.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from model.errors import Cancelled
from model.kept_runs import Entry, KeptRuns, entries_of, n_in_common
from model.session import DecoderSession, Interrupt
from model.shortlist import OfferedTokens
from model.types import CHUNK_TOKENS, BufferPart, LogitRows, Memory


class DecodeState:
    """The tokens in one cache buffer, and the ways to add, drop and keep them.

    A token sees all that stands before it in the buffer, memories included; its rotary position is a thing
    apart. For one thread at a time, but for `cancel`, which is for the others.
    """

    def __init__(self, session: DecoderSession, capacity_tokens: int, *, kept_bytes: int = 0) -> None:
        """Allocate the buffer, once.

        Args:
            session: May be shared with other states.
            capacity_tokens: Room; each token takes a key and a value in every layer and key-value head.
            kept_bytes: How much of what left the buffer is kept; 0 keeps nothing.
        """
        self.capacity_tokens: Final = capacity_tokens
        self._session = session
        self._cache = session.new_cache(capacity_tokens)
        self._kept = KeptRuns(kept_bytes)
        self._entries: list[Entry] = []
        self._attached_ends: list[tuple[int, int]] = []  # first entry and end of each memory, in buffer order
        self._offered: OfferedTokens | Literal["all"] | None = None
        self._lock = threading.Lock()
        self._interrupt: Interrupt | None = None  # of the extend in progress; guarded by the lock
        self._is_turn_cancelled = False  # guarded by the lock

    @property
    def n_tokens(self) -> int:
        """How many tokens the buffer holds."""
        return len(self._entries)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The tokens in the buffer, in its order."""
        return tuple(token for _, token, _ in self._entries)

    @property
    def positions(self) -> tuple[int, ...]:
        """The rotary positions of the tokens in the buffer."""
        return tuple(position for _, _, position in self._entries)

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
            Cancelled: It was, or its turn. Passes that were complete stay in the buffer, the rest does not.
            ValueError: More tokens or higher positions than there is room for, a row that is not among the
                new tokens, or not as many positions as tokens. Nothing was appended.
        """
        rows = _row_numbers(logits, len(token_ids))
        positions = self._next_positions(len(token_ids)) if positions is None else positions
        self._check_room(len(token_ids), positions)
        with self._lock:
            if self._is_turn_cancelled:
                raise Cancelled
            interrupt = self._interrupt = Interrupt()
        try:
            return self._run_in_chunks(token_ids, positions, rows, interrupt)
        finally:
            with self._lock:
                self._interrupt = None

    def extend_with_queries(
        self, token_ids: Sequence[int], *, positions: Sequence[int]
    ) -> npt.NDArray[np.floating]:
        """Append a few tokens in one pass, which `cancel` does not end, and return what they asked for.

        Args:
            token_ids: `CHUNK_TOKENS` at most.
            positions: One for each token. The last one's in the buffer says nothing about them where a memory
                stands there.

        Returns:
            The queries of the layers in `query_layers`, (layers, tokens, heads, head_dim), with the rotary
            embedding.

        Raises:
            ValueError: More tokens or higher positions than there is room for. Nothing was appended.
        """
        self._check_room(len(token_ids), positions)
        _, queries = self._session.run_with_queries(
            self._cache,
            token_ids,
            n_past=self.n_tokens,
            positions=positions,
            rows=[],
            interrupt=Interrupt(),
        )
        self._append(token_ids, positions)
        return queries

    @property
    def query_layers(self) -> tuple[int, ...]:
        """The layers that `extend_with_queries` tells of."""
        return self._session.query_layers

    def keys(self, layer: int) -> npt.NDArray[np.floating]:
        """Return a layer's keys (key-value heads, tokens, head_dim); on the CPU the buffer's own memory."""
        return self._cache.keys(layer, 0, self.n_tokens)

    def attach(self, memory: Memory) -> None:
        """Append a memory by copying it: what is appended later attends to it.

        What comes after it needs positions of its own: they do not go on after a memory's.

        Raises:
            ValueError: There is no room for it. Nothing was appended.
        """
        positions = range(memory.first_position, memory.first_position + memory.n_tokens)
        self._check_room(memory.n_tokens, positions)
        start = self.n_tokens
        self._cache.put(start, memory.keys_lhtd, memory.values_lhtd)
        self._append(memory.token_ids, positions, memory.key)
        self._attached_ends.append((start, self.n_tokens))

    def offer(self, token_ids: Iterable[int]) -> None:
        """Let rows of logits tell of these tokens, whether the decoder's shortlist has them or not.

        Rows hold -inf for tokens that are neither. What was offered before no longer is.
        """
        projection, before = self._session.projection, self._offered
        if projection is not None and before != "all":
            self._offered = projection.offer(token_ids, before)

    @contextmanager
    def whole_vocabulary(self) -> Iterator[None]:
        """Let rows of logits tell of all tokens for a while, which takes a fifth of a second a run."""
        before, self._offered = self._offered, "all"
        try:
            yield
        finally:
            self._offered = before

    def detach(self, start: int) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
        """Return copies of the keys and values of the entries from `start` on, which leave the buffer.

        Returns:
            Both (layers, key-value heads, tokens, head_dim), in the cache's number type.
        """
        keys, values = self._cache.get(start, self.n_tokens)
        self.rewind(start)
        return keys, values

    def rewind(self, n_tokens: int) -> None:
        """Keep only the first `n_tokens` tokens of the buffer; costs nothing.

        Raises:
            ValueError: There are not so many, or a memory would be cut. Nothing was dropped.
        """
        if not 0 <= n_tokens <= self.n_tokens:
            raise ValueError(f"cannot rewind to {n_tokens} of {self.n_tokens} tokens")
        kept = [ends for ends in self._attached_ends if ends[0] < n_tokens]
        if kept and (end := kept[-1][1]) > n_tokens:
            raise ValueError(f"cannot rewind to {n_tokens}: a memory ends at {end}")
        self._attached_ends = kept
        del self._entries[n_tokens:]

    def reuse(self, parts: Sequence[BufferPart]) -> int:
        """Bring the buffer to what is at hand of `parts` from their start, and return its length.

        That is what the buffer and they have in common, and what was computed of them before and is kept.
        Entries are in common if all before them are, and they are the same memory, whole, or the same token
        at the same position. What the buffer loses is kept, if there is room.
        """
        wanted = entries_of(parts)
        n_common = n_in_common(self._entries, wanted)
        self._kept.keep(self._entries, n_common, self._cache.get)
        self.rewind(n_common)
        while (found := self._kept.longest(wanted, self.n_tokens)) is not None:
            run, end = found
            start = self.n_tokens
            self._check_room(end - start, [position for _, _, position in wanted[start:end]])
            part = np.s_[:, :, start - run.start : end - run.start]
            self._cache.put(start, run.keys_lhtd[part], run.values_lhtd[part])
            self._entries += wanted[start:end]
        return self.n_tokens

    def forget(self) -> None:
        """Empty the buffer, and drop what is kept of what was in it."""
        self.rewind(0)
        self._kept.forget()

    def cancel(self) -> None:
        """End the `extend` in progress in another thread, in the middle of a pass, if there is one."""
        with self._lock:
            if self._interrupt is not None:
                self._interrupt.trigger()

    def cancel_turn(self) -> None:
        """End the `extend` in progress, and until `close_turn` whatever begins: see `turns.Interruptible`."""
        with self._lock:
            self._is_turn_cancelled = True
            if self._interrupt is not None:
                self._interrupt.trigger()

    def close_turn(self) -> None:
        """Let what begins now run to its end again."""
        with self._lock:
            self._is_turn_cancelled = False

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
                offered=self._offered,
            )
            self._append(chunk, chunk_positions)
            if len(wanted) == len(rows):
                result = logits  # the usual case, without a copy: all rows lie in one chunk
            else:
                result[wanted] = logits
        return result

    def _append(self, token_ids: Sequence[int], positions: Sequence[int], key: str = "") -> None:
        self._entries += zip(repeat(key), token_ids, positions, strict=False)

    def _next_positions(self, n_new: int) -> range:
        start = self._entries[-1][2] + 1 if self._entries else 0
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
