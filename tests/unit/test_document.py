from pathlib import Path

import pytest

from lsp_server.document import Cursor, find_root, open_document
from lsp_server.errors import UsageError


@pytest.mark.parametrize(
    ("text", "file", "line", "column"),
    [
        ("a.py:3:7", "a.py", 3, 7),
        ("a.py:3", "a.py", 3, None),
        ("src/a:b.py:3:7", "src/a:b.py", 3, 7),
        (r"C:\x\a.py:3:7", r"C:\x\a.py", 3, 7),
        (r"C:\x\a.py:3", r"C:\x\a.py", 3, None),
    ],
)
def test_a_cursor_is_read(text, file, line, column):
    assert Cursor.parse(text) == Cursor(Path(file), line, column)


@pytest.mark.parametrize("text", ["a.py", "a.py:", ":3", "a.py:-1", ""])
def test_no_cursor_says_how_to_write_one(text):
    with pytest.raises(UsageError, match="FILE:LINE:COL"):
        Cursor.parse(text)


@pytest.mark.parametrize(
    ("source", "line", "column", "prefix", "suffix"),
    [
        (b"ab\ncd\n", 2, 2, "ab\nc", "d\n"),
        (b"ab\ncd\n", 2, None, "ab\ncd", "\n"),
        (b"ab\ncd\n", 3, 1, "ab\ncd\n", ""),
        (b"", 1, 1, "", ""),
        (b"ab\r\ncd\r\n", 1, None, "ab", "\r\ncd\r\n"),
        ("h\u00e4\U0001f600x\n".encode(), 1, 4, "h\u00e4\U0001f600", "x\n"),
        ("# \u00e4\n".encode("latin-1"), 1, None, "# \u00e4", "\n"),
        (b"\tif x:\n", 1, 2, "\t", "if x:\n"),
        (b"a\x0cb\n", 1, 3, "a\x0c", "b\n"),
    ],
)
def test_a_document_is_split_at_the_cursor(tmp_path, source, line, column, prefix, suffix):
    file = tmp_path / "a.py"
    file.write_bytes(source)
    document = open_document(Cursor(file, line, column))
    assert (document.prefix, document.suffix) == (prefix, suffix)
    assert document.line == line
    assert column is None or document.column == column


@pytest.mark.parametrize(
    ("source", "line", "column", "said"),
    [
        (b"ab\n", 3, 1, "has 1 line;"),
        (b"ab\n", 0, 1, "has 1 line;"),
        (b"ab\n", 1, 4, "has 2 characters"),
        (b"ab\r\n", 1, 4, "has 2 characters"),
        (b"a\0b", 1, 1, "binary"),
    ],
)
def test_a_cursor_outside_says_what_there_is(tmp_path, source, line, column, said):
    file = tmp_path / "a.py"
    file.write_bytes(source)
    with pytest.raises(UsageError, match=said):
        open_document(Cursor(file, line, column))


def test_missing_files_and_folders_are_told_apart(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        open_document(Cursor(tmp_path / "a.py", 1, 1))
    with pytest.raises(UsageError, match="is a folder"):
        open_document(Cursor(tmp_path, 1, 1))


def test_version_control_wins_over_a_project_file_further_in(tmp_path):
    inner = tmp_path / "packages" / "one"
    inner.mkdir(parents=True)
    (inner / "package.json").touch()
    assert find_root(inner / "a.js") == inner
    (tmp_path / ".git").mkdir()
    assert find_root(inner / "a.js") == tmp_path


def test_the_home_folder_is_no_repository(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert find_root(tmp_path / "notes.py") is None
