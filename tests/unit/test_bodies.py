"""Bodies of functions, by table."""

import pytest

from indexer.bodies import function_bodies

CASES = [
    ("python", "def f():\n    a = 1\n    return a\n", ["a = 1\n    return a"]),
    ("python", 'def f():\n    """Doc."""\n    return 1\n', ["return 1"]),
    ("python", "def f():\n    # why\n    return 1\n", ["return 1"]),
    ("python", "def f(): return 1\n", []),
    ("python", 'def f():\n    """Only a docstring."""\n', []),
    ("python", "def f():\n    return 1  # so\n", ["return 1  # so"]),
    ("python", "class A:\n    @property\n    def f(self):\n        return 1\n", ["return 1"]),
    (
        "typescript",
        "export function f(): number {\n  const a = 1;\n  return a;\n}\n",
        ["const a = 1;\n  return a;"],
    ),
    ("typescript", "export const f = () => {\n  return 1\n}\n", ["return 1"]),
    ("typescript", "function f() { return 1 }\n", []),
    ("javascript", "class A {\n  m() {\n    go()\n  }\n}\n", ["go()"]),
    ("go", "package p\n\nfunc f() int {\n\treturn 1\n}\n", ["return 1"]),
    ("python", "x = [\n" + "(" * 50, []),
]


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_bodies_have_their_lines_for_themselves(language, text, expected):
    data = text.encode()
    assert [data[start:end].decode() for start, end in function_bodies(language, data)] == expected
