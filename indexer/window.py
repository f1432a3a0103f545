"""The part of a buffer that is read around a cursor, and the names in it.

A buffer may be huge, minified or no text at all; what is read of it has bounds, so that each later step may
be simple and still takes no longer on such a one.
"""

from __future__ import annotations

import re

LINES_AFTER = 40
MAX_LINE_CHARACTERS = 400
_MAX_CHARACTERS = 40_000
"""How far back enclosing headers, declarations and other uses of a name are looked for."""

IDENTIFIER = re.compile(r"[^\W\d]\w*")

_KEYWORD_LIST = """
False None Self True abstract and any as assert async await bool boolean break byte case catch char class
cls const continue crate def default defer del delete do double dyn elif else end enum except export
extends extern false final finally float fn for from fun func function global go goto if impl implements
import in include int interface is lambda let long loop match mod module move mut namespace new nil
nonlocal not null object of or package pass private protected pub public raise range readonly ref require
return self short static str string struct super switch then this throw throws trait true try type typeof
undefined union unsafe use using val var virtual void where while with yield
"""
KEYWORDS = frozenset(_KEYWORD_LIST.split())
"""Words of the common languages that name nothing of a repository."""


def window_before(prefix: str) -> str:
    """Return the end of the prefix that is read, from a line's start; overlong lines lose their middle."""
    lines = prefix[-_MAX_CHARACTERS:].split("\n")
    whole = lines[1:] if len(prefix) > _MAX_CHARACTERS and len(lines) > 1 else lines
    cut = [line[:MAX_LINE_CHARACTERS] for line in whole[:-1]]
    return "\n".join([*cut, whole[-1][-MAX_LINE_CHARACTERS:]])


def window_after(suffix: str) -> str:
    """Return the beginning of the suffix that is read."""
    lines = suffix[:_MAX_CHARACTERS].split("\n", LINES_AFTER + 1)[: LINES_AFTER + 1]
    return "\n".join(line[:MAX_LINE_CHARACTERS] for line in lines)


def names_in(text: str) -> tuple[str, ...]:
    """Return the names in a piece of code, each once, in order, without keywords."""
    return tuple(dict.fromkeys(name for name in IDENTIFIER.findall(text) if name not in KEYWORDS))
