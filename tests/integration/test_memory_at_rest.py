"""A memory from the disk does what the one that was encoded does: a real graph, a real folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tiny_decoder import FP32, load, load_golden

from model.memory import MemoryEncoder
from model.memory_store import MemoryStore
from model.session import DecoderSession
from model.state import DecodeState
from model.types import Memory

MODEL, OTHER_MODEL = "ab" * 32, "cd" * 32
SINK, OTHER_SINK = (3, 1, 4), (3, 1, 5)
DEFINITION, CHANGED_DEFINITION = (5, 9, 2, 6, 5, 3, 5, 8), (5, 9, 2, 6, 5, 3, 5, 7)
LIVE = (9, 7, 9, 3)
LIVE_POSITION = 20


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> DecoderSession:
    return load(load_golden(), FP32, tmp_path_factory.mktemp("fp32"))


@pytest.fixture
def encoder(session: DecoderSession) -> MemoryEncoder:
    return MemoryEncoder(session, MODEL, max_tokens=16)


def store_in(folder: Path, model_hash: str = MODEL) -> MemoryStore:
    def fail(problem: str) -> None:
        pytest.fail(problem)

    return MemoryStore(
        folder=folder,
        model_hash=model_hash,
        max_ram_bytes=1 << 20,
        max_disk_bytes=1 << 20,
        on_problem=fail,
    )


def through_disk(memory: Memory, folder: Path) -> Memory:
    writing = store_in(folder)
    writing.put(memory)
    writing.close()
    back = store_in(folder).get(memory.key)
    assert back is not None
    return back


def logits_with(session: DecoderSession, memories: Sequence[Memory]) -> npt.NDArray[np.float32]:
    state = DecodeState(session, 64)
    state.extend(SINK, logits="none")
    for memory in memories:
        state.attach(memory)
    return state.extend(LIVE, logits="all", positions=range(LIVE_POSITION, LIVE_POSITION + len(LIVE)))


def test_a_memory_from_the_disk_is_the_definition_encoded_alone_within_tolerance(
    session: DecoderSession, encoder: MemoryEncoder, tmp_path: Path
) -> None:
    alone = DecodeState(session, 64)
    alone.extend(SINK + DEFINITION, logits="none")
    keys, values = alone.detach(len(SINK))
    memory = encoder.encode(SINK, DEFINITION)
    back = through_disk(memory, tmp_path)
    assert (back.key, back.token_ids, back.first_position) == (memory.key, DEFINITION, len(SINK))
    for exact, found in ((keys, back.keys_lhtd), (values, back.values_lhtd)):
        assert found.dtype == exact.dtype
        assert np.abs(found - exact).max() < 0.01 * np.abs(exact).max()


def test_attending_to_a_memory_from_the_disk_changes_logits_by_little_of_what_the_memory_does(
    session: DecoderSession, encoder: MemoryEncoder, tmp_path: Path
) -> None:
    memory = encoder.encode(SINK, DEFINITION)
    exact = logits_with(session, [memory])
    effect = np.abs(exact - logits_with(session, [])).max()
    rounding = np.abs(exact - logits_with(session, [through_disk(memory, tmp_path)])).max()
    assert rounding < 0.05 * effect


@pytest.mark.parametrize(
    ("model_hash", "sink", "definition"),
    [
        (MODEL, SINK, CHANGED_DEFINITION),
        (MODEL, SINK, DEFINITION[:-1]),
        (MODEL, OTHER_SINK, DEFINITION),
        (MODEL, SINK[:-1], (SINK[-1], *DEFINITION)),
        (OTHER_MODEL, SINK, DEFINITION),
    ],
    ids=[
        "changed text",
        "shorter text",
        "another repository",
        "a sink's end is no beginning",
        "another model",
    ],
)
def test_what_is_not_the_same_text_in_the_same_repository_never_hits(
    session: DecoderSession,
    encoder: MemoryEncoder,
    tmp_path: Path,
    model_hash: str,
    sink: tuple[int, ...],
    definition: tuple[int, ...],
) -> None:
    through_disk(encoder.encode(SINK, DEFINITION), tmp_path)
    key = MemoryEncoder(session, model_hash, max_tokens=16).key(sink, definition)
    store = store_in(tmp_path, model_hash)
    assert store.locate(key) is None
    assert store.get(key) is None
    assert store.stats.n_damaged == 0
