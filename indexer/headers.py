"""What encloses a cursor: the class, the function and the call that it stands in, by their headers.

Indentation tells which lines enclose a cursor, in any language as people write it, and the look of those
lines tells what they are. This file does not know where the names in a header are defined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexer.window import KEYWORDS, names_in

_MAX_HEADER_CHARACTERS = 3_000
_MAX_CALL_CHARACTERS = 2_000

_CLASS = re.compile(r"\b(?:class|interface|struct|impl|trait|object)[ \t]+([^\W\d]\w*)([^\n{]*)")
_FUNCTION = re.compile(
    r"\b(?:def|func|function|fn|fun)\b(?:[ \t]*\([^()]*\))?[^(]*?([^\W\d]\w*)?[ \t]*(?:[<\[][^(]*)?\("
)
_METHOD = re.compile(r"([^\W\d]\w*)[ \t]*\(")
"""The header of a function in a language without a word for it, on a line that opens a block."""
_BRACKET = re.compile(r"[()\[\]{}]")
_STRING = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""")


def open_call(before: str) -> str:
    """Return the name before the innermost parenthesis that is open at the cursor."""
    text = _STRING.sub('""', before[-_MAX_CALL_CHARACTERS:])
    depth = 0
    for bracket in reversed(list(_BRACKET.finditer(text))):
        at, character = bracket.start(), bracket[0]
        if character in ")]}":
            depth += 1
        elif character in "([{":
            if depth == 0 and character == "(":
                match = re.search(r"([^\W\d]\w*)\s*$", text[max(0, at - 100) : at])
                return match[1] if match and match[1] not in KEYWORDS else ""
            if depth == 0 and character == "{":
                return ""
            depth = max(0, depth - 1)
    return ""


def _headers(before: str) -> Iterator[tuple[str, int]]:
    """Yield (line, where it begins) of the lines that the cursor lies in by indentation, inner first."""
    indent: int | None = None
    end = len(before)
    while end >= 0 and indent != 0:  # nothing stands further left
        start = before.rfind("\n", 0, end) + 1
        line = before[start:end]
        bare = line.strip()
        width = len(line.expandtabs()) - len(line.expandtabs().lstrip())
        if indent is None:
            indent = width if bare or width else None  # an unindented blank line tells nothing
            if bare:
                yield line, start
        elif bare and width < indent:
            # The line that closes a header's parentheses stands as far left as the one that opens them.
            indent = width + (bare[0] in ")]}" or bare.startswith("{"))
            yield line, start
        end = start - 1


def enclosing_class(before: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of the class around the cursor and the names in its header."""
    for line, start in _headers(before):
        if match := _CLASS.search(line):
            at = line.find("(", match.end(1))
            header = _to_closing(before, start + at + 1) if at >= 0 else match[2]
            return match[1], tuple(name for name in names_in(header) if name != match[1])
    return "", ()


def enclosing_function(before: str) -> tuple[str, str]:
    """Return the name and the header, from its parenthesis to the end of the line where that closes."""
    for line, start in _headers(before):
        match = _FUNCTION.search(line)
        if match is None and line.rstrip().endswith("{"):
            match = _METHOD.search(line)
        if match and match[1] not in KEYWORDS:
            return match[1] or "", _to_closing(before, start + match.end())
        if _CLASS.search(line):
            break
    return "", ""


def _to_closing(text: str, start: int) -> str:
    """Return what follows an opening parenthesis up to the end of the line that closes it."""
    depth = 1
    for at in range(start, min(len(text), start + _MAX_HEADER_CHARACTERS)):
        depth += (text[at] in "([") - (text[at] in ")]")
        if depth <= 0:
            end = text.find("\n", at)
            return text[start : end if end >= 0 else len(text)]
    return text[start : start + _MAX_HEADER_CHARACTERS]
