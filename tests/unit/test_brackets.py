"""Brackets and quotes in code, not in strings or comments."""

import pytest

from model.brackets import scan


@pytest.mark.parametrize(
    ("language", "text", "opened", "surplus", "quote"),
    [
        ("python", "foo(a[1], {", "({", "", ""),
        ("python", "a)]", "", ")]", ""),
        ("python", "f(')' # )", "(", "", ""),
        ("python", "'''(\n'''(", "(", "", ""),
        ("python", 'x = """(', "", "", '"""'),
        ("python", "x = '(", "", "", "'"),
        ("python", "x = '(\ny(", "(", "", ""),  # a forgotten quote ends with its line
        ("python", r"'\'('", "", "", ""),
        ("javascript", "`(${a}`[", "[", "", ""),
        ("javascript", "a // (\n/* ( */ {", "{", "", ""),
        ("javascript", "x = `(", "", "", "`"),
        ("rust", "fn f<'a>(x: &'a str) { '('", "{", "", ""),
        ("c", "'(' '\\'' \"(\" (", "(", "", ""),
        ("cpp", "1'000 (", "(", "", ""),
        ("java", '"""\n(""" (', "(", "", ""),
        ("go", "`(` '(' {", "{", "", ""),
        ("ruby", "'(' # (\n[", "[", "", ""),
        ("php", "$a = '(\n'; // (\n{", "{", "", ""),
        ("bash", 'case a in\n a) echo "(" ;; # (\n', "", "", ""),
        ("bash", "${#a} {", "{", "", ""),
        (None, '"(" (', "(", "", ""),
        # One forgotten bracket does not unbalance the rest.
        ("python", "{ ( }", "", "", ""),
    ],
)
def test_scan(language, text, opened, surplus, quote):
    balance = scan(text, language)
    assert ("".join(balance.opened), "".join(c for _, c in balance.surplus), balance.quote) == (
        opened,
        surplus,
        quote,
    )
    assert balance.n_unmatched == len(opened) + len(surplus) + bool(quote)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "x # a", True),
        ("python", "x # a\n", False),
        ("python", "'#", False),
        ("javascript", "// a", True),
        ("javascript", "/* a", True),
        ("javascript", "/* a */", False),
        ("bash", "$# ", False),
    ],
)
def test_whether_the_text_ends_in_a_comment(language, text, expected):
    assert scan(text, language).in_comment is expected
