"""Answers that are kept are those that the catalogue would give, until another connection writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import INVOICING, write_files

from indexer.build import build_index
from indexer.cached_reader import CachedReader
from indexer.catalogue import Catalogue


class Place:
    """A repository, its catalogue, and two readers of it: one that keeps answers and one that does not."""

    def __init__(self, folder: Path) -> None:
        self.root = write_files(folder / "repository", INVOICING)
        self.writer = Catalogue.open(folder / "catalogue.sqlite")
        self.plain = Catalogue.open(folder / "catalogue.sqlite", read_only=True)
        self.cached = CachedReader(self.plain)
        self.build()

    def build(self) -> None:
        build_index(
            self.root,
            catalogue=self.writer,
            open_vectors=lambda: "no vectors in this test",
            on_progress=lambda _: None,
            cancelled=lambda: False,
        )

    def close(self) -> None:
        self.writer.close()
        self.plain.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


def answers(reader: Catalogue | CachedReader) -> list[object]:
    names = ["total", "Invoice", "nothing", "total"]
    found = reader.definitions_in("shop.py")
    return [
        found,
        sorted(reader.definitions_named(names), key=lambda d: d.id),
        reader.definitions([found[0].id, "unknown"]),
        reader.definitions_in("gone.py"),
        reader.count_named(names),
        reader.count_users(names),
        reader.names_starting("t", 5),
        reader.imports_of("shop.py"),
        sorted(reader.files()),
        reader.content_hash("shop.py"),
        reader.importers_of("billing/invoice.py"),
        reader.references_in("shop.py"),
        reader.bm25(["invoice"], 3),
    ]


def test_the_first_answer_and_the_second_are_the_catalogues(place: Place) -> None:
    expected = answers(place.plain)
    place.cached.refresh()
    assert answers(place.cached) == expected
    assert answers(place.cached) == expected


def test_what_another_connection_writes_is_seen_at_the_next_question(place: Place) -> None:
    place.cached.refresh()
    before = answers(place.cached)
    write_files(place.root, {"shop.py": INVOICING["shop.py"] + "\n\ndef total(): ...\n"})
    place.build()
    assert answers(place.cached)[0] == before[0]
    place.cached.refresh()
    assert answers(place.cached) == answers(place.plain) != before


def test_what_was_asked_once_is_not_asked_of_the_catalogue_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.cached.refresh()
    kept = place.cached.definitions_in("shop.py"), place.cached.definitions_named(["total", "nothing"])
    monkeypatch.setattr(type(place.plain), "definitions_in", None)
    monkeypatch.setattr(type(place.plain), "definitions_named", None)
    place.cached.refresh()
    assert kept == (
        place.cached.definitions_in("shop.py"),
        place.cached.definitions_named(["nothing", "total"]),
    )


def test_an_answer_may_be_changed_by_whoever_got_it(place: Place) -> None:
    place.cached.refresh()
    place.cached.definitions_in("shop.py").clear()
    assert place.cached.definitions_in("shop.py")


def test_what_is_kept_is_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.cached_reader._MAX_KEPT", 50)
    for n in range(500):
        place.cached.refresh()
        place.cached.count_named([f"name_{n}"])
    assert len(place.cached._n_named) <= 51
