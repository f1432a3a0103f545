"""What syntax says about a completion: one line or several, how a block begins, whether it parses as well.

Everything is read from a window around the cursor, so a long file costs what a short one does. Where a block
ends is told by `scope.py`. A language without a grammar is judged by indentation.
"""

from __future__ import annotations

from indexer.affixes import n_common_at_end, n_common_at_start
from indexer.blocks import indentation_unit, is_only_closers, next_line, read, shape_of, split_rest
from indexer.languages import Node, parse_tree
from indexer.lexemes import has_grammar, indentation, lexemes, source_after, source_before, tagged

__all__ = ["block_opening", "parses_as_well", "wants_multi_line"]

_WINDOW_CHARACTERS = 24 * 1024
"""On either side of an insertion whose parse is judged."""


def wants_multi_line(language: str | None, prefix: str, suffix: str) -> bool:
    """Return whether a completion here is to be a block: right after a line that opens an empty one.

    A block of Python that has only a docstring is empty; the end of that docstring's line is right after it.

    Args:
        language: By the index's names; None if unknown.
        prefix: Text before the cursor, of any length.
        suffix: Text after the cursor.
    """
    source = source_before(language, prefix)
    rest, below = split_rest(source_after(suffix))
    if rest and not is_only_closers(rest):
        return False
    reading = read(language, source, lexemes(language, source))
    opener = reading.opener
    if opener is None:
        return False
    lines = source.split(b"\n")
    if lines[-1].strip() and opener.end_line != len(lines) - 1:
        return False
    if rest:
        # An editor closed the brace by itself; anything else is the end of an expression.
        return shape_of(language) == "braced" and rest.startswith(b"}")
    following = next_line(below)
    return not following or indentation(following) <= opener.indentation


def block_opening(language: str | None, prefix: str) -> str:
    """Return what a block completion begins with, at the line that opens the block or right below it.

    Behind that line, or behind the docstring below it, a line break and the body's indentation in the file's
    own style: a model that is given them writes the body, where it might otherwise add a comment to the
    header or stop. On a blank line right below, what that line lacks of the indentation, unless braces
    delimit blocks. Empty anywhere else.
    """
    source = source_before(language, prefix)
    opener = read(language, source, lexemes(language, source)).opener
    if opener is None:
        return ""
    body = opener.margin + indentation_unit(source) if opener.body_margin is None else opener.body_margin
    *above, line = source.split(b"\n")
    if line.strip():
        return "\n" + body.decode("utf-8", "replace")
    is_right_below = shape_of(language) != "braced" and above and above[-1].strip()
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
    return _n_errors(language, new) <= _n_errors(language, old)


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
