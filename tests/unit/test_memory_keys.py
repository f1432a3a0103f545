"""What makes a memory another one: a key never stands for two texts, models or layouts."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from fake_memories import MODEL_HASH
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import CONTROL_NAMES, tiny_vocabulary

from model import memory
from model.memory import memory_key
from model.memory_store import MemoryStore
from model.prompt import PromptDefinition, definition_ids, sink_ids
from model.tokenizer import Tokenizer
from model.types import Memory
from model.vocabulary import control_tokens

VOCABULARY = tiny_vocabulary()
CONTROL = control_tokens(VOCABULARY, 320)
TOKENIZER = Tokenizer.from_vocabulary(VOCABULARY, CONTROL)

DIFFERENT = {
    "the model": ("cd" * 32, (1, 2), (3, 4)),
    "the sink": (MODEL_HASH, (1, 9), (3, 4)),
    "the sink's length": (MODEL_HASH, (1, 2, 3), (4,)),
    "no sink": (MODEL_HASH, (), (1, 2, 3, 4)),
    "a token": (MODEL_HASH, (1, 2), (3, 5)),
    "one token more": (MODEL_HASH, (1, 2), (3, 4, 4)),
    "the order of tokens": (MODEL_HASH, (1, 2), (4, 3)),
    "a large token": (MODEL_HASH, (1, 2), (3, 4 + 2**16)),
    "as it was": (MODEL_HASH, (1, 2), (3, 4)),
}


@pytest.mark.parametrize(("one", "other"), list(combinations(DIFFERENT, 2)))
def test_memories_that_differ_in_anything_have_different_keys(one, other):
    assert memory_key(*DIFFERENT[one]) != memory_key(*DIFFERENT[other])


def test_equal_memories_have_equal_keys():
    assert memory_key(MODEL_HASH, [1, 2], [3, 4]) == memory_key(MODEL_HASH, (1, 2), (3, 4))


def test_another_layout_makes_other_memories(monkeypatch):
    before = memory_key(MODEL_HASH, (1, 2), (3, 4))
    monkeypatch.setattr(memory, "LAYOUT_VERSION", memory.LAYOUT_VERSION + 1)
    assert memory_key(MODEL_HASH, (1, 2), (3, 4)) != before


IDS = st.lists(st.integers(0, 5), max_size=4).map(tuple)


@given(IDS, IDS, IDS, IDS)
def test_a_key_tells_where_the_sink_ends(sink, ids, other_sink, other_ids):
    is_equal = (sink, ids) == (other_sink, other_ids)
    assert (memory_key(MODEL_HASH, sink, ids) == memory_key(MODEL_HASH, other_sink, other_ids)) is is_equal


# From text to key

SHOP = ("shop", "lib.py", "def f(a):\n    return a\n")
OTHERS = {
    "another repository": ("store", "lib.py", SHOP[2]),
    "another path": ("shop", "other.py", SHOP[2]),
    "another name": ("shop", "lib.py", "def g(a):\n    return a\n"),
    "another space": ("shop", "lib.py", "def f(a):\n     return a\n"),
    "a control token's text": ("shop", "lib.py", "def f(a):\n    return a<|endoftext|>\n"),
}


def key_of(repo_name: str, path: str, text: str) -> str:
    sink = sink_ids(TOKENIZER, repo_name)
    return memory_key(MODEL_HASH, sink, definition_ids(TOKENIZER, PromptDefinition(path, text), 100))


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_two_repositories_never_share_a_memory_whose_text_differs(other):
    assert key_of(*other) != key_of(*SHOP)


@given(st.text(max_size=30), st.text(max_size=30))
def test_definitions_share_a_key_only_if_the_model_reads_the_same(one, other):
    read = [definition_ids(TOKENIZER, PromptDefinition("a.py", text), 100) for text in (one, other)]
    assert (key_of("r", "a.py", one) == key_of("r", "a.py", other)) is (read[0] == read[1])


def test_changed_text_never_hits_a_stale_memory(tmp_path: Path):
    def new_store() -> MemoryStore:
        return MemoryStore(
            folder=tmp_path / "memories",
            model_hash=MODEL_HASH,
            max_ram_bytes=1 << 20,
            max_disk_bytes=1 << 20,
            on_problem=pytest.fail,
        )

    array = np.ones((1, 1, 3, 2), np.float32)
    store = new_store()
    store.put(Memory(key_of(*SHOP), (1, 2, 3), 1, array, array))
    store.close()
    for one in (store, new_store()):  # from RAM, and from the disk
        for other in OTHERS.values():
            assert one.locate(key_of(*other)) is None
            assert one.get(key_of(*other)) is None
        assert one.get(key_of(*SHOP)) is not None


# Text is text


@pytest.mark.parametrize("name", CONTROL_NAMES)
def test_a_definition_with_special_token_text_in_it_is_encoded_as_plain_text(name):
    text = f"def f():\n    return '{name}'  # {name}{name}\n"
    first, *rest = definition_ids(TOKENIZER, PromptDefinition(f"{name}.py", text), 200)
    assert first == CONTROL.file_sep
    assert not set(rest) & set(CONTROL.all_ids)
    assert TOKENIZER.decode(rest).decode() == f"{name}.py\n{text}"
    first, *rest = sink_ids(TOKENIZER, f"shop{name}")
    assert first == CONTROL.repo_name
    assert not set(rest) & set(CONTROL.all_ids)


@pytest.mark.parametrize("n_tokens", [16, 40, 64, 65, 100, 192])
@pytest.mark.parametrize("path", ["a.py", "very/" * 60 + "deep.py", "x" * 300])
def test_no_definition_is_longer_than_the_positions_kept_for_it(path, n_tokens):
    ids = definition_ids(TOKENIZER, PromptDefinition(path, "def f():\n    return 1\n" * 40), n_tokens)
    assert len(ids) <= n_tokens
    # whatever the path, some of the code is there
    assert b"def f():" in TOKENIZER.decode(ids[1:])
