"""What syntax says about a completion: one line or several, how a block begins, whether it parses as well.

Everything is read from a window around the cursor, so a long file costs what a short one does. Where a block
ends is told by `scope.py`. A language without a grammar is judged by indentation.
"""

from __future__ import annotations

import re
from typing import Final

from indexer.affixes import n_common_at_end, n_common_at_start
from indexer.at_cursor import AtCursor
from indexer.blocks import indentation_unit, is_only_closers, next_line, shape_of
from indexer.languages import Node, parse_tree
from indexer.lexemes import has_grammar, indentation, tagged

__all__ = ["block_opening", "parses_as_well", "wants_multi_line"]

_MAY_OPEN_IN_PYTHON: Final = re.compile(r"[:\"'\\]\Z|#")
_MAY_OPEN_A_BRACE: Final = re.compile(r"[{\\]\Z|//|/\*|\*/|#|<!--|-->")
"""What stands at a line's end, or as a comment behind it, if the line opens a block or ends a docstring."""
_WINDOW_CHARACTERS = 24 * 1024
"""On either side of an insertion whose parse is judged."""


def wants_multi_line(cursor: AtCursor) -> bool:
    """Return whether a completion here is to be a block: right after a line that opens an empty one.

    A block of Python that has only a docstring is empty; the end of that docstring's line is right after it.
    Most cursors stand in the middle of a line that can open nothing: there nothing is parsed.
    """
    rest, shape = cursor.rest, shape_of(cursor.language)
    if rest and not (shape == "braced" and rest.startswith(b"}") and is_only_closers(rest)):
        return False  # an editor closed the brace by itself; anything else is the end of an expression
    if not _may_open(cursor.language, cursor.prefix[cursor.prefix.rfind("\n") + 1 :].rstrip()):
        return False
    opener = cursor.reading.opener
    if opener is None:
        return False
    lines = cursor.source.split(b"\n")
    if lines[-1].strip() and opener.end_line != len(lines) - 1:
        return False
    following = next_line(cursor.below)
    return bool(rest) or not following or indentation(following) <= opener.indentation


def block_opening(cursor: AtCursor) -> str:
    """Return what a block completion begins with, at the line that opens the block or right below it.

    Behind that line, or behind the docstring below it, a line break and the body's indentation in the file's
    own style: a model that is given them writes the body, where it might otherwise add a comment to the
    header or stop. On a blank line right below, what that line lacks of the indentation, unless braces
    delimit blocks. Empty anywhere else.
    """
    source, opener = cursor.source, cursor.reading.opener
    if opener is None:
        return ""
    body = opener.body_margin
    if body is None:
        body = opener.margin + indentation_unit(source + b"\n" + cursor.below, cursor.language)
    *above, line = source.split(b"\n")
    if line.strip():
        return "\n" + body.decode("utf-8", "replace")
    is_right_below = shape_of(cursor.language) != "braced" and above and above[-1].strip()
    if not is_right_below or not body.startswith(line):
        return ""
    return body.removeprefix(line).decode("utf-8", "replace")


def parses_as_well(language: str | None, before: str, after: str) -> bool:
    """Return whether an insertion leaves no more syntax errors than there were.

    Both texts are parsed in a window around what differs, the same lines of both, so that what the window
    itself breaks counts on both sides. True for languages without a grammar.

    Args:
        language: By the index's names; None if unknown.
        before: The file's text.
        after: The text with the completion in it.
    """
    if language is None or not has_grammar(language) or before == after:
        return True
    first = n_common_at_start(before, after)
    last = n_common_at_end(before, after, min(len(before), len(after)) - first)
    start = before.rfind("\n", 0, max(0, first - _WINDOW_CHARACTERS)) + 1
    start = max(start, first - 2 * _WINDOW_CHARACTERS)  # a line may be longer than any window
    n_after = min(last, _WINDOW_CHARACTERS)
    cut = before.rfind("\n", len(before) - last, len(before) - last + n_after) if n_after < last else -1
    n_dropped = len(before) - cut if cut >= 0 else last - n_after
    old = before[start : len(before) - n_dropped]
    new = after[start : len(after) - n_dropped]
    n_errors = _n_errors(language, new)  # mostly none, and then it does not matter how many there were
    return n_errors == 0 or n_errors <= _n_errors(language, old)


def _may_open(language: str | None, line: str) -> bool:
    """Return whether a line, up to the cursor, may be the end of what opens a block; a blank one may.

    Only told by its look, so that the middle of a line costs no reading.
    """
    if not line:
        return True
    if language == "python":
        return bool(_MAY_OPEN_IN_PYTHON.search(line))
    return shape_of(language) != "braced" or bool(_MAY_OPEN_A_BRACE.search(line))


def _n_errors(language: str, text: str) -> int:
    """The number of error and missing nodes; subtrees without any are not walked."""
    source = tagged(language, text.encode("utf-8", "replace"))
    n_errors, pending = 0, [parse_tree(language, source).root_node]
    while pending:
        node: Node = pending.pop()
        if node.is_error or node.is_missing:
            n_errors += 1
        if node.has_error:
            pending.extend(node.children)
    return n_errors
