"""Buffers that were not saved, in retrieval."""

from dataclasses import replace

import pytest
from memory_catalogue import Clock, MemoryCatalogue, definition

from indexer.overlays import Overlays
from indexer.retrieve import retrieve
from indexer.types import RetrievalQuery

SAVED = definition("lib.py", "old_name", "def old_name(): ...")


@pytest.fixture
def catalogue():
    return MemoryCatalogue([SAVED, definition("app.py", "main")])


def named(source, *names):
    return [one.qualified_name for one in source.definitions_named(names)]


def test_what_a_buffer_defines_takes_the_place_of_what_its_file_did(catalogue):
    overlays = Overlays()
    overlays.put("lib.py", "def new_name():\n    return 1\n")
    source = overlays.over(catalogue, "app.py")
    assert named(source, "old_name", "new_name") == ["new_name"]
    assert source.definitions([SAVED.id]) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("lib.py", None),
        ("secret.env", "def new_name(): ..."),
        ("lib.py", "x" * 1_000_001),
    ],
)
def test_what_cannot_be_overlaid_is_as_it_was_saved(catalogue, path, text):
    overlays = Overlays()
    overlays.put(path, text)
    assert named(overlays.over(catalogue, "app.py"), "old_name", "new_name") == ["old_name"]


def test_the_edited_file_is_not_overlaid(catalogue):
    overlays = Overlays()
    overlays.put("lib.py", "def new_name(): ...")
    assert named(overlays.over(catalogue, "lib.py"), "old_name", "new_name") == ["old_name"]


def test_a_saved_file_is_given_back_and_a_forgotten_one_too(catalogue):
    clock = [0.0]
    overlays = Overlays(lambda: clock[0])
    overlays.put("lib.py", "def new_name(): ...")
    overlays.put("lib.py", None)
    assert named(overlays.over(catalogue, None), "old_name") == ["old_name"]
    overlays.put("lib.py", "def new_name(): ...")
    clock[0] = 3_600.0
    assert named(overlays.over(catalogue, None), "old_name") == ["old_name"]


def test_retrieval_finds_what_another_buffer_defines(catalogue):
    overlays = Overlays()
    overlays.put("lib.py", "def new_name(first, second):\n    return first + second\n")
    query = RetrievalQuery("app.py", "x = new_name(", "\n", 5, 1_000.0)
    result = retrieve(
        query, catalogue=catalogue, vectors=None, embedder=None, clock=Clock(), overlays=overlays
    )
    assert result.retrieved[0].definition.qualified_name == "new_name"


def test_further_down_what_lies_in_a_recent_file_comes_before_its_neighbour():
    rows = [definition(f"{name}.py", "convert", f"def convert(): return {name!r}") for name in "abcdef"]
    catalogue = MemoryCatalogue(rows)
    query = RetrievalQuery("app.py", "x = convert(", "\n", 6, 1_000.0)

    def paths(query):
        result = retrieve(query, catalogue=catalogue, vectors=None, embedder=None, clock=Clock())
        return [row.definition.path for row in result.retrieved]

    before = paths(query)
    after = paths(replace(query, recent_paths=(before[1], before[5])))
    assert after == [*before[:4], before[5], before[4]]


def test_a_file_that_is_not_saved_yet_is_found_and_can_be_imported(catalogue):
    overlays = Overlays()
    overlays.put("new.py", "def new_name(): ...")
    source = overlays.over(catalogue, "app.py")
    assert named(source, "new_name", "old_name") == ["old_name", "new_name"]
    assert set(source.files()) == {"lib.py", "app.py", "new.py"}
    query = RetrievalQuery("app.py", "from new import new_name\n\nnew_", "\n", 5, 1000.0)
    result = retrieve(
        query, catalogue=catalogue, vectors=None, embedder=None, clock=Clock(), overlays=overlays
    )
    assert [row.definition.path for row in result.retrieved][:1] == ["new.py"]


def test_the_files_are_arranged_once_for_the_same_new_ones(catalogue):
    overlays, files = Overlays(), catalogue.files()
    catalogue.files = lambda: files
    overlays.put("new.py", "def new_name(): ...")
    first = overlays.over(catalogue, "app.py").files()
    assert overlays.over(catalogue, "app.py").files() is first
    overlays.put("other.py", "x = 1")
    assert "other.py" in overlays.over(catalogue, "app.py").files()
    assert overlays.over(catalogue, "new.py").files() is not first
    overlays.put("other.py", None)
    overlays.put("new.py", None)
    assert overlays.over(catalogue, "app.py").files() is files
