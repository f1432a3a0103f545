"""Where a multi-line completion ends, byte by byte as it is generated."""

# ruff: noqa: E501 - a row of a table is one line

import pytest

from indexer.at_cursor import AtCursor
from indexer.scope import ScopeStop


def kept(language, prefix, suffix, generated):
    """What is kept when the rule is asked after each byte; None if it never stops."""
    rule = ScopeStop(AtCursor(language, prefix, suffix))
    data = generated.encode()
    for end in range(1, len(data) + 1):
        if (cut := rule.check(data[:end])) is not None:
            return data[:cut].decode()
    return None


CLASS_PYTHON = "class A:\n    "
PYTHON = [
    # A dedent to the header's level ends the block.
    ("def f(x):\n    ", "\n\ndef g():\n", "return x\n\n\ndef g", "return x"),
    ("def f(x):", "\n", "\n    return x\nprint", "\n    return x"),
    ("    if x:\n        ", "\n    return 2\n", "return 1\n    return 2\n", "return 1"),
    ("def f(x):\n    ", "", "if x:\n        a()\n    else:\n        b()\n    return x\n", None),
    # The header's own indentation counts, not that of its last line.
    ("def f(a,\n      b):\n    ", "\n", "return a\n\nx = 1", "return a"),
    # Lines in strings and brackets are not indented code.
    ("def f(x):\n    ", "\n", '"""Doc\nclass of\n"""\n    return (\nx\n)\ny', '"""Doc\nclass of\n"""\n    return (\nx\n)'),
    ("def f(x):\n    ", "\n", '"""Doc\nclass of', None),
    # A second definition beside the first.
    (CLASS_PYTHON, "\n", "def f(self):\n        return 1\n\n    def g(", "def f(self):\n        return 1"),
    (CLASS_PYTHON, "\n", "x: int = 1\n\n    @property\n    def f(", "x: int = 1"),
    (CLASS_PYTHON, "\n", "@property\n    def f(self):\n        return 1\n\n    # g\n    def g(", "@property\n    def f(self):\n        return 1"),
    # On an empty first column the generated text brings its own indentation.
    ("def f(x):\n", "\n", "    return x\nprint(", "    return x"),
    ("def f(x):\n", "\n", "print(f)", ""),
    # Asked for in the middle of a block.
    ("def f(x):\n    y = ", "\n", "1\n    return y\n\nf(", "1\n    return y"),
    ("def f(x)", "\n", ":\n    return x\n\nf(", ":\n    return x"),
]  # fmt: skip


@pytest.mark.parametrize(("prefix", "suffix", "generated", "expected"), PYTHON)
def test_python(prefix, suffix, generated, expected):
    assert kept("python", prefix, suffix, generated) == expected


BRACED = [
    # The closing brace is kept only if the file lacks it.
    ("javascript", "function f(a) {\n  ", "\n}\n", "if (a) {\n    b();\n  }\n  return 2;\n}\n\n", "if (a) {\n    b();\n  }\n  return 2;"),
    ("javascript", "function f(a) {", "\n\nfunction g() {}\n", "\n  return a;\n}\n\nfunction g", "\n  return a;\n}"),
    ("javascript", "function f(a) {", "\n  return a;\n}\n", "\n  b();\n  return a;\n}\n", "\n  b();\n  return a;"),
    ("javascript", "f(a, function(b) {", "\n", "\n  return b;\n});\nbar();\n", "\n  return b;\n});"),
    ("javascript", "f(a, function(b) {", "})\n", "\n  return b;\n});\nbar();\n", "\n  return b;\n});"),
    ("javascript", "if (a) {\n  ", "\n}\n", "b(`}`); // }\n  c('}');\n}\n", "b(`}`); // }\n  c('}');"),
    ("javascript", "const f = (a) => {\n  ", "\n};\n", "return { a };\n};\n", "return { a };"),
    ("typescript", "class A {\n  ", "\n}\n", "f(x: number): string {\n    return `${x}}`;\n  }\n\n  g() {}\n", "f(x: number): string {\n    return `${x}}`;\n  }"),
    ("typescript", "interface A {\n  ", "\n}\n", "a: string;\n  b: number;\n}\n", "a: string;\n  b: number;"),
    ("tsx", "function A() {\n  ", "\n}\n", "return <div>{x}</div>;\n}\n", "return <div>{x}</div>;"),
    ("go", "func f(x int) int {\n\tswitch x {\n\t", "\n\t}\n}\n", "case 1:\n\t\treturn 2\n\tdefault:\n\t\treturn 3\n\t}\n", "case 1:\n\t\treturn 2\n\tdefault:\n\t\treturn 3"),
    ("go", "func f() {\n\t", "\n}\n", "return }", "return"),
    ("rust", "impl A {\n    fn f(&self) -> u8 {\n        ", "\n    }\n}\n", "match self {\n            A { x } => *x,\n        }\n    }\n\n", "match self {\n            A { x } => *x,\n        }"),
    ("rust", "impl<'a> A<'a> {\n    ", "\n}\n", "fn f(&self) {}\n\n    fn g(", "fn f(&self) {}"),
    ("java", "public class A {\n    private int x;\n\n    ", "\n}\n", "public int x() {\n        return x;\n    }\n\n    public", "public int x() {\n        return x;\n    }"),
    ("java", "class A {\n    ", "\n}\n", "private int x;\n    private int y;\n}\n", "private int x;\n    private int y;"),
    ("c", "int main(void)\n{\n\t", "", "return 0;\n}\n\nint foo", "return 0;\n}"),
    ("c", "int f(void)\n{\n#ifdef A\n\t", "\n}\n", "g();\n#endif\n\treturn 0;\n}\n", "g();\n#endif\n\treturn 0;"),
    ("cpp", "class B {\n public:\n  ", "\n};\n", "int x() const { return 1; }\n  int y() const", "int x() const { return 1; }"),
    ("csharp", "class A\n{\n    int F()\n    {\n        ", "\n    }\n}\n", "return 1;\n    }\n\n", "return 1;"),
    ("php", "<?php\nfunction f($a) {\n    ", "\n}\n", "return $a;\n}\n\nfunction g", "return $a;"),
    # A statement that began on the cursor's line is over with its braces.
    ("javascript", "  if (a)", "\n", " {\n    b();\n  }\n  c();\n", " {\n    b();\n  }"),
    ("javascript", "  if (a)", "\n", " {\n    b();\n  } else {\n    c();\n  }\n", " {\n    b();\n  } else {\n    c();\n  }"),
    # Forgotten brackets above do not hide the end.
    ("javascript", "foo(bar(\n\nfunction f() {\n  ", "\n}\n", "return 1;\n}\n", "return 1;"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "prefix", "suffix", "generated", "expected"), BRACED)
def test_braces(language, prefix, suffix, generated, expected):
    assert kept(language, prefix, suffix, generated) == expected


WORDED = [
    ("ruby", "class A\n  def f(x)\n    ", "\n  end\nend\n", "x + 1\n  end\n\n  def", "x + 1"),
    ("ruby", "class A\n  def f(x)\n    ", "\n", "x.each do |y|\n      p y\n    end\n  end\n\n  def", "x.each do |y|\n      p y\n    end\n  end"),
    ("ruby", "if x\n  ", "\n", "a\nelse\n  b\nend\nc\n", "a\nelse\n  b\nend"),
    ("ruby", "class A\n  ", "\nend\n", "def f\n    1\n  end\n\n  def g", "def f\n    1\n  end"),
    ("bash", 'f() {\n  if [ -n "$x" ]; then\n    ', "\n  fi\n}\n", "echo yes\n  fi\n}\n", "echo yes"),
    ("bash", "for x in a b; do\n  ", "\n", "echo $x\ndone\necho hi\n", "echo $x\ndone"),
    ("bash", "f() {\n  ", "\n}\n", "case $1 in\n    a) b ;;\n  esac\n}\n", "case $1 in\n    a) b ;;\n  esac"),
    (None, "fun f(x: Int) {\n    ", "\n}\n", "val y = x\n    return y\n}\n", "val y = x\n    return y"),
    ("markdown", "- a\n  ", "\n", "b\n\nnext", "b"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "prefix", "suffix", "generated", "expected"), WORDED)
def test_words_and_unknown_languages(language, prefix, suffix, generated, expected):
    assert kept(language, prefix, suffix, generated) == expected


def test_a_rule_satisfies_the_models_protocol():
    from model.types import StopRule  # noqa: PLC0415 - only a test may know both packages

    rule: StopRule = ScopeStop(AtCursor("python", "def f():\n    ", ""))
    assert rule.check(b"") is None
