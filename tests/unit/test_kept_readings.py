"""What is kept of unchanged lines gives what reading everything anew gives."""

from __future__ import annotations

import pytest

from indexer.buffer import import_statements
from indexer.infer import Inference
from indexer.resolve import Resolver
from indexer.symbols import BufferReader, read_surroundings
from indexer.types import Definition, Import, Span


@pytest.mark.parametrize(
    "keystrokes",
    [
        ["self.pool\n", "self.pool\n    ", "self.pool\n    = Pool()", "self.pool\n    = Pool()\nx"],
        ["self.pool\n", "self.pool\n : Pool = 3"],
        ["self.a = 1\nself.b", "self.a = 1\nself.b = 2", "self.a = 1\nself.bc = 2", "self.bc = 2"],
        ["total(a)", "total(a)\ntotal", "total(a)\ntotals", "totals"],
    ],
)
def test_a_buffer_reads_the_same_after_any_keystrokes(keystrokes: list[str]) -> None:
    reader = BufferReader()
    for prefix in keystrokes:
        for suffix in ("", "total\nother", "other"):
            assert read_surroundings(prefix, suffix, reader) == read_surroundings(prefix, suffix)


@pytest.mark.parametrize("line", ["    = Pool()", " : Pool = 3", "\tself.pool = 3"])
def test_what_is_set_may_be_set_on_the_line_below(line: str) -> None:
    assert read_surroundings(f"self.pool\n{line}", "").attributes == {("self", "pool")}


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("from a import (\n    b,\n    c", "from a import (\n    b,\n    c\n"),
        ("from a import (\n    b,\n)\nx = c", "from a import (\n    b,\n)"),
        ("x = 1\nimport a", "import a"),
        ("import a\nx", "import a"),
    ],
)
def test_a_statement_is_read_to_its_end_even_at_the_cursor(prefix: str, found: str) -> None:
    assert import_statements(prefix) == found


class TwoClasses:
    """A catalogue of two classes, each of which alone has its name."""

    def __init__(self) -> None:
        self.rows = [_class("Money"), _class("Invoice")]

    def count_named(self, names: set[str]) -> dict[str, int]:
        return {row.name: 1 for row in self.rows if row.name in names}

    def definitions_named(self, names: list[str]) -> list[Definition]:
        return [row for row in self.rows if row.name in names]

    def definitions_in(self, path: str) -> list[Definition]:
        return [row for row in self.rows if row.path == path]

    def imports_of(self, path: str) -> list[tuple[Import, tuple[str, ...]]]:
        return []


def _class(name: str) -> Definition:
    return Definition(
        id=name,
        path=f"{name}.py",
        language="python",
        kind="class",
        role="source",
        name=name,
        qualified_name=name,
        signature=f"class {name}",
        docstring="",
        span=Span(0, 1, 0, 1),
        text=f"class {name}: ...",
        content_hash=name,
    )


@pytest.mark.parametrize("n_lines", [1, 3, 27, 28, 29, 40])
def test_a_header_that_ends_on_a_changed_line_is_read_again(n_lines: int) -> None:
    begun = "def total(\n" + "    a,\n" * n_lines
    texts = [f"{begun}{end}" for end in ("", ") -> Mon", ") -> Money:\n    ", ") -> Invoice:\n    ")]
    source = TwoClasses()
    warm = Inference(Resolver(source, None, []), None)  # type: ignore[arg-type]
    seen = []
    for text in texts:
        fresh = Inference(Resolver(source, None, []), None)  # type: ignore[arg-type]
        for inference in (warm, fresh):
            inference.move_to(text, ())
        assert warm.classes_of(("total()",)) == fresh.classes_of(("total()",))
        seen.append([cls.name for cls in fresh.classes_of(("total()",))])
    assert seen == ([[], [], ["Money"], ["Invoice"]] if n_lines < 29 else [[]] * 4)
