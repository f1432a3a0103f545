"""The order in which contenders are asked, and with which definitions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fake_model import FakeCodec
from memory_catalogue import definition

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from latency.changes import N_KEPT, ask_for_changes, n_keystrokes
from latency.contenders import OpenedFile, Request, Timing, handing_out
from latency.ours import CoolableStore
from latency.replay import READING_MS, replay
from latency.session import ASK_AFTER_MS, Edit, Moment, Session
from latency.workspace import definition_sets

from indexer.types import RetrievalQuery, Retrieved
from model.memory_store import MemoryStore
from model.types import Memory

FILE = OpenedFile("repo", "a.py", lambda: ())


class Recording:
    """A contender that writes down what it is asked, in a list that it shares with others."""

    def __init__(self, name: str, log: list[tuple[str, str, object]]) -> None:
        self.name = name
        self._log = log

    def open(self, file: OpenedFile) -> None:
        self._log.append((self.name, "open", file.path))

    def idle(self, pause_ms: float) -> None:
        self._log.append((self.name, "idle", pause_ms))

    def warm(self, definitions: Sequence[Retrieved], request: Request) -> None:
        self._log.append((self.name, "warm", names(definitions)))

    def complete(self, request: Request) -> Timing:
        handed = request.retrieve(RetrievalQuery(None, "", "", 1, 1.0)).retrieved
        assert handed == request.held
        self._log.append((self.name, "complete", names(request.held)))
        return Timing(1.0, 2.0, 2, 10, 1, len(request.held), "x")


def names(definitions: Sequence[Retrieved]) -> str:
    return " ".join(row.definition.name for row in definitions)


def request_at(moment: Moment) -> Request:
    return Request("repo", "a.py", "python", moment.prefix, moment.suffix, handing_out(()), (), 300.0)


def test_each_request_goes_through_all_contenders_before_the_next_and_they_take_turns_at_being_first() -> (
    None
):
    edits = tuple(Edit(at, "x", ASK_AFTER_MS) for at in range(3))
    log: list[tuple[str, str, object]] = []
    session = Session("repo", "a.py", "python", "f", "\n", edits)
    contenders = [Recording("one", log), Recording("two", log)]
    samples = list(replay(session, FILE, contenders, request_at))
    assert [sample.kind for sample in samples] == ["cold", "keystroke", "keystroke"]
    assert [name for name, what, _ in log if what == "complete"] == ["one", "two", "two", "one", "one", "two"]
    assert all(set(sample.timings) == {"one", "two"} for sample in samples)


def test_a_file_is_opened_for_a_while_before_the_first_request_and_pauses_are_the_writers() -> None:
    log: list[tuple[str, str, object]] = []
    session = Session("repo", "a.py", "python", "f", "\n", (Edit(0, "x", 700),))
    list(replay(session, FILE, [Recording("one", log)], request_at))
    assert log == [
        ("one", "open", "a.py"),
        ("one", "idle", READING_MS),
        ("one", "complete", ""),
        ("one", "idle", 700),
    ]


def test_definitions_change_once_at_each_size_and_are_warm_then() -> None:
    log: list[tuple[str, str, object]] = []
    a, b = (Retrieved(definition("b.py", name, "text"), 1.0, ()) for name in "ab")
    sets = [(0, ()), (500, (a,)), (1000, (b,))]
    line = [request_at(Moment("keystroke", "x" * number, "", 0)) for number in range(n_keystrokes(3))]
    changes = list(ask_for_changes([Recording("one", log)], line, sets))
    assert [(one.size, one.state) for one in changes if one.state != "kept"] == [
        (500, "changed"),
        (1000, "changed"),
    ]
    assert len([one for one in changes if one.size == 500]) == 1 + N_KEPT
    assert [held for _, what, held in log if what == "warm"] == ["a", "b"]
    assert [held for _, what, held in log if what == "complete"][-2:] == ["b", "b"]


@pytest.mark.parametrize("seed", range(3))
def test_sets_of_definitions_share_none_and_stay_within_their_size(seed: int) -> None:
    codec = FakeCodec()
    definitions = [definition("b.py", f"f{number}", "y" * (5 + number)) for number in range(60)]
    sets = definition_sets(definitions, (0, 100, 200, 200), codec, seed)
    drawn = [row.definition.id for one in sets for row in one]
    assert len(drawn) == len(set(drawn))
    for size, one in zip((0, 100, 200, 200), sets, strict=True):
        n_tokens = sum(
            len(codec.encode(f"{row.definition.path}\n{row.definition.text}\n")) + 1 for row in one
        )
        assert 0.7 * size <= n_tokens <= size


def test_a_store_is_as_cold_as_it_was_made(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).standard_normal((2, 2, 1, 4, 8)).astype(np.float32)
    memory = Memory("0" * 32, (1, 2, 3, 4), 3, numbers[0], numbers[1])
    store = CoolableStore(
        lambda folder: MemoryStore(
            folder=folder,
            model_hash="0" * 64,
            max_ram_bytes=1 << 20,
            max_disk_bytes=1 << 20,
            on_problem=pytest.fail,
        ),
        tmp_path,
    )
    store.put(memory)
    assert store.locate(memory.key) == "ram"
    store.cool("disk")
    assert store.locate(memory.key) == "disk"
    store.cool("nothing")
    assert store.locate(memory.key) is None
    store.close()
