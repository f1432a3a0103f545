"""The edited file's own definitions: current, placed as in the buffer, only those that are out of sight."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from memory_catalogue import Clock, MemoryCatalogue, definition

from indexer.own_file import OwnFiles, WithBuffer, header_line, visible_lines
from indexer.parse import parse_definitions, parse_file
from indexer.retrieve import retrieve
from indexer.types import Definition, RetrievalQuery

PATH = "app/main.py"
STALE = definition(PATH, "helper", "def helper():\n    return 'as on the disk'")


@dataclass
class Indexed(MemoryCatalogue):
    """A catalogue that holds one file as it was saved."""

    hash: str = ""

    def content_hash(self, path: str) -> str | None:
        return self.hash


def query(before: str, after: str = "", **changes: object) -> RetrievalQuery:
    of_buffer = RetrievalQuery(PATH, before, after, n=20, deadline_ms=1e9, retrievers=("symbol",))
    return replace(of_buffer, **changes)  # type: ignore[arg-type]


def retrieved(of_buffer: RetrievalQuery, own_files: OwnFiles | None = None) -> dict[str, Definition]:
    result = retrieve(
        of_buffer,
        catalogue=MemoryCatalogue([STALE]),
        vectors=None,
        embedder=None,
        clock=Clock(),
        own_files=own_files,
    )
    return {row.definition.qualified_name: row.definition for row in result.retrieved}


def lines(n: int) -> str:
    return "".join(f"x{i} = {i}\n" for i in range(n))


@pytest.mark.parametrize(
    ("before", "after", "n_before", "n_after", "expected"),
    [
        ("a\nb\nc\nd", "\ne\nf", 2, 0, range(2, 4)),
        ("a\nb\nc\nd", "\ne\nf", 2, 2, range(2, 5)),
        ("a\nb\nc\nd", "\ne\nf", 9, 1, range(4)),
        ("a\nb\nc\nd", "\ne\nf", 1, 0, range(3, 4)),
        ("a\nb\nc\nd", "\ne\nf", 0, 0, range(3, 3)),
    ],
)
def test_visible_lines_are_counted_from_the_cursors_own(
    before: str, after: str, n_before: int, n_after: int, expected: range
) -> None:
    counted = query(before, after, visible_lines_before=n_before, visible_lines_after=n_after)
    assert visible_lines(counted) == expected


@pytest.mark.parametrize("n_visible", [3, 4, 5, 6])
def test_a_definition_is_left_out_exactly_when_its_header_is_in_sight(n_visible: int) -> None:
    before = "@decorated\ndef helper():\n    return 1\n\nx = helper("  # its header stands 3 lines above
    found = retrieved(query(before, visible_lines_before=n_visible))
    assert ("helper" in found) == (n_visible < 4)


@pytest.mark.parametrize("n_visible", [2, 3, 4])
def test_a_definition_below_is_left_out_exactly_when_its_header_is_in_sight(n_visible: int) -> None:
    after = ")\n\ndef helper():\n    return 1\n"
    found = retrieved(query("x = helper(", after, visible_lines_after=n_visible))
    assert ("helper" in found) == (n_visible < 3)


def test_what_is_retrieved_of_the_file_is_the_buffers_and_not_the_disks() -> None:
    before = "def helper(n):\n    return n + 1\n\n" + lines(200) + "y = helper("
    assert retrieved(query(before))["helper"].text == "def helper(n):\n    return n + 1"


def test_what_the_index_has_not_seen_yet_is_retrieved() -> None:
    before = "class Ledger:\n    def post(self): ...\n\nLIMIT = 3\n" + lines(200) + "LIMIT, Ledger."
    assert {"LIMIT", "Ledger", "Ledger.post"} <= set(retrieved(query(before)))


def test_a_member_of_the_class_around_the_cursor_is_retrieved_when_it_is_out_of_sight() -> None:
    before = "class Ledger:\n    def post(self, amount): ...\n\n    def close(self):\n"
    before += "".join(f"        x{i} = {i}\n" for i in range(200)) + "        self.po"
    assert next(iter(retrieved(query(before)))) == "Ledger.post"


def test_a_name_that_this_file_defines_means_that_and_not_a_namesake() -> None:
    before = "def audit(n):\n    return n\n\n" + lines(200) + "y = audit("
    namesake = definition("b.py", "audit")
    of_buffer = query(before)
    result = retrieve(
        of_buffer, catalogue=MemoryCatalogue([namesake]), vectors=None, embedder=None, clock=Clock()
    )
    assert [row.definition.path for row in result.retrieved] == [PATH]


def test_what_the_buffer_no_longer_has_is_not_retrieved() -> None:
    assert retrieved(query(lines(200) + "y = helper(")) == {}


def test_a_line_that_does_not_parse_hides_nothing() -> None:
    after = "\n" + lines(200) + "def helper(n):\n    return n + 1\n"
    assert "helper" in retrieved(query('y = f"{helper(', after))


def test_the_header_is_found_below_decorators_and_comments() -> None:
    source = "# helper of all\n@cached(helper=1)\ndef helper(n):\n    return n\n"
    (found,) = parse_file(PATH, source.encode()).definitions
    assert header_line(found) == 2


def far_file() -> tuple[str, tuple[Definition, ...]]:
    """Return a file of more than 5,000 lines that somebody wrote, and what it defines."""
    text = (Path(sysconfig.get_paths()["stdlib"]) / "_pydecimal.py").read_text("utf-8")
    assert text.count("\n") > 5_000
    return text, parse_file("_pydecimal.py", text.encode()).definitions


FAR_TEXT, FAR_DEFINITIONS = far_file()


@pytest.mark.parametrize("name", ["Decimal.quantize", "Context.create_decimal", "_dec_from_triple"])
def test_a_use_at_one_end_of_a_long_file_finds_the_definition_at_the_other(name: str) -> None:
    wanted = next(d for d in FAR_DEFINITIONS if d.qualified_name == name)
    renamed = f"{wanted.name}_renamed"
    text = FAR_TEXT.replace(f"def {wanted.name}(", f"def {renamed}(")
    cut = 0 if wanted.span.start_line > 2_500 else len(text)
    before, after = text[:cut] + f"\n\n{renamed}(", "\n" + text[cut:]
    found = retrieved(query(before, after, path="_pydecimal.py"))
    qualified = next(iter(q for q in found if q.endswith(renamed)), None)
    assert qualified is not None
    assert f"def {renamed}(" in found[qualified].text


def test_definitions_of_a_long_file_are_all_in_sight_or_all_retrievable() -> None:
    n_line = 3_000
    before = "".join(FAR_TEXT.splitlines(keepends=True)[:n_line])
    asked = query(before, FAR_TEXT[len(before) :], path="_pydecimal.py", visible_lines_before=70)
    own = OwnFiles().definitions(asked, MemoryCatalogue([]))
    in_sight = {d.id for d in own if header_line(d) in visible_lines(asked)}
    assert {d.id for d in FAR_DEFINITIONS} <= {d.id for d in own}
    assert 0 < len(in_sight) < 20
    for found in own:
        line = (before + asked.suffix).split("\n")[header_line(found)]
        assert found.name in line


def test_typing_within_sight_moves_definitions_as_parsing_again_would() -> None:
    """Against a fresh parse, for places and texts of all definitions that are out of sight."""
    text, own_files = FAR_TEXT, OwnFiles()
    method = next(d for d in FAR_DEFINITIONS if d.kind == "method" and d.span.start_line > 2_000)
    at = len(text.encode()[: method.span.end_byte].decode()) + 1
    for piece in ("\n", "    def added(self):\n        pass\n", "    # \u00e9\n", "\n", "    x = (1, "):
        text, at = text[:at] + piece + text[at:], at + len(piece)
        asked = query(text[:at], text[at:], path="_pydecimal.py")
        sight = visible_lines(asked)
        kept = own_files.definitions(asked, MemoryCatalogue([]))
        fresh = OwnFiles().definitions(asked, MemoryCatalogue([]))
        for one, other in zip(*(out_of_sight(found, sight) for found in (kept, fresh)), strict=True):
            assert (one.qualified_name, one.text, one.span) == (other.qualified_name, other.text, other.span)


def out_of_sight(definitions: tuple[Definition, ...], sight: range) -> list[Definition]:
    return [d for d in definitions if d.span.end_line <= sight.start or d.span.start_line >= sight.stop]


def test_typing_within_sight_reads_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    own_files = OwnFiles()
    before, after = "def helper(n):\n    return n\n\n" + lines(200), "\n" + lines(200)
    first = own_files.definitions(query(before + "y", after), MemoryCatalogue([]))
    monkeypatch.setattr("indexer.own_file.parse_definitions", None)
    again = own_files.definitions(query(before + "\n\nz = y(", ")" + after), MemoryCatalogue([]))
    assert [d.text for d in again] == [d.text for d in first]


def test_a_change_out_of_sight_is_read() -> None:
    own_files = OwnFiles()
    before = "def helper(n):\n    return n\n\n" + lines(200) + "helper("
    assert retrieved(query(before), own_files)["helper"].text.endswith("return n")
    changed = before.replace("return n", "return n + 1")
    assert retrieved(query(changed), own_files)["helper"].text.endswith("return n + 1")


def test_of_a_long_function_around_the_cursor_the_beginning_is_retrieved() -> None:
    own_files = OwnFiles()
    before = "def helper(n):\n" + "".join(f"    x{i} = {i}\n" for i in range(200)) + "    return helper("
    after = ")\n    more = 1\n"
    for typed in ("", "x1", "x1, x2"):
        found = retrieved(query(before + typed, after), own_files)["helper"]
        assert found.text.startswith("def helper(n):\n    x0 = 0\n")
        assert "x1," not in found.text


def test_a_file_as_it_was_indexed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.own_file.parse_definitions", None)
    text = "def helper():\n    return 1\n"
    indexed = Indexed([STALE], hash="6b86")
    monkeypatch.setattr("indexer.own_file.hash_of", lambda source: "6b86")
    assert OwnFiles().definitions(query(text), indexed) == (STALE,)


def test_only_the_last_buffers_are_kept() -> None:
    own_files = OwnFiles()
    for n in range(50):
        own_files.definitions(query("x = 1\n", path=f"m{n}.py"), MemoryCatalogue([]))
    assert len(own_files._buffers) <= 8


@pytest.mark.parametrize("path", [None, "app/unknown.bin"])
def test_a_file_without_a_language_defines_nothing(path: str | None) -> None:
    assert OwnFiles().definitions(query("def helper(): ...\n", path=path), MemoryCatalogue([])) == ()


def test_a_catalogue_with_a_buffer_says_the_same_of_it_everywhere() -> None:
    other = definition("b.py", "helper")
    fresh = replace(STALE, text="def helper(n): ...")
    new = definition(PATH, "brand_new")
    source = WithBuffer(MemoryCatalogue([STALE, other]), PATH, [fresh, new])
    assert source.definitions([STALE.id, other.id]) == [fresh, other]
    assert source.definitions_named({"helper"}) == [other, fresh]
    assert source.definitions_in(PATH) == [fresh, new]
    assert source.names_starting("bra", 5) == ["brand_new"]
    assert source.count_named(["brand_new"]) == {"brand_new": 1}
    assert WithBuffer(MemoryCatalogue([STALE]), PATH, []).definitions([STALE.id]) == []


def test_definitions_alone_are_those_of_the_whole_parse() -> None:
    assert parse_definitions("_pydecimal.py", FAR_TEXT.encode(), max_parse_s=60.0) == FAR_DEFINITIONS
    notes = b"# One\n\ntext\n\n## Two\n\nmore\n"
    assert parse_definitions("a.md", notes, max_parse_s=60.0) == parse_file("a.md", notes).definitions
