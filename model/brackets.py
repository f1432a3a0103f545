"""Brackets and quotes of a piece of source text, without a grammar.

Enough of each language's lexis to tell a bracket in code from one in a string or a comment: completions are
judged between two keystrokes, on text that is broken by nature. Text that begins inside a string or a block
comment is misread; callers pass enough lines before the place they ask about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

__all__ = ["CLOSERS", "Balance", "scan"]

CLOSERS = {")": "(", "]": "[", "}": "{"}
"""Closing bracket -> opening bracket."""

_HASH = r"#[^\n]*(?P<hash>\Z)?"
_SHELL_HASH = r"(?<![\w$\{\\])#[^\n]*(?P<hash>\Z)?"
_SLASHES = r"//[^\n]*(?P<slashes>\Z)?|/\*(?:[^*]|\*(?!/))*(?:\*/|(?P<block>\Z))"
_DOUBLE = r'"(?:\\[\s\S]|[^"\\\n])*(?P<double>"|\Z|(?=\n))'
_SINGLE = r"'(?:\\[\s\S]|[^'\\\n])*(?P<single>'|\Z|(?=\n))"
_DOUBLE_LINES = r'"(?:\\[\s\S]|[^"\\])*(?P<double>"|\Z)'
_SINGLE_LINES = r"'[^']*(?P<single>'|\Z)"
_CHARACTER = r"'(?:\\[^\n]{1,9}?|[^'\\\n])'"
"""Also keeps Rust's lifetimes and C++'s digit separators from opening a string."""
_BACKTICK = r"`(?:\\[\s\S]|[^`\\])*(?P<backtick>`|\Z)"
_TRIPLE = (
    r'"""(?:\\[\s\S]|(?!""")[^\\])*(?P<triple_double>"""|\Z)'
    r"|'''(?:\\[\s\S]|(?!''')[^\\])*(?P<triple_single>'''|\Z)"
)

_SCRIPT = (_SLASHES, _BACKTICK, _DOUBLE, _SINGLE)
_C_LIKE = (_SLASHES, _DOUBLE, _CHARACTER)
_LEXIS = {
    "python": (_HASH, _TRIPLE, _DOUBLE, _SINGLE),
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
    "go": (_SLASHES, _BACKTICK, _DOUBLE, _CHARACTER),
    "rust": (_SLASHES, _DOUBLE_LINES, _CHARACTER),
    "java": (_SLASHES, _TRIPLE, _DOUBLE, _CHARACTER),
    "c": _C_LIKE,
    "cpp": _C_LIKE,
    "csharp": _C_LIKE,
    "php": (_HASH, _SLASHES, _DOUBLE_LINES, _SINGLE_LINES),
    "ruby": (_HASH, _DOUBLE_LINES, _SINGLE_LINES),
    "bash": (_SHELL_HASH, r"\\[\s\S]", _DOUBLE_LINES, _SINGLE_LINES, r"(?<=[\w*?\]\"'|])\)"),
}
"""The last pattern of bash is the bracket that ends a case's pattern or a subshell; it balances nothing."""
_OTHER = (_DOUBLE,)
_DELIMITERS = {
    "double": '"',
    "single": "'",
    "backtick": "`",
    "triple_double": '"""',
    "triple_single": "'''",
}


@dataclass(frozen=True, slots=True)
class Balance:
    """What a piece of text leaves open, and what it closes that it did not open."""

    opened: tuple[str, ...]
    """Opening brackets that are not closed, innermost last."""
    surplus: tuple[tuple[int, str], ...]
    """(character offset, closing bracket) of those that close nothing in the text, in order."""
    quote: str
    """The delimiter of the string in which the text ends; empty outside of strings."""
    in_comment: bool
    """Whether the text ends in a comment."""

    @property
    def n_unmatched(self) -> int:
        """How far the text is from balanced; 0 is balanced."""
        return len(self.opened) + len(self.surplus) + bool(self.quote)


def scan(text: str, language: str | None) -> Balance:
    """Return the balance of `text`; of an unknown language, with strings in double quotes and no comments.

    A closing bracket of another kind than the innermost opening one closes the nearest of its own kind, so
    that one missing bracket does not unbalance all that follows.
    """
    opened: list[str] = []
    surplus: list[tuple[int, str]] = []
    ended_in: str | None = None
    for match in _pattern(language).finditer(text):
        bracket = match["bracket"]
        if bracket is None:
            # An empty group at the very end: the string or comment goes on.
            if match.lastgroup and match[match.lastgroup] == "" and match.end() == len(text):
                ended_in = match.lastgroup
        elif bracket not in CLOSERS:
            opened.append(bracket)
        elif CLOSERS[bracket] in opened:
            del opened[len(opened) - 1 - opened[::-1].index(CLOSERS[bracket]) :]
        else:
            surplus.append((match.start(), bracket))
    quote = _DELIMITERS.get(ended_in or "", "")
    return Balance(tuple(opened), tuple(surplus), quote, in_comment=bool(ended_in) and not quote)


@cache
def _pattern(language: str | None) -> re.Pattern[str]:
    parts = _LEXIS.get(language or "", _OTHER)
    return re.compile("|".join((*parts, r"(?P<bracket>[()\[\]{}])")))
