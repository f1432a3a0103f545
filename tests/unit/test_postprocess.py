"""Generated text fitted between prefix and suffix: (language, prefix, suffix, generated, what the file then reads)."""

# ruff: noqa: E501 - a row of a table is one line

import pytest

from model import postprocess
from model.brackets import scan
from model.postprocess import finish, split_closers, stands_before_text

FITTED = [
    # Closers that the editor inserted: kept once, whoever wrote them.
    ("python", "foo(", ")\n", "x", "foo(x)\n"),
    ("python", "foo(", ")\n", "x)", "foo(x)\n"),
    ("python", "foo(", ")\n", "x).bar", "foo(x).bar\n"),
    ("python", "foo(", ")\n", "x).bar()", "foo(x).bar()\n"),
    ("python", "def f(", "):\n", "self, x):", "def f(self, x):\n"),
    ("python", "def f(", "):\n", "self, x)", "def f(self, x):\n"),
    ("python", "def f(", "):\n", "self, x) -> int:", "def f(self, x) -> int:\n"),
    ("python", "x = d['", "']\n", "key']", "x = d['key']\n"),
    ("python", "x = d['", "']\n", "key'].y", "x = d['key'].y\n"),
    ("python", 'print("', '")\n', "hello", 'print("hello")\n'),
    ("python", 'print("', '")\n', 'hello", x)', 'print("hello", x)\n'),
    ("python", "foo(bar(", "))\n", "x)", "foo(bar(x))\n"),
    ("python", "foo(bar(", "))\n", "x), y)", "foo(bar(x), y)\n"),
    ("python", "foo(\n    bar(", "))\n", "x", "foo(\n    bar(x))\n"),
    ("python", "x = [", "]\n", "1, 2]", "x = [1, 2]\n"),
    ("python", "foo(')', ", ")\n", "x)", "foo(')', x)\n"),
    ("javascript", "foo(", ");\n", "x);", "foo(x);\n"),
    ("javascript", "foo(", ");\n", "x)", "foo(x);\n"),
    ("javascript", "a.map((x) => {", "})\n", "\n  return x;\n})", "a.map((x) => {\n  return x;\n})\n"),
    ("javascript", "const s = `a${", "}`\n", "b}`", "const s = `a${b}`\n"),
    ("go", "fmt.Println(", ")\n", '"a", b)', 'fmt.Println("a", b)\n'),
    ("c", "if (x", ")\n", " > 0) {", "if (x > 0) {\n"),
    ("c", 'printf("', '");\n', '%d\\n", x);', 'printf("%d\\n", x);\n'),
    # A rest of line that is more than closers.
    ("python", "foo(", ", bar)\n", "a, bar)", "foo(a, bar)\n"),
    ("python", "foo(", ", bar)\n", "a,", "foo(a, bar)\n"),
    ("python", "foo(", "bar)\n", "a_b, ", "foo(a_b, bar)\n"),
    ("python", "x = ", " + y\n", "a + y", "x = a + y\n"),
    ("python", "if ", " and y:\n", "x and y:", "if x and y:\n"),
    ("javascript", "const x = ", ".map(f);\n", "a.map(f);", "const x = a.map(f);\n"),
    # Brackets that the file closes further down.
    ("python", "foo(bar(", "\n)\n", "x))", "foo(bar(x)\n)\n"),
    ("python", "foo(bar(", "\n", "x))", "foo(bar(x))\n"),
    ("python", "foo(", "\n", "x))", "foo(x)\n"),
    ("python", "x = (1", "\n", ")]", "x = (1)\n"),
    ("javascript", "if (a) {\n  b(", "\n}\n", "c);\n}", "if (a) {\n  b(c);\n}\n"),
    ("javascript", "foo(", "\n", "'))')", "foo('))')\n"),
    ("python", "x = 1  # see (a", "\n", " b))", "x = 1  # see (a b))\n"),
    ("bash", "case $1 in\n  ", "\nesac\n", "a) b ;;", "case $1 in\n  a) b ;;\nesac\n"),
    ("rust", "fn f<'a>(x: &'a str", "\n", ") -> &'a str {", "fn f<'a>(x: &'a str) -> &'a str {\n"),
    # What fills brackets leaves the closing one on a line of its own, indented like the opening one's.
    ("javascript", "  for (const v of values) {", "}\n", "\n    total += v;", "  for (const v of values) {\n    total += v;\n  }\n"),
    ("javascript", "  go() {", "}\n}\n", "\n    this.n += 1;\n  }", "  go() {\n    this.n += 1;\n  }\n}\n"),
    ("javascript", 'const o = f("/x").then((r) => {', "})\n", "\n  return r;\n  });", 'const o = f("/x").then((r) => {\n  return r;\n});\n'),
    ("go", "func add(a int, b int) int {", "}\n", "\n    return a + b", "func add(a int, b int) int {\n\treturn a + b\n}\n"),
    ("python", "x = foo(", ")\n", "\n    a,\n    b,", "x = foo(\n    a,\n    b,\n)\n"),
    ("javascript", "go() {", " }\n", " return 1;", "go() { return 1; }\n"),
    # The next line again.
    ("python", "    x = 1", "\n    return x\n", "2\n    return x", "    x = 12\n    return x\n"),
    ("python", "    x = ", "\n    return x\n", "2\n    retu", "    x = 2\n    return x\n"),
    ("python", "    x = ", "\n    return x\n", "2\n        return x", "    x = 2\n        return x\n    return x\n"),
    ("javascript", "f() {\n  a();", "\n}\n", "\n  b();\n}", "f() {\n  a();\n  b();\n}\n"),
    # White space, line breaks, indentation.
    ("python", "x = ", "\n", "1   ", "x = 1\n"),
    ("python", "x = ", "\n", "1  \n\n\n", "x = 1\n"),
    ("python", "if a:\r\n    b\r\n", "\r\nc\r\n", "if x:\n    y", "if a:\r\n    b\r\nif x:\r\n    y\r\nc\r\n"),
    ("go", "func f() {\n\tx()\n\t", "\n}\n", "if y {\n        z()\n    }", "func f() {\n\tx()\n\tif y {\n\t\tz()\n\t}\n}\n"),
    ("python", "foo(a, ", "b)\n", "c, ", "foo(a, c, b)\n"),
    # Prose and fences.
    ("python", "", "\n", "```python\nx = 1\n```\nThis sets x.", "x = 1\n"),
    ("python", "x = ", "\n", "1\n```", "x = 1\n"),
    ("markdown", "# A\n\n", "\n", "```python\nx\n```", "# A\n\n```python\nx\n```\n"),
    # Text that spells a control token.
    ("python", "x = ", "\n", "1<|fim_suffix|>2", "x = 1\n"),
    ("python", 'A = "<|file_sep|>"\nx = ', "\n", '"<|fim_suffix|>"', 'A = "<|file_sep|>"\nx = "<|fim_suffix|>"\n'),
    ("python", "x = ", "\n", "'a\ufffd'", "x = 'a\n"),
    (None, "x = foo(", ")\n", "a)", "x = foo(a)\n"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "prefix", "suffix", "generated", "expected"), FITTED)
def test_the_completed_file(language, prefix, suffix, generated, expected):
    done = finish(generated, prefix=prefix, suffix=suffix, language=language)
    assert done.suppressed is None
    assert prefix + done.text + suffix[done.n_replaced :] == expected


@pytest.mark.parametrize(("language", "prefix", "suffix", "generated", "_"), FITTED)
def test_what_is_replaced_lies_on_the_line_and_occurs_in_the_text(language, prefix, suffix, generated, _):
    done = finish(generated, prefix=prefix, suffix=suffix, language=language)
    replaced, rest = suffix[: done.n_replaced], iter(done.text)
    assert "\n" not in replaced
    assert all(character in rest for character in replaced)


@pytest.mark.parametrize(("language", "prefix", "suffix", "generated", "_"), FITTED)
def test_finishing_twice_changes_nothing(language, prefix, suffix, generated, _):
    once = finish(generated, prefix=prefix, suffix=suffix, language=language)
    if not once.n_replaced and not once.text.endswith(" "):
        assert finish(once.text, prefix=prefix, suffix=suffix, language=language).text == once.text


SUPPRESSED = [
    ("python", "x = ", "\n", "", "empty"),
    ("python", "x = ", "\n", "  \n", "empty"),
    ("python", "x = ", "\n", "<|endoftext|>x", "control_text"),
    ("python", "x = ", "\n", "\ufffd", "damaged_text"),
    ("python", "x = 1\n", "\n", "Here is the code that you asked for:", "prose"),
    ("python", "x = 1\n", "\n", "```\n", "prose"),
    ("python", "foo(", ", bar)\n", ", bar)", "repeats_rest_of_line"),
    ("python", "foo(x", ")\n", ")", "repeats_rest_of_line"),
    ("python", "    ", "\n    return x\n", "return x", "repeats_next_line"),
    ("python", "    re", "\n    return x\n", "turn x\n", "repeats_next_line"),
    ("python", "foo(x)", "\n", ")", "unbalanced"),
    ("javascript", "if (a) {\n  b();\n", "}\n", "}", "repeats_rest_of_line"),
    ("javascript", "if (a) {\n  b();\n", "\n}\n", "}", "unbalanced"),
    ("python", "def f():\n", '    """A."""\n', '    """B."""', "before_text"),
    # The quotes that end the text's own string are not those that begin the next one.
    ("python", "def f():\n    ", '"""A."""\n', '"""B."""', "repeats_rest_of_line"),
    ("python", "f(", "'b')\n", "a, 'c'", "repeats_rest_of_line"),
    ("python", "x = round(f", "loat(n))\n", "lo", "inside_word"),
    ("python", "f = lambda d: ", "d.n\n", "d.apply(cart)", "inside_word"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "prefix", "suffix", "generated", "reason"), SUPPRESSED)
def test_nothing_is_shown_with_a_reason(language, prefix, suffix, generated, reason):
    done = finish(generated, prefix=prefix, suffix=suffix, language=language)
    assert (done.text, done.n_replaced, done.suppressed) == ("", 0, reason)


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        ("", ("", "")),
        ("\nx", ("", "\nx")),
        (")\nx", (")", "\nx")),
        ('"]):  \nx', ('"]):  ', "\nx")),
        ("),\r\nx", ("),", "\r\nx")),
        (") + 1\n", ("", ") + 1\n")),
        ("x", ("", "x")),
    ],
)
def test_split_closers(suffix, expected):
    assert split_closers(suffix) == expected


@pytest.mark.parametrize(
    ("language", "prefix", "suffix", "generated"),
    [
        ("python", "foo(\n" + "    argument,\n" * 700 + "    b", ")\n", "ar"),  # opened before the window
        ("python", "x = 1]", "]\n", "  # twice"),
        ("c", ":", "}}\n", ":}"),  # what would be replaced is cut off again
    ],
)
def test_a_closer_that_the_text_does_not_hold_is_never_replaced(language, prefix, suffix, generated):
    assert finish(generated, prefix=prefix, suffix=suffix, language=language).n_replaced == 0


def test_a_long_row_of_closers_costs_no_scan_for_each_of_them(monkeypatch):
    n_scans = 0

    def counting(text, language):
        nonlocal n_scans
        n_scans += 1
        return scan(text, language)

    monkeypatch.setattr(postprocess, "scan", counting)
    finish("," * 500, prefix="a", suffix="," * 5000 + "\n", language="python")
    assert n_scans < 30


def test_a_huge_file_is_read_in_a_window():
    text = "foo(a, [b])\n" * 1_000_000
    assert finish("c)", prefix=text + "foo(", suffix=")\n" + text, language="python").text == "c"


@pytest.mark.parametrize(
    ("prefix", "suffix", "stands_there"),
    [
        ("def f():\n", "    return 1\n", True),
        ("def f():\n    ", "    return 1\n", True),
        ("def f():\r\n\t", "\treturn 1\r\n", True),
        ("def f():\n    ", "return 1\n", False),
        ("def f():\n    ", "    \n    return 1\n", False),
        ("def f():\n    ", "  )\n", False),
        ("f(\n    ", "\n)", False),
        ("x =", "  y\n", False),
        ("", "", False),
        ("", " x", True),
    ],
)
def test_a_cursor_in_the_indentation_of_a_written_line_is_known_before_anything_is_generated(
    prefix, suffix, stands_there
):
    assert stands_before_text(prefix, suffix) == stands_there
    assert (finish("y = 2", prefix=prefix, suffix=suffix).suppressed == "before_text") == stands_there
