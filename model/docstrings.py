"""Blocks that hold nothing but what documents them: which they are, and what has to follow.

Small models like to end a block behind its docstring, or to begin another docstring. Pure functions over
bytes; `decode.py` uses them to rule such continuations out.
"""

from __future__ import annotations

import re

__all__ = ["ends_with_quotes", "is_unfinished", "missing_after_docstring"]

_DOCSTRING_QUOTES = (b'"""', b"'''")
_TRAILING_COMMENT = re.compile(rb"[ \t](?:#|//)[^\n]*\s*\Z")


def ends_with_quotes(line: bytes) -> bool:
    """Return whether a docstring, or any other string in three quotes, ends or begins a line's end."""
    return line.endswith(_DOCSTRING_QUOTES)


def is_unfinished(block: bytes) -> bool:
    """Return whether a block cannot end here: it only documents, or ends with what opens more."""
    written = _TRAILING_COMMENT.sub(b"", block).rstrip()
    return _only_documents(written) or written.endswith((b":", b"{", b"(", b"[", b","))


def missing_after_docstring(line: bytes, block: bytes) -> bytes:
    """Return what is missing up to the first word of the next line, if a block is a closed docstring alone.

    Args:
        line: The cursor's line up to the cursor.
        block: What was generated behind it.
    """
    text = block.strip()
    if not (_only_documents(block) and text.endswith(_DOCSTRING_QUOTES)) or text.startswith((b"#", b"/")):
        return b""
    margin = (line + block[: len(block) - len(block.lstrip())]).rpartition(b"\n")[2]
    _, line_break, begun = block[len(block.rstrip()) :].rpartition(b"\n")
    if margin.strip():
        return b""
    if not line_break:
        return b"\n" + margin
    return margin.removeprefix(begun) if margin.startswith(begun) else b""


def _only_documents(block: bytes) -> bool:
    """Whether a block holds nothing but lines of comment and at most one docstring, which is closed."""
    lines = block.split(b"\n")
    text = b"\n".join(line for line in lines if not line.lstrip().startswith((b"#", b"//"))).strip()
    text = text.removeprefix(b"r")
    return not text or (text.startswith(_DOCSTRING_QUOTES) and text.find(text[:3], 3) == len(text) - 3)
