"""The store of memories: RAM over disk, by budget; a disk that fails costs nothing but itself."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from model.memory_codec import encode_memory
from model.memory_disk import entries_bytes, remove_entries
from model.memory_store import MemoryStore
from model.types import Memory

MODEL, OTHER_MODEL = "ab" * 32, "cd" * 32
LAYERS, HEADS, HEAD_DIM = 2, 1, 8
GENEROUS = 1 << 30


def make_memory(name: int, n_tokens: int = 4) -> Memory:
    rng = np.random.default_rng(name)
    shape = (LAYERS, HEADS, n_tokens, HEAD_DIM)
    keys, values = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    return Memory(key_of(name), tuple(range(n_tokens)), 3, keys, values)


def key_of(name: int) -> str:
    return f"{name:032x}"


RAM_BYTES = make_memory(0).n_bytes
DISK_BYTES = len(encode_memory(make_memory(0), MODEL))


class Clock:
    """A time that passes when it is looked at, and when a test says so."""

    def __init__(self) -> None:
        self._ticks = count(10**18)
        self.offset_ns = 0

    def __call__(self) -> int:
        return next(self._ticks) + self.offset_ns


class Stores:
    """Makes stores on one folder, and ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.problems: list[str] = []
        self._made: list[MemoryStore] = []

    def __call__(
        self, model_hash: str = MODEL, max_ram_bytes: int = GENEROUS, max_disk_bytes: int = GENEROUS
    ) -> MemoryStore:
        store = MemoryStore(
            folder=self.folder,
            model_hash=model_hash,
            max_ram_bytes=max_ram_bytes,
            max_disk_bytes=max_disk_bytes,
            on_problem=self.problems.append,
            clock_ns=self.clock,
        )
        self._made.append(store)
        return store

    def fill(self, *names: int, model_hash: str = MODEL) -> None:
        """Put memories on the disk, in this order, as a process that has ended since."""
        store = self(model_hash, max_ram_bytes=0)
        for name in names:
            store.put(make_memory(name))
        store.close()

    def file(self, name: int) -> Path:
        (file,) = self.folder.rglob(f"{key_of(name)}.*")
        return file

    def on_disk(self) -> set[int]:
        return {int(path.stem, 16) for path in self.folder.rglob("*") if path.is_file()}

    def close(self) -> None:
        for store in self._made:
            store.close()


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    made = Stores(tmp_path / "cache" / "memories")
    yield made
    made.close()


def assert_same(found: Memory | None, name: int) -> None:
    memory = make_memory(name)
    assert found is not None
    assert (found.key, found.token_ids, found.first_position) == (memory.key, memory.token_ids, 3)
    assert np.allclose(found.keys_lhtd, memory.keys_lhtd, atol=0.02)
    assert np.allclose(found.values_lhtd, memory.values_lhtd, atol=0.02)


def test_a_memory_in_ram_is_the_one_that_was_put(stores: Stores) -> None:
    store, memory = stores(), make_memory(1)
    assert store.get(memory.key) is None
    store.put(memory)
    assert store.get(memory.key) is memory
    assert store.locate(memory.key) == "ram"
    assert (store.stats.n_ram_hits, store.stats.n_misses) == (1, 1)


def test_a_memory_survives_its_process(stores: Stores) -> None:
    stores.fill(1)
    store = stores()
    assert store.locate(key_of(1)) == "disk"
    assert store.locate(key_of(2)) is None
    assert_same(store.get(key_of(1)), 1)
    assert store.locate(key_of(1)) == "ram"
    assert store.get(key_of(2)) is None
    assert (store.stats.n_disk_hits, store.stats.n_misses) == (1, 1)


def test_an_entry_on_the_disk_is_written_once(stores: Stores) -> None:
    stores.fill(1)
    store = stores()
    store.put(make_memory(1))
    store.flush()
    assert store.stats.n_written == 0


def test_a_memory_that_waits_to_be_written_can_be_had(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()
    monkeypatch.setattr("model.memory_disk.os.write", _after(may_write, os.write))
    store = stores(max_ram_bytes=0)
    store.put(make_memory(1))
    assert store.locate(key_of(1)) == "ram"
    assert_same(store.get(key_of(1)), 1)
    may_write.set()
    store.flush()
    assert store.locate(key_of(1)) == "disk"


def _after(event: threading.Event, write: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
    def wait_and_write(descriptor: int, data: bytes) -> int:
        event.wait()
        return write(descriptor, data)

    return wait_and_write


def test_memories_that_come_faster_than_the_disk_are_not_written(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()
    monkeypatch.setattr("model.memory_disk.os.write", _after(may_write, os.write))
    monkeypatch.setattr("model.memory_store._MAX_PENDING_BYTES", 2 * RAM_BYTES)
    store = stores()
    for name in range(5):
        store.put(make_memory(name))
    assert store.stats.n_not_written == 3
    may_write.set()
    store.flush()
    assert stores.on_disk() == {0, 1}
    assert store.stats.n_in_ram == 5


def test_ram_keeps_what_was_used_last_by_bytes(stores: Stores) -> None:
    store = stores(max_ram_bytes=3 * RAM_BYTES, max_disk_bytes=0)
    for name in (1, 2, 3):
        store.put(make_memory(name))
    store.get(key_of(1))
    store.put(make_memory(4))
    assert [name for name in (1, 2, 3, 4) if store.locate(key_of(name))] == [1, 3, 4]
    store.put(make_memory(5, n_tokens=8))  # takes the place of two
    assert [name for name in (1, 3, 4, 5) if store.locate(key_of(name))] == [4, 5]
    assert (store.stats.n_in_ram, store.stats.n_ram_bytes) == (2, 3 * RAM_BYTES)


def test_a_memory_put_twice_counts_once(stores: Stores) -> None:
    store = stores()
    store.put(make_memory(1))
    store.put(make_memory(1))
    assert (store.stats.n_in_ram, store.stats.n_ram_bytes) == (1, RAM_BYTES)


def test_the_disk_keeps_what_was_used_last_by_bytes(stores: Stores) -> None:
    stores.fill(1, 2, 3)
    store = stores(max_ram_bytes=0, max_disk_bytes=3 * DISK_BYTES)
    store.get(key_of(1))
    store.put(make_memory(4))
    store.flush()
    # Nine tenths of the budget hold two entries.
    assert stores.on_disk() == {1, 4}
    assert store.stats.n_evicted == 2


def test_what_is_used_from_ram_is_not_old_on_the_disk(stores: Stores) -> None:
    store = stores(max_disk_bytes=3 * DISK_BYTES)
    for name in (1, 2, 3):
        store.put(make_memory(name))
        store.flush()
    store.get(key_of(1))
    store.put(make_memory(4))
    store.flush()
    assert stores.on_disk() == {1, 4}


def test_closing_remembers_what_was_used_from_ram(stores: Stores) -> None:
    stores.fill(1, 2, 3)
    store = stores()
    for name in (3, 2, 1, 3):
        store.get(key_of(name))
    store.close()
    times = {name: stores.file(name).stat().st_mtime_ns for name in (1, 2, 3)}
    assert sorted(times, key=times.__getitem__) == [2, 1, 3]


def test_another_models_entries_are_never_read_and_go_first(stores: Stores) -> None:
    stores.fill(1, 2, model_hash=OTHER_MODEL)
    stores.fill(3)
    store = stores(max_ram_bytes=0, max_disk_bytes=3 * DISK_BYTES)
    assert store.locate(key_of(1)) is None
    assert store.get(key_of(1)) is None
    for name in (4, 5):
        store.put(make_memory(name))
        store.flush()
    assert stores.on_disk() == {3, 4, 5}
    assert len(list(stores.folder.iterdir())) == 1, "the other model's empty folder went too"


def test_a_file_moved_in_from_another_model_is_refused(stores: Stores) -> None:
    stores.fill(1, model_hash=OTHER_MODEL)
    stores.fill(2)
    stores.file(1).rename(stores.file(2).with_name(stores.file(1).name))
    store = stores()
    assert store.get(key_of(1)) is None
    assert store.stats.n_damaged == 1


def test_a_file_renamed_to_another_key_is_refused_and_dropped(stores: Stores) -> None:
    stores.fill(1)
    file = stores.file(1)
    file.rename(file.with_name(f"{key_of(2)}{file.suffix}"))
    store = stores()
    assert store.get(key_of(2)) is None
    assert store.stats.n_damaged == 1
    assert stores.on_disk() == set()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "header": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "shape": lambda data: data[:14] + bytes([data[14] ^ 8]) + data[15:],
    "key": lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
    "arrays": lambda data: data[: len(data) // 2] + b"\xaa\x55" + data[len(data) // 2 + 2 :],
    "checksum": lambda data: data[:-1] + bytes([data[-1] ^ 128]),
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "zeros": lambda data: bytes(len(data)),
    "longer": lambda data: data + data,
    "something else": lambda _: b"#!/bin/sh\n" * 100,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_entry_is_dropped_and_can_be_written_again(
    stores: Stores, damage: Callable[[bytes], bytes]
) -> None:
    stores.fill(1, 2)
    file = stores.file(1)
    file.write_bytes(damage(file.read_bytes()))
    store = stores()
    assert store.get(key_of(1)) is None
    assert (store.stats.n_damaged, store.stats.n_misses) == (1, 1)
    assert stores.on_disk() == {2}
    stores.fill(1)
    assert_same(store.get(key_of(1)), 1)
    assert not stores.problems


def full_disk(descriptor: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_once_and_leaves_ram(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stores()
    monkeypatch.setattr("model.memory_disk.os.write", full_disk)
    for name in (1, 2, 3):
        store.put(make_memory(name))
        store.flush()
    (problem,) = stores.problems
    assert str(stores.folder) in problem
    assert "No space left" in problem
    assert "free some space" in problem
    assert store.stats.n_not_written == 3
    assert list(stores.folder.rglob("*.*")) == [], "nothing half-written is left"
    for name in (1, 2, 3):
        assert_same(store.get(key_of(name)), name)


def test_a_disk_that_has_room_again_is_used_again(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stores()
    with monkeypatch.context() as patch:
        patch.setattr("model.memory_disk.os.write", full_disk)
        store.put(make_memory(1))
        store.flush()
    store.put(make_memory(2))
    store.flush()
    assert stores.on_disk() == set(), "it is left alone for a while"
    stores.clock.offset_ns += 3600 * 10**9
    store.put(make_memory(3))
    store.flush()
    assert stores.on_disk() == {3}


def test_writes_that_are_cut_short_go_on(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("model.memory_disk.os.write", lambda file, data: write(file, bytes(data[:100])))
    stores.fill(1)
    assert_same(stores().get(key_of(1)), 1)


def test_a_folder_that_cannot_be_made_is_told_once_and_leaves_ram(stores: Stores) -> None:
    stores.folder.parent.mkdir(parents=True)
    stores.folder.write_text("a file in its place")
    store = stores()
    for name in (1, 2):
        store.put(make_memory(name))
        store.flush()
        assert_same(store.get(key_of(name)), name)
    assert store.get(key_of(9)) is None
    (problem,) = stores.problems
    assert str(stores.folder) in problem
    assert "make that folder yours" in problem


def test_a_folder_deleted_in_the_middle_is_made_again(stores: Stores) -> None:
    store = stores(max_ram_bytes=0)
    store.put(make_memory(1))
    store.flush()
    for path in sorted(stores.folder.parent.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert store.get(key_of(1)) is None
    store.put(make_memory(2))
    store.flush()
    assert_same(store.get(key_of(2)), 2)
    assert not stores.problems


def test_an_entry_that_cannot_be_read_is_a_miss_and_told_once(stores: Stores) -> None:
    stores.fill(1, 2)
    for name in (1, 2):
        file = stores.file(name)
        file.unlink()
        file.mkdir()
    store = stores()
    assert store.get(key_of(1)) is None
    assert store.get(key_of(2)) is None
    assert len(stores.problems) == 1


def test_a_folder_that_may_not_be_looked_into_is_told_once(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.fill(1)
    store = stores()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        patch.setattr(Path, "read_bytes", refuse)
        assert store.locate(key_of(1)) is None
        assert store.get(key_of(1)) is None
        assert store.get(key_of(1)) is None
    (problem,) = stores.problems
    assert "make that folder yours" in problem


def test_everything_is_the_users_alone(stores: Stores) -> None:
    stores.fill(1)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (stores.folder, *stores.folder.rglob("*"))}
    modes[stores.folder.parent] = stat.S_IMODE(stores.folder.parent.stat().st_mode)
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_two_stores_on_one_folder_see_each_others_entries_and_survive_evictions(stores: Stores) -> None:
    first, second = (stores(max_ram_bytes=0, max_disk_bytes=4 * DISK_BYTES) for _ in range(2))
    first.put(make_memory(1))
    first.flush()
    assert_same(second.get(key_of(1)), 1)
    for name in range(2, 40):
        store = (first, second)[name % 2]
        store.put(make_memory(name))
        store.flush()
        assert_same(first.get(key_of(name)), name)
    assert len(stores.on_disk()) <= 4 + 1  # what one wrote is counted by the other at its next scan
    assert not stores.problems


def test_what_a_dead_process_left_is_removed_and_a_living_ones_is_not(stores: Stores) -> None:
    stores.fill(1)
    dead, living = (stores.file(1).with_name(f"{key_of(name)}.x.part") for name in (2, 3))
    for file, age_ns in ((dead, 10**13), (living, 0)):
        file.write_bytes(b"half")
        now = stores.clock() - age_ns
        os.utime(file, ns=(now, now))
    stores.fill(4)
    assert not dead.exists()
    assert living.exists()


def test_clear_forgets_ram_and_disk_but_no_other_model(stores: Stores) -> None:
    stores.fill(7, model_hash=OTHER_MODEL)
    store = stores()
    store.put(make_memory(1))
    store.flush()
    store.clear()
    assert store.get(key_of(1)) is None
    assert stores.on_disk() == {7}
    assert (store.stats.n_in_ram, store.stats.n_ram_bytes) == (0, 0)
    store.put(make_memory(1))
    store.flush()
    assert stores.on_disk() == {1, 7}


def test_everything_of_all_models_can_be_removed_under_a_living_store(stores: Stores) -> None:
    stores.fill(7, model_hash=OTHER_MODEL)
    store = stores(max_ram_bytes=0)
    store.put(make_memory(1))
    store.flush()
    assert entries_bytes(stores.folder) == 2 * DISK_BYTES
    assert remove_entries(stores.folder) == 2 * DISK_BYTES
    assert not stores.folder.exists()
    assert (entries_bytes(stores.folder), remove_entries(stores.folder)) == (0, 0)
    assert store.get(key_of(1)) is None
    store.put(make_memory(1))
    store.flush()
    assert_same(store.get(key_of(1)), 1)
    assert not stores.problems


def test_files_of_others_in_the_folder_are_never_removed(stores: Stores) -> None:
    stores.fill(1)
    note = stores.file(1).with_name("note.txt")
    note.write_text("not ours")
    stores.fill(2)
    stores(max_disk_bytes=1).clear()
    remove_entries(stores.folder)
    assert [path for path in stores.folder.rglob("*") if path.is_file()] == [note]


def test_a_closed_store_still_answers_and_writes_no_more(stores: Stores) -> None:
    store = stores()
    store.put(make_memory(1))
    store.close()
    store.put(make_memory(2))
    assert_same(store.get(key_of(1)), 1)
    assert_same(store.get(key_of(2)), 2)
    assert stores.on_disk() == {1}


def test_no_disk_budget_leaves_the_disk_alone(stores: Stores) -> None:
    store = stores(max_disk_bytes=0)
    store.put(make_memory(1))
    store.flush()
    store.clear()
    store.close()
    assert not stores.folder.exists()


def test_numbers_that_are_not_finite_stay_in_ram(stores: Stores) -> None:
    memory = make_memory(1)
    memory.keys_lhtd[0, 0, 0, 0] = np.nan
    store = stores()
    store.put(memory)
    store.flush()
    assert store.get(memory.key) is memory
    assert stores.on_disk() == set()
    assert not stores.problems


@pytest.mark.parametrize("key", ["", "../escape", "a/b", "a.b"])
def test_a_key_never_leads_out_of_the_folder(stores: Stores, key: str) -> None:
    with pytest.raises(ValueError, match="name of an entry"):
        stores().get(key)


def test_threads_that_get_and_put_at_once_never_see_anothers_memory(stores: Stores) -> None:
    store = stores(max_ram_bytes=5 * RAM_BYTES, max_disk_bytes=12 * DISK_BYTES)
    wrong: list[object] = []
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        start.wait()
        try:
            for name in np.random.default_rng(seed).integers(0, 20, 150):
                found = store.get(key_of(name))
                if found is None:
                    store.put(make_memory(int(name)))
                else:
                    assert_same(found, int(name))
                store.locate(key_of(name))
        except BaseException as error:  # noqa: BLE001 - a thread's failure is to fail the test
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.flush()
    stats = store.stats
    assert not wrong
    assert stats.n_ram_bytes <= 5 * RAM_BYTES
    assert stats.n_ram_hits + stats.n_disk_hits + stats.n_misses == 600
    assert stats.n_damaged == 0
    assert len(stores.on_disk()) <= 12
    assert not stores.problems


def test_the_writer_outlives_what_nobody_foresaw(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(str(args.exc_value)))
    store = stores()
    with monkeypatch.context() as broken:

        def fail(*_: object) -> bytes:
            raise RuntimeError("nobody foresaw this")

        broken.setattr("model.memory_store.encode_memory", fail)
        store.put(make_memory(1))
        store.flush()
    store.put(make_memory(2))
    store.flush()
    assert told == ["nobody foresaw this"]
    assert [store.locate(key_of(name)) for name in (1, 2)] == ["ram", "ram"]
    assert stores().locate(key_of(2)) == "disk"
