"""A file's own indentation and line breaks."""

import pytest

from model.layout import FileStyle

TABS = "if a:\n\tb\n\tif c:\n\t\td\n"
SPACES = "if a:\n    b\n    if c:\n        d\n"
TWO = "if (a) {\n  b\n  if (c) {\n    d\n"


@pytest.mark.parametrize(
    ("text", "tabs", "width", "line_break"),
    [
        (TABS, True, None, "\n"),
        (SPACES, False, 4, "\n"),
        (TWO, False, 2, "\n"),
        ("", False, None, "\n"),
        ("a\r\nb\r\n", False, None, "\r\n"),
        ("a\r\nb\nc\nd\n", False, None, "\n"),
    ],
)
def test_style_of(text, tabs, width, line_break):
    assert FileStyle.of(text, "") == FileStyle(tabs, width, line_break)


@pytest.mark.parametrize(
    ("file", "line", "text", "expected"),
    [
        (TABS, "\t", "if x:\n\t\ty", "if x:\n\t\ty"),
        (TABS, "", "if x:\n    y\n        z", "if x:\n\ty\n\t\tz"),
        (TABS, "", "if x:\n  y\n    z", "if x:\n\ty\n\t\tz"),
        (TABS, "", "    y", "\ty"),
        (SPACES, "", "if x:\n\ty\n\t\tz", "if x:\n    y\n        z"),
        (TWO, "", "{\n\ty\n}", "{\n  y\n}"),
        (SPACES, "    ", "foo(a,\n        b)", "foo(a,\n        b)"),
        (SPACES, "", "a  \n\n  \nb \n\n", "a\n\n\nb"),
        ("a\r\nb\r\n", "", "a\nb", "a\r\nb"),
    ],
)
def test_generated_lines_get_the_files_style(file, line, text, expected):
    assert FileStyle.of(file, "").apply(text, line=line, keep_end=False) == expected


@pytest.mark.parametrize(
    ("text", "language", "tabs"),
    [("", "go", True), ("a {\n    b\n}\n", "go", False), ("", "python", False), (TABS, "python", True)],
)
def test_a_file_that_shows_no_indentation_has_its_languages(text, language, tabs):
    assert FileStyle.of(text, "", language).tabs is tabs


def test_the_end_is_kept_where_something_follows_on_the_line():
    style = FileStyle.of("", "")
    assert style.apply("a \n  ", line="", keep_end=True) == "a\n  "
