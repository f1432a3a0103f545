"""Where a completion gets its memories: from the store, or encoded now, or later by whoever is idle.

A completion has the model to itself (`turns.py`): what is encoded ahead of it stops at once when one begins,
and goes on when it is over. Knows neither repositories nor who chooses definitions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from model.errors import Cancelled
from model.memory import MemoryEncoder
from model.turns import Interruptible, ModelTurns, Turn, Urgency
from model.types import Memory

__all__ = ["MemoryBank", "Place", "Recalled", "Store", "Temperature"]

Place = Literal["ram", "disk"]
Temperature = Literal["warm", "cold", "left out"]

_S_PER_TOKEN_AT_FIRST: Final = 1e-3
"""What encoding is taken to cost until it was measured."""
_WEIGHT: Final = 0.3
"""Of the latest encoding in the average of what a token costs."""


class Store(Protocol):
    """Keeps memories; `memory_store.MemoryStore` is the real one."""

    def get(self, key: str) -> Memory | None:
        """Return a memory, None if it is not there."""
        ...

    def locate(self, key: str) -> Place | None:
        """Return where a memory is, without reading it."""
        ...

    def put(self, memory: Memory) -> None:
        """Keep a memory; never fails and never waits."""
        ...

    def clear(self) -> None:
        """Forget all memories of this model."""
        ...

    def close(self) -> None:
        """Write what waits to be written."""
        ...


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a completion was given of the definitions that it asked for."""

    memories: tuple[Memory, ...]
    """In the order asked for."""
    temperatures: tuple[Temperature, ...]
    """Of each definition asked for: `warm` if it was in the store, `cold` if it was encoded for this
    completion, `left out` if there was no time for that."""


class MemoryBank:
    """Memories of one model; for one completing thread and any number that encode ahead."""

    def __init__(
        self, encoder: MemoryEncoder, store: Store, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Join an encoder and a store.

        Args:
            encoder: Used by nobody else.
            store: Of the same model.
            clock: Seconds, monotonic.
        """
        self._encoder = encoder
        self._store = store
        self._clock = clock
        self._turns = ModelTurns()
        self._lock = threading.Lock()
        self._preparing: set[Turn] = set()  # guarded by the lock
        self._s_per_token: float | None = None

    @property
    def turns(self) -> ModelTurns:
        """Who has the model."""
        return self._turns

    @property
    def models(self) -> tuple[Interruptible, ...]:
        """What is run here: who recalls holds a turn with it."""
        return (self._encoder,)

    def foreground(self) -> AbstractContextManager[None]:
        """Have the model for a completion: what is encoded ahead ends within a node of the graph."""
        return self._turns.hold(Turn(Urgency.REQUEST), *self.models)

    def cost_ms(self, sink_ids: Sequence[int], token_ids: Sequence[int]) -> float:
        """Return about how long it takes to encode a definition; 0 if its memory is kept. For any thread."""
        if self._store.locate(self._encoder.key(sink_ids, token_ids)) is not None:
            return 0.0
        rate = _S_PER_TOKEN_AT_FIRST if self._s_per_token is None else self._s_per_token
        return rate * len(token_ids) * 1e3

    def recall(
        self, sink_ids: Sequence[int], definitions: Sequence[Sequence[int]], *, encode_ms: float | None
    ) -> Recalled:
        """Return the memories of definitions, encoding what is missing for as long as there is time.

        To be called in a turn that is held with `models`.

        Args:
            sink_ids: The repository's.
            definitions: Token ids of each, best first: those are encoded first.
            encode_ms: How long encoding may take; what would end later is not begun. None: as long as it
                takes.

        Raises:
            Cancelled: The turn was.
        """
        memories: list[Memory] = []
        temperatures: list[Temperature] = []
        spent_s = 0.0
        for token_ids in definitions:
            memory = self._store.get(self._encoder.key(sink_ids, token_ids))
            temperature: Temperature = "warm"
            if memory is None:
                estimate_s = (self._s_per_token or 0.0) * len(token_ids)
                if encode_ms is not None and (spent_s + estimate_s) * 1e3 >= encode_ms:
                    temperatures.append("left out")
                    continue
                started = self._clock()
                memory, temperature = self._encode(sink_ids, token_ids), "cold"
                spent_s += self._clock() - started
            memories.append(memory)
            temperatures.append(temperature)
        return Recalled(tuple(memories), tuple(temperatures))

    def prepare(self, sink_ids: Sequence[int], token_ids: Sequence[int], *, stop: threading.Event) -> bool:
        """Encode a definition ahead of the completion that will want it, unless it is kept already.

        What is kept on the disk alone is read into RAM. Waits while a completion runs, and begins anew if one
        interrupts.

        Args:
            sink_ids: The repository's.
            token_ids: Of the definition.
            stop: Set, before `cancel_preparing` is called, to give up.

        Returns:
            Whether something was encoded.
        """
        key = self._encoder.key(sink_ids, token_ids)
        while not stop.is_set():
            place = self._store.locate(key)
            if place == "ram" or (place == "disk" and self._store.get(key) is not None):
                break  # an entry of the disk that turns out damaged is gone from it
            turn = Turn(Urgency.WARMING)
            with self._lock:
                self._preparing.add(turn)
            try:
                if stop.is_set():
                    break  # who cancels sets it first
                with suppress(Cancelled), self._turns.hold(turn, *self.models):
                    # whoever had the model meanwhile may have encoded the same
                    if self._store.locate(key) is None:
                        self._encode(sink_ids, token_ids)
                        return True
            finally:
                with self._lock:
                    self._preparing.discard(turn)
        return False

    def cancel_preparing(self) -> None:
        """End what `prepare` does in other threads; what a completion encodes goes on.

        It begins anew unless it was told to stop.
        """
        with self._lock:
            preparing = tuple(self._preparing)
        for turn in preparing:
            self._turns.cancel(turn)

    def clear(self) -> None:
        """Forget all memories of this model; a completion that has some of them goes on with them."""
        self._store.clear()

    def close(self) -> None:
        """Write what waits to be written."""
        self._store.close()

    def _encode(self, sink_ids: Sequence[int], token_ids: Sequence[int]) -> Memory:
        started = self._clock()
        memory = self._encoder.encode(sink_ids, token_ids)
        cost = (self._clock() - started) / len(token_ids)
        known = cost if self._s_per_token is None else self._s_per_token
        self._s_per_token = known + _WEIGHT * (cost - known)
        self._store.put(memory)
        return memory
