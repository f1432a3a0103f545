"""What attending to a definition would cost, and bringing its memory to where it costs nothing."""

from __future__ import annotations

import threading

import pytest
from fake_memories import FakeEncoder, FakeStore

from model.memory_bank import MemoryBank
from model.types import Memory

SINK = (1, 2, 3)
KEPT, OTHER = (4,) * 10, (5,) * 40


class TwoPlaces(FakeStore):
    """A disk below the RAM; reading an entry brings it up."""

    def __init__(self) -> None:
        super().__init__()
        self.disk: dict[str, Memory | None] = {}
        """None where an entry is damaged."""

    def locate(self, key: str):
        return "ram" if key in self.memories else "disk" if key in self.disk else None

    def get(self, key: str) -> Memory | None:
        memory = self.memories.get(key) or self.disk.get(key)
        if memory is None:
            self.disk.pop(key, None)
        else:
            self.memories[key] = memory
        return memory


@pytest.fixture
def parts():
    encoder, store = FakeEncoder(ms_per_token=2.0), TwoPlaces()
    return MemoryBank(encoder, store, clock=encoder.clock), encoder, store


def test_what_is_kept_costs_nothing_wherever_it_is(parts):
    bank, _, store = parts
    memory = FakeEncoder().encode(SINK, KEPT)
    for place in (store.disk, store.memories):
        place[memory.key] = memory
        assert bank.cost_ms(SINK, KEPT) == 0.0
    assert bank.cost_ms((1, 2), KEPT) > 0.0, "another repository's is another one"


def test_a_cost_is_told_before_anything_was_encoded_and_follows_what_it_took(parts):
    bank, _, _ = parts
    assert bank.cost_ms(SINK, OTHER) == pytest.approx(40.0)
    with bank.foreground():
        bank.recall(SINK, [KEPT], encode_ms=None)
    assert bank.cost_ms(SINK, OTHER) == pytest.approx(80.0)


def test_what_is_on_the_disk_alone_is_read_into_ram_ahead_and_not_encoded(parts):
    bank, encoder, store = parts
    memory = FakeEncoder().encode(SINK, KEPT)
    store.disk[memory.key] = memory
    assert not bank.prepare(SINK, KEPT, stop=threading.Event())
    assert (store.locate(memory.key), encoder.encoded) == ("ram", [])


def test_an_entry_of_the_disk_that_turns_out_damaged_is_encoded_anew(parts):
    bank, encoder, store = parts
    key = encoder.key(SINK, KEPT)
    store.disk[key] = None
    assert bank.prepare(SINK, KEPT, stop=threading.Event())
    assert (store.locate(key), encoder.encoded) == ("ram", [KEPT])
