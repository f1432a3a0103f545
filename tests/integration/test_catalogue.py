import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.catalogue import Catalogue, Changes, FileStamp
from indexer.errors import DamagedStoreError, DiskSpaceError, StoreError
from indexer.types import Definition, Import, ParsedFile, Reference, Span

STAMP = FileStamp("hash", 10, 1)


def definition(name: str, text: str = "", *, path: str = "a.py", at: int = 0) -> Definition:
    text = text or f"def {name}(): pass"
    return Definition(
        id=f"{path}#{name}",
        path=path,
        language="python",
        kind="function",
        role="source",
        name=name.rsplit(".", 1)[-1],
        qualified_name=name,
        signature=f"def {name}()",
        docstring="",
        span=Span(at, at + len(text), at, at + 1),
        text=text,
        content_hash=str(hash((name, text))),
    )


def parsed(
    *definitions: Definition,
    path: str = "a.py",
    references: tuple[Reference, ...] = (),
    imports: tuple[Import, ...] = (),
) -> ParsedFile:
    return ParsedFile(path, "python", "source", definitions, references, imports, 7, has_errors=False)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.open(tmp_path / "catalogue.sqlite") as catalogue:
        yield catalogue
        # FTS5 compares its own structures; with contentless tables that is all that it can.
        catalogue._connection.execute("INSERT INTO terms (terms) VALUES ('integrity-check')")


def names(catalogue: Catalogue, *terms: str) -> list[str]:
    return [id_ for id_, _ in catalogue.bm25(terms, 10)]


def test_what_is_stored_is_given_back_whole(catalogue: Catalogue) -> None:
    wanted = replace(definition("Invoice.total"), docstring="Söme — text\0", kind="method")
    catalogue.apply(parsed(wanted), STAMP)
    assert catalogue.definitions([wanted.id, "unknown"]) == [wanted]
    assert catalogue.definitions_named(["total"]) == [wanted]
    assert catalogue.definitions_named(["Total"]) == []
    assert catalogue.definitions_in("a.py") == [wanted]
    assert catalogue.files() == {"a.py": STAMP}


def test_definitions_come_in_the_order_asked_for(catalogue: Catalogue) -> None:
    many = [definition(f"name{n}") for n in range(1200)]
    catalogue.apply(parsed(*many), STAMP)
    ids = [d.id for d in reversed(many)]
    assert [d.id for d in catalogue.definitions(ids)] == ids


def test_only_what_differs_is_touched(catalogue: Catalogue) -> None:
    same, moved, changed, gone = (definition(name) for name in ("same", "moved", "changed", "gone"))
    first = catalogue.apply(parsed(same, moved, changed, gone), STAMP)
    assert first == Changes(added=(same.id, moved.id, changed.id, gone.id))
    catalogue.mark_embedded([same, moved, changed, gone])

    moved = replace(moved, span=Span(50, 60, 5, 6))
    changed = definition("changed", "def changed(): return zebra")
    added = definition("added")
    writes_before = catalogue._connection.total_changes
    assert catalogue.apply(parsed(same, moved, changed, added), STAMP) == Changes(
        added=(added.id,), changed=(changed.id,), moved=(moved.id,), removed=(gone.id,)
    )
    assert catalogue._connection.total_changes > writes_before
    assert catalogue.definitions([moved.id]) == [moved]
    assert names(catalogue, "zebra") == [changed.id]
    assert catalogue.unembedded_ids() == [changed.id, added.id]
    assert catalogue.stale_vectors(10) == [gone.id]


def test_applying_the_same_again_changes_nothing(catalogue: Catalogue) -> None:
    same = parsed(definition("f"), references=(Reference("g", 1),), imports=(Import("os", "os", None, 0),))
    catalogue.apply(same, STAMP)
    catalogue.link_imports(lambda *_: ())
    before = catalogue._connection.total_changes
    assert catalogue.apply(same, STAMP) == Changes()
    assert catalogue._connection.total_changes - before == 1  # the file's own row
    assert catalogue.link_imports(lambda *_: ()) == 0


def test_a_definition_that_comes_back_is_not_stale(catalogue: Catalogue) -> None:
    catalogue.apply(parsed(definition("f")), STAMP)
    catalogue.apply(parsed(), STAMP)
    catalogue.apply(parsed(definition("f")), STAMP)
    assert catalogue.stale_vectors(10) == []


def test_a_definition_that_changes_while_it_is_embedded_stays_without(catalogue: Catalogue) -> None:
    old = definition("f", "def f(): 1")
    catalogue.apply(parsed(old), STAMP)
    catalogue.apply(parsed(definition("f", "def f(): 2")), STAMP)
    catalogue.mark_embedded([old])
    assert catalogue.unembedded_ids() == [old.id]


def test_removing_a_file_removes_all_that_came_from_it(catalogue: Catalogue) -> None:
    catalogue.apply(
        parsed(definition("f"), references=(Reference("g", 1),), imports=(Import("b", "b", None, 0),)), STAMP
    )
    catalogue.link_imports(lambda *_: ("b.py",))
    assert catalogue.remove(["a.py", "unknown.py"]) == Changes(removed=("a.py#f",))
    assert catalogue.files() == {}
    assert names(catalogue, "f", "def") == []
    assert catalogue.importers_of("b.py") == []
    assert catalogue.references_in("a.py") == []
    for table in ("definitions", "uses", "imports", "import_targets"):
        assert catalogue._connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_references_and_their_files(catalogue: Catalogue) -> None:
    uses = (Reference("g", 4), Reference("g", 1), Reference("h", 1))
    catalogue.apply(parsed(references=uses), STAMP)
    catalogue.apply(parsed(path="b.py", references=(Reference("g", 9),)), STAMP)
    assert catalogue.references_in("a.py") == [Reference("g", 1), Reference("h", 1), Reference("g", 4)]
    assert catalogue.count_users(["g", "h", "nothing"]) == {"g": 2, "h": 1}


def test_imports_are_resolved_anew_when_a_file_appears(catalogue: Catalogue) -> None:
    imported = Import("Invoice", "billing", "Invoice", 0)

    def resolve(imported: Import, path: str, language: str) -> tuple[str, ...]:
        return tuple(file for file in ("billing.py", "old.py") if file in catalogue.files())

    catalogue.apply(parsed(imports=(imported,)), STAMP)
    catalogue.link_imports(resolve)
    assert catalogue.imports_of("a.py") == [(imported, ())]
    catalogue.apply(parsed(path="billing.py"), STAMP)
    catalogue.apply(parsed(path="old.py"), STAMP)
    assert catalogue.link_imports(resolve) == 3
    assert catalogue.imports_of("a.py") == [(imported, ("billing.py", "old.py"))]
    assert catalogue.importers_of("billing.py") == ["a.py"]
    assert catalogue.importers_of("old.py") == []  # only the best candidate counts


@pytest.mark.parametrize(
    "term",
    [
        '"',
        "a OR b",
        "NEAR(",
        "*",
        "name:total",
        "-total",
        "^",
        "(",
        ")",
        "'",
        "\0",
        "ü",
        "",
        " ",
        "AND",
        "数据",
    ],
)
def test_a_query_of_any_text_is_safe(catalogue: Catalogue, term: str) -> None:
    catalogue.apply(parsed(definition("total")), STAMP)
    assert names(catalogue, term) == []
    assert names(catalogue, term, "total") == ["a.py#total"]


def test_operators_are_terms_like_others(catalogue: Catalogue) -> None:
    catalogue.apply(parsed(definition("near_or_far")), STAMP)
    assert names(catalogue, "near") == ["a.py#near_or_far"]


def test_a_name_counts_more_than_a_mention(catalogue: Catalogue) -> None:
    mention = definition("other", "def other(): total total")
    catalogue.apply(parsed(mention, definition("total", "def total(): pass")), STAMP)
    found = catalogue.bm25(["total"], 10)
    assert [id_ for id_, _ in found] == ["a.py#total", "a.py#other"]
    assert found[0][1] > found[1][1]


def test_a_file_can_be_left_out_of_a_query(catalogue: Catalogue) -> None:
    catalogue.apply(parsed(*(definition(f"total_{n}") for n in range(20))), STAMP)
    catalogue.apply(parsed(definition("total", path="b.py"), path="b.py"), STAMP)
    assert [id_ for id_, _ in catalogue.bm25(["total"], 3, exclude_path="a.py")] == ["b.py#total"]


def test_common_terms_give_way_to_rare_ones(catalogue: Catalogue) -> None:
    many = [definition(f"f{n}", f"def f{n}(): common {'rare' if n == 7 else ''}") for n in range(9000)]
    catalogue.apply(parsed(*many), STAMP)
    assert names(catalogue, "common", "rare") == ["a.py#f7"]
    assert len(names(catalogue, "common")) == 10  # alone, even a common one is asked for


def test_a_transaction_that_fails_leaves_nothing(catalogue: Catalogue) -> None:
    def fail() -> None:
        with catalogue.transaction():
            catalogue.apply(parsed(definition("f"), references=(Reference("g", 1),)), STAMP)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert catalogue.files() == {}
    catalogue.apply(parsed(definition("f"), references=(Reference("g", 1),)), STAMP)
    assert catalogue.count_users(["g"]) == {"g": 1}


def test_a_reader_answers_while_a_writer_is_in_a_transaction(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    with Catalogue.open(path) as writer, Catalogue.open(path, read_only=True) as reader:
        writer.apply(parsed(definition("f")), STAMP)
        with writer.transaction():
            writer.apply(parsed(definition("f"), definition("g")), STAMP)
            found: list[list[str]] = []
            thread = threading.Thread(
                target=lambda: found.append([d.name for d in reader.definitions_in("a.py")])
            )
            thread.start()
            thread.join()
            assert found == [["f"]]
        assert len(reader.definitions_in("a.py")) == 2


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    with Catalogue.open(path) as writer, Catalogue.open(path, read_only=True) as reader:
        writer.apply(parsed(definition("f")), STAMP)
        with pytest.raises(StoreError, match="cannot write"):
            reader.remove(["a.py"])


def test_a_file_that_is_no_database_is_moved_aside_and_said_once(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with Catalogue.open(path) as catalogue:
        assert catalogue.rebuilt_because
        assert "damaged" in catalogue.rebuilt_because
        catalogue.apply(parsed(definition("f")), STAMP)
    assert (tmp_path / "catalogue.sqlite.aside").exists()
    with Catalogue.open(path) as catalogue:
        assert catalogue.rebuilt_because is None
        assert len(catalogue.definitions_in("a.py")) == 1


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 999", "PRAGMA application_id = 1"])
def test_another_format_is_moved_aside(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "catalogue.sqlite"
    with Catalogue.open(path) as catalogue:
        catalogue.apply(parsed(definition("f")), STAMP)
        catalogue._connection.execute(statement)
    with Catalogue.open(path) as catalogue:
        assert catalogue.rebuilt_because
        assert catalogue.files() == {}


def test_damage_that_is_met_later_is_its_own_error(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    with Catalogue.open(path) as catalogue:
        catalogue.apply(parsed(*(definition(f"f{n}", "word " * 300) for n in range(300))), STAMP)
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.seek(4096 * 3)
        stream.write(b"\xff" * (size - 4096 * 4))
    with Catalogue.open(path) as catalogue, pytest.raises(DamagedStoreError) as caught:
        catalogue.definitions_in("a.py")
    assert caught.value.path == path


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Catalogue.open(tmp_path / "file" / "catalogue.sqlite")


def test_the_catalogue_is_the_users_alone(catalogue: Catalogue) -> None:
    catalogue.apply(parsed(definition("f")), STAMP)
    for file in catalogue.path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_another_embedder_leaves_every_definition_without_a_vector(catalogue: Catalogue) -> None:
    catalogue.apply(parsed(definition("f")), STAMP)
    assert catalogue.set_embedder("one")
    catalogue.mark_embedded([definition("f")])
    assert not catalogue.set_embedder("one")
    assert catalogue.unembedded_ids() == []
    assert catalogue.set_embedder("two")
    assert catalogue.unembedded_ids() == ["a.py#f"]
    assert catalogue.statistics().embedder == "two"


def test_compacting_changes_no_answer(catalogue: Catalogue) -> None:
    catalogue.apply(parsed(*(definition(f"total_{n}") for n in range(50))), STAMP)
    before = catalogue.bm25(["total", "17"], 10)
    catalogue.compact()
    assert catalogue.bm25(["total", "17"], 10) == before


def test_a_mistake_of_ours_is_not_taken_for_damage(catalogue: Catalogue) -> None:
    catalogue.apply(parsed(definition("f")), STAMP)
    twin = replace(definition("f"), path="b.py")
    with pytest.raises(sqlite3.IntegrityError):
        catalogue.apply(parsed(twin, path="b.py"), STAMP)


def test_a_full_disk_is_said_and_leaves_what_was_written(catalogue: Catalogue) -> None:
    catalogue.apply(parsed(definition("f")), STAMP)
    (n_pages,) = catalogue._connection.execute("PRAGMA page_count").fetchone()
    catalogue._connection.execute(f"PRAGMA max_page_count = {n_pages + 2}")
    many = parsed(*(definition(f"f{n}", "word " * 500) for n in range(100)), path="b.py")
    with pytest.raises(DiskSpaceError, match=r"is full; free some room"):
        catalogue.apply(many, STAMP)
    assert list(catalogue.files()) == ["a.py"]
    catalogue._connection.execute("PRAGMA max_page_count = 100000")
    catalogue.apply(many, STAMP)
    assert len(catalogue.files()) == 2


def test_a_catalogue_is_linked_until_an_import_or_a_path_changes(catalogue: Catalogue) -> None:
    assert catalogue.is_linked()
    catalogue.apply(parsed(definition("f")), STAMP)
    assert not catalogue.is_linked()
    catalogue.link_imports(lambda *_: ())
    assert catalogue.is_linked()
    catalogue.remove(["a.py"])
    assert not catalogue.is_linked()
