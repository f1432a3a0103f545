"""An encoder that computes nothing and a store that is a dictionary: what they are asked, they remember."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal

import numpy as np

from model.errors import Cancelled
from model.memory import memory_key
from model.types import Memory

MODEL_HASH = "ab" * 32


class Clock:
    """Seconds that pass when somebody works."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class FakeEncoder:
    """Takes a fixed time for each token."""

    def __init__(self, clock: Clock | None = None, ms_per_token: float = 1.0) -> None:
        self.clock = clock or Clock()
        self.ms_per_token = ms_per_token
        self.encoded: list[tuple[int, ...]] = []

    def key(self, sink_ids: Sequence[int], token_ids: Sequence[int]) -> str:
        return memory_key(MODEL_HASH, sink_ids, token_ids)

    def encode(self, sink_ids: Sequence[int], token_ids: Sequence[int]) -> Memory:
        self.clock.now_s += len(token_ids) * self.ms_per_token / 1e3
        self.encoded.append(tuple(token_ids))
        arrays = (np.zeros((1, 1, len(token_ids), 1), np.float32) for _ in range(2))
        return Memory(self.key(sink_ids, token_ids), tuple(token_ids), len(sink_ids), *arrays)

    def cancel_turn(self) -> None:
        pass

    def close_turn(self) -> None:
        pass


class BlockingEncoder(FakeEncoder):
    """Encodes until a test says that it is done, or its turn is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.n_begun = 0
        self.n_cancelled = 0
        self.begun = threading.Event()
        self._changed = threading.Condition()
        self._is_running = False
        self._is_cancelled = False
        self._may_end = False

    def encode(self, sink_ids: Sequence[int], token_ids: Sequence[int]) -> Memory:
        with self._changed:
            assert not self._is_running, "two threads run the model at once"
            self._is_running = True
            self.n_begun += 1
            self.begun.set()
            self._changed.wait_for(lambda: self._may_end or self._is_cancelled)
            self._is_running = False
            if self._is_cancelled:
                self.n_cancelled += 1
                raise Cancelled
        return super().encode(sink_ids, token_ids)

    def finish(self) -> None:
        """Let this encoding and all later ones end."""
        with self._changed:
            self._may_end = True
            self._changed.notify_all()

    def cancel_turn(self) -> None:
        """End the encoding in progress, and what begins later in the turn."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()

    def close_turn(self) -> None:
        with self._changed:
            self._is_cancelled = False


class FakeStore:
    """Keeps everything in a dictionary."""

    def __init__(self) -> None:
        self.memories: dict[str, Memory] = {}
        self.asked = threading.Event()
        """Set when somebody asks where a memory is."""
        self.is_closed = False

    def get(self, key: str) -> Memory | None:
        return self.memories.get(key)

    def locate(self, key: str) -> Literal["ram"] | None:
        self.asked.set()
        return "ram" if key in self.memories else None

    def put(self, memory: Memory) -> None:
        self.memories[memory.key] = memory

    def clear(self) -> None:
        self.memories.clear()

    def close(self) -> None:
        self.is_closed = True
