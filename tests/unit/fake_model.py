"""A tokenizer and a decoder without weights: what they do stands in the test that makes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt

from model.errors import Cancelled
from model.types import BufferPart, ControlTokens, LogitRows, Memory

_N_BYTES = 256
_PRETOKEN = re.compile(r" ?\w+|\s+(?!\S)|\s*\n+|\s+| ?[^\s\w]+\n*")


class FakeCodec:
    """One id a byte, then ids of longer tokens, then the control ids; encodes greedily by longest match."""

    def __init__(self, longer: Sequence[str | bytes] = ()) -> None:
        more = [token.encode() if isinstance(token, str) else token for token in longer]
        self.tokens = [bytes([byte]) for byte in range(_N_BYTES)] + more
        n = len(self.tokens)
        self.control = ControlTokens(n, n + 1, n + 2, n + 3, n + 4, n + 5, all_ids=tuple(range(n, n + 6)))
        self.vocab_size = n + 6

    def encode(self, text: str) -> list[int]:
        return [token for piece in _PRETOKEN.findall(text) for token in self._encode(piece.encode())]

    def _encode(self, data: bytes) -> list[int]:
        ids: list[int] = []
        while data:
            best = max((t for t in self.tokens if data.startswith(t)), key=len)
            ids.append(self.id_of(best))
            data = data[len(best) :]
        return ids

    def id_of(self, token: str | bytes) -> int:
        return self.tokens.index(token.encode() if isinstance(token, str) else token)

    def token_bytes(self, token_id: int) -> bytes:
        return self.tokens[token_id] if token_id < len(self.tokens) else b""

    def decode(self, ids: Sequence[int]) -> bytes:
        return b"".join(self.token_bytes(i) for i in ids)

    def last_pretoken_start(self, text: str) -> int:
        return max((match.start() for match in _PRETOKEN.finditer(text)), default=0)

    def tokens_with_prefix(self, start: bytes) -> npt.NDArray[np.int64]:
        return np.array([i for i, token in enumerate(self.tokens) if token.startswith(start)], np.int64)

    def tokens_that_are_prefix_of(self, text: bytes) -> npt.NDArray[np.int64]:
        return np.array([i for i, token in enumerate(self.tokens) if text.startswith(token)], np.int64)


class FakeDecoder:
    """Continues the ids in its buffer as a function says; counts what it is asked.

    `scores` maps the buffer to {token id: logit}; ids that it does not name get 0.
    """

    def __init__(self, codec: FakeCodec, scores: Callable[[list[int]], Mapping[int, float]]) -> None:
        self.vocab_size = codec.vocab_size
        self.capacity_tokens = 1_000_000
        self.scores = scores
        self.ids: list[int] = []
        self.passes: list[int] = []
        """The tokens of each pass."""
        self.attached: list[Memory] = []
        self.cancel_at_pass: int | None = None

    def reuse(self, parts: Sequence[BufferPart]) -> int:
        wanted = [token for part in parts for token in part.token_ids]
        n = 0
        while n < min(len(self.ids), len(wanted)) and self.ids[n] == wanted[n]:
            n += 1
        self.rewind(n)
        return n

    def attach(self, memory: Memory) -> None:
        self.attached.append(memory)
        self.ids += memory.token_ids

    def offer(self, token_ids: Iterable[int]) -> None:
        """Rows tell of all tokens anyway."""

    def whole_vocabulary(self) -> AbstractContextManager[None]:
        return nullcontext()

    def rewind(self, n_tokens: int) -> None:
        assert n_tokens <= len(self.ids)
        del self.ids[n_tokens:]

    def forget(self) -> None:
        self.ids.clear()

    def cancel(self) -> None:
        """Nothing that takes time is ever in progress."""

    def cancel_turn(self) -> None:
        pass

    def close_turn(self) -> None:
        pass

    def extend(
        self,
        token_ids: Sequence[int],
        *,
        logits: LogitRows = "last",
        positions: Sequence[int] | None = None,
    ) -> npt.NDArray[np.float32]:
        if len(self.passes) == self.cancel_at_pass:
            raise Cancelled
        assert token_ids
        assert len(self.ids) + len(token_ids) <= self.capacity_tokens
        self.passes.append(len(token_ids))
        rows = []
        for token in token_ids:
            self.ids.append(token)
            row = np.zeros(self.vocab_size, np.float32)
            for token_id, score in self.scores(self.ids).items():
                row[token_id] = score
            rows.append(row)
        if logits == "none":
            return np.empty((0, self.vocab_size), np.float32)
        wanted = [len(rows) - 1] if logits == "last" else range(len(rows)) if logits == "all" else logits
        return np.stack([rows[i] for i in wanted])


def continues(codec: FakeCodec, text: str) -> Callable[[list[int]], Mapping[int, float]]:
    """Scores for a model that writes `text` after `<|fim_middle|>`, by the longest tokens, and then ends."""
    wanted = text.encode()

    def scores(ids: list[int]) -> Mapping[int, float]:
        if codec.control.fim_middle not in ids:
            return {}
        done = codec.decode(ids[ids.index(codec.control.fim_middle) :])
        if not wanted.startswith(done) or done == wanted:
            return {codec.control.end_of_text: 9.0}
        rest = wanted[len(done) :]
        return {i: 1.0 + len(t) for i, t in enumerate(codec.tokens) if rest.startswith(t)}

    return scores
