"""A file on disk as a text with a cursor in it; positions as people write them.

People count lines and columns from 1, columns in characters; column `n` stands before the n-th character.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from indexer.walk import decode_source
from lsp_server.errors import UsageError

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
VERSION_CONTROL = (".git", ".hg", ".jj")
_PROJECT_FILES = (
    "pyproject.toml",
    "setup.py",
    "package.json",
    "Cargo.toml",
    "go.mod",
    "pom.xml",
    "composer.json",
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A file and a place in it; `line` and `column` count from 1, column in characters."""

    file: Path
    line: int
    column: int | None
    """None means the line's end."""

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read `FILE:LINE:COL` or `FILE:LINE`; the file's name may hold colons of its own.

        Raises:
            UsageError: no line, or a number that is not one.
        """
        parts = text.rsplit(":", 2)
        if len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal():
            file, line, column = parts[0], int(parts[1]), int(parts[2])
            return cls(Path(file), line, column)
        file, _, number = text.rpartition(":")
        if file and number.isdecimal():
            return cls(Path(file), int(number), None)
        raise UsageError(f"{text!r} names no cursor: write FILE:LINE:COL, for example src/app.py:12:9")


@dataclass(frozen=True, slots=True)
class Document:
    """A file's text, split at the cursor."""

    file: Path
    prefix: str
    suffix: str

    @property
    def line(self) -> int:
        """The cursor's line, counted from 1."""
        return self.prefix.count("\n") + 1

    @property
    def column(self) -> int:
        """The cursor's column, counted from 1, in characters."""
        return len(self.prefix) - (self.prefix.rfind("\n") + 1) + 1


def open_document(cursor: Cursor) -> Document:
    """Read the cursor's file and split it there.

    Line ends are the file's own; a carriage return before a line feed belongs to the line's end.

    Raises:
        UsageError: the file is missing, unreadable, binary or too large, or the cursor lies outside of it.
    """
    text = _read_text(cursor.file)
    lines = text.split("\n")
    where = f"{cursor.file}:{cursor.line}"
    if not 1 <= cursor.line <= len(lines):
        n_lines = len(lines) - text.endswith("\n")  # nobody counts the empty one after the last line break
        raise UsageError(
            f"{where}: the file has {n_lines} line{'s' * (n_lines != 1)}; name one of 1 to {n_lines}"
        )
    line_length = len(lines[cursor.line - 1].removesuffix("\r"))
    column = line_length + 1 if cursor.column is None else cursor.column
    if not 1 <= column <= line_length + 1:
        raise UsageError(
            f"{where}:{column}: the line has {line_length} characters; name one of 1 to {line_length + 1}"
        )
    offset = sum(len(line) + 1 for line in lines[: cursor.line - 1]) + column - 1
    return Document(cursor.file, text[:offset], text[offset:])


def _read_text(file: Path) -> str:
    try:
        if file.is_dir():
            raise UsageError(f"{file} is a folder; name a file, a line and a column: {file}/NAME:LINE:COL")
        size = file.stat().st_size
        if size > MAX_DOCUMENT_BYTES:
            raise UsageError(
                f"{file} has {size / 1e6:.0f} MB; the limit is {MAX_DOCUMENT_BYTES / 1e6:.0f} MB"
            )
        source = file.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{file} does not exist") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if b"\0" in source[:8192] and not source.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{file} is a binary file; only text is completed")
    return decode_source(source)


def find_root(file: Path) -> Path | None:
    """Return the repository that a file belongs to: the nearest folder above that looks like a root.

    A version-control folder wins over a project file further in, as a repository may hold many projects.
    None when no folder does, or only the home folder (people keep their dotfiles in version control; that
    makes no repository of everything they own).
    """
    folders = Path(os.path.abspath(file)).parents  # noqa: PTH100  (resolve() would leave the tree by symlinks)
    for markers in (VERSION_CONTROL, _PROJECT_FILES):
        for folder in folders:
            if folder != Path.home() and any((folder / marker).exists() for marker in markers):
                return folder
    return None
