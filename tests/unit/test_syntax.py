"""One line or several, how a block begins, and whether an insertion parses."""

import pytest

from indexer.at_cursor import AtCursor
from indexer.syntax import block_opening, parses_as_well, wants_multi_line

LONG_DOCSTRING = '"""Module.\n\n' + "from here on prose about classes\n" * 400 + '"""\n\n'

MULTI = [
    ("python", "def f(x):\n    ", "\n\ndef g(): pass\n"),
    ("python", "def f(x):", "\n"),
    ("python", "def f(x):  # why", "\n"),
    ("python", "class A(B):\n    ", ""),
    ("python", "if a and \\\n   b:\n    ", "\n"),
    ("python", "for x in y:\n    # each\n    ", "\n"),
    ("python", 'def f(x):\n    """Return x."""\n    ', "\n"),
    ("python", "def f(\n    a,\n):\n    ", "\n"),
    ("python", "x = foo(\n\ndef f(x):\n    ", "\n"),
    ("python", "    try:\n        ", "\n    except ValueError:\n"),
    ("python", LONG_DOCSTRING + "def f():\n    ", "\n"),
    ("python", LONG_DOCSTRING * 8 + "def f():\n    ", "\n"),
    ("python", 'def f():\n    """Doc."""', "\n"),
    ("python", 'def f():\n    """Doc."""  ', "\n\ndef g(): pass\n"),
    ("python", 'class A:\n    def f(self):\n        """Doc.\n\n        More."""', "\n\n    x = 1\n"),
    ("python", "def f():\n    'Doc.'", ""),
    ("python", "def f():\n", "\n"),
    ("python", 'def f():\n    """Doc."""\n', "\n"),
    ("javascript", "function f(a) {\n  ", "\n}\n"),
    ("javascript", "function f(a) {", "}\n"),
    ("javascript", "foo(a, (b) => {", "})\n"),
    ("javascript", "if (a) {", "\n"),
    ("typescript", "class A implements B {\n  ", "\n}\n"),
    ("tsx", "export function A() {\n  ", "\n}\n"),
    ("go", "func f() {\n\t", "\n}\n"),
    ("rust", "impl<'a> A<'a> {\n    fn f(&self) {\n        ", "\n    }\n}\n"),
    ("java", "class A {\n    void f() {\n        ", "\n    }\n}\n"),
    ("c", "int main(void)\n{\n    ", "\n}\n"),
    ("cpp", "namespace a {\nclass B {\n", "\n};\n}\n"),
    ("csharp", "class A\n{\n    ", "\n}\n"),
    ("php", "function f($a) {\n    ", "\n}\n"),
    ("ruby", "def f(x)\n  ", "\nend\n"),
    ("ruby", "items.each do |x|", "\nend\n"),
    ("bash", "if true; then\n  ", "\nfi\n"),
    (None, "fun f() {\n    ", "\n}\n"),
]

SINGLE = [
    ("python", "def f(x):\n    ", "\n    return x\n"),
    ("python", "x = {'a':", "\n"),
    ("python", "x = a[1:", "\n"),
    ("python", "f = lambda x:", "\n"),
    ("python", "def f(x):\n    return ", "\n"),
    ("python", "def f(", "):\n    pass\n"),
    ("python", "x: int = 1\n", "\n"),
    ("python", "'''\ndef f():\n", "\n'''\n"),
    ("python", "", ""),
    ("python", 'def f():\n    """Doc."""', "\n    return 1\n"),
    ("python", 'def f():\n    """Do', "\n"),
    ("python", 'def f():\n    """Do', '"""\n'),
    ("python", 'def f():\n    """', "\n"),
    ("python", 'def f(): """Doc."""', "\n"),
    ("python", 'def f():\n    x = """Doc."""', "\n"),
    ("python", '"""Doc."""', "\n"),
    ("javascript", "import {", "} from 'a'\n"),
    ("javascript", "import { ", "\n"),
    ("javascript", "const s = `a ${", "}`\n"),
    ("javascript", "function f() {\n  ", "\n  return 1;\n}\n"),
    ("javascript", "foo(", ")\n"),
    ("go", "x := foo(", ")\n"),
    ("ruby", "x = 1\n", "\n"),
    ("bash", "echo ", "\n"),
    (None, "val x = ", "\n"),
    ("markdown", "some text\n", "\n"),
]


@pytest.mark.parametrize(("language", "prefix", "suffix"), MULTI)
def test_an_empty_block_wants_several_lines(language, prefix, suffix):
    assert wants_multi_line(AtCursor(language, prefix, suffix))


@pytest.mark.parametrize(("language", "prefix", "suffix"), SINGLE)
def test_elsewhere_one_line_is_wanted(language, prefix, suffix):
    assert not wants_multi_line(AtCursor(language, prefix, suffix))


@pytest.mark.parametrize(
    ("language", "prefix", "expected"),
    [
        ("python", "def f(x):", "\n    "),
        ("python", "class A:\n  x = 1\n  def f(self):", "\n    "),
        ("python", "def f(a,\n      b):", "\n    "),
        ("python", "class A:\n\tdef f(self):", "\n\t\t"),
        ("go", "type A struct {\n\tx int\n}\n\nfunc f() {", "\n\t"),
        ("javascript", "if (a) {\n  b();\n}\nfoo((x) => {", "\n  "),
        ("python", "def f(x):\n    ", ""),
        ("python", "x = 1", ""),
        ("python", 'def f():\n  """Doc."""', "\n  "),
        ("python", 'class A:\n\tdef f(self):\n\t\t"""Doc.\n\n\t\tMore.\n\t\t"""', "\n\t\t"),
        ("python", "def f():\n", "    "),
        ("python", "def f():\n  ", "  "),
        ("python", "def f():\n      ", ""),
        ("python", "def f():\n\t", ""),
        ("python", "def f():\n\n", ""),
        ("python", 'def f():\n  """Doc."""\n', "  "),
        ("python", 'def f():\n    """Doc."""\n    ', ""),
        ("python", 'def f():\n    """Doc."""\n\n', ""),
        ("python", "class A:\n    def f(\n        self,\n    ):\n    ", "    "),
        ("python", "x = 1\n", ""),
        ("python", "", ""),
        ("ruby", "class A\n  def f\n", "    "),
        ("javascript", "if (a) {\n", ""),
        ("go", "func f() {", "\n\t"),
        ("javascript", "foo((x) => {", "\n  "),
        ("ruby", "def f", ""),
        ("rust", "fn f() {", "\n    "),
    ],
)
def test_a_body_begins_in_the_files_own_style(language, prefix, expected):
    assert block_opening(AtCursor(language, prefix, "")) == expected


def test_a_body_is_indented_as_the_lines_below_it_are():
    cursor = AtCursor("javascript", "f((x) => {", "})\nif (a) {\n    b();\n}\n")
    assert block_opening(cursor) == "\n    "


FILLER = "def f(x):\n    return [x, (x)]\n\n\n" * 5000


@pytest.mark.parametrize(
    ("language", "before", "after", "expected"),
    [
        ("python", "x = \n", "x = 1\n", True),
        ("python", "x = 1\n", "x = 1)\n", False),
        ("python", "foo()\n", "foo(a, b)\n", True),
        ("python", "foo()\n", "foo((a)\n", False),
        ("python", "def f(:\n  x = \n", "def f(:\n  x = 1\n", True),
        ("javascript", "if (a) {\n}\n", "if (a) {\n  b();\n}\n", True),
        ("javascript", "if (a) {\n}\n", "if (a) {\n  b();\n}\n}\n", False),
        ("php", "function f() {\n}\n", "function f() {\n  return 1;\n}\n", True),
        ("php", "function f() {\n}\n", "function f() {\n  return 1; }\n}\n", False),
        ("go", "package a\n\nfunc f() {\n}\n", "package a\n\nfunc f() {\n\tx := 1\n}\n", True),
        (None, "(", "((", True),
        ("text", "(", "((", True),
        ("python", FILLER + "x = \n" + FILLER, FILLER + "x = 1\n" + FILLER, True),
        ("python", FILLER + "x = 1\n" + FILLER, FILLER + "x = 1)\n" + FILLER, False),
        ("python", "a" * 300_000, "a" * 300_000 + "b", True),
        ("python", "", "x", True),
        ("python", "aa", "aaa", True),
    ],
)
def test_an_insertion_parses_as_well(language, before, after, expected):
    assert parses_as_well(language, before, after) is expected


def test_lone_surrogates_are_survived():
    assert not wants_multi_line(AtCursor("python", "x = '\udc80'\n", "\udc80\n"))
    assert parses_as_well("python", "x = \n", "x = '\udc80'\n")
