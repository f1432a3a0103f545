"""Where the bodies of a file's functions lie, without their headers, docstrings and braces."""

from __future__ import annotations

from indexer.languages import definition_matches, is_garbage, language_named, parse_tree_within
from indexer.outline import outline
from indexer.skeleton import Source, string_docstring

__all__ = ["function_bodies"]

_MAX_PARSE_S = 5.0


def function_bodies(language: str, data: bytes) -> list[tuple[int, int]]:
    """Return (start, end) in bytes of each body that has its lines for itself, by their order in the file.

    From its first statement, or a comment before that, to the end of its last one. A body that shares a line
    with its header or with a brace is left out.

    Args:
        language: The name of a language with a grammar.
        data: The file's text in UTF-8.

    Raises:
        TooSlowError: The grammar takes too long over it.
    """
    tree = parse_tree_within(language, data, _MAX_PARSE_S)
    if is_garbage(tree):
        return []
    bodies: list[tuple[int, int]] = []
    for one in outline(definition_matches(language, tree), Source.of(data), language_named(language)):
        if one.kind not in {"function", "method"} or one.body is None:
            continue
        docstring = string_docstring(one.body)
        statements = one.body.named_children[1 if docstring else 0 :]
        if not statements:
            continue
        start = statements[0].start_byte
        end = start + len(data[start : statements[-1].end_byte].rstrip())
        # a semicolon is no named node of its own
        end += data[end : end + 1] == b";"
        before = data[data.rfind(b"\n", 0, start) + 1 : start]
        after = data[end:].split(b"\n", 1)[0]
        if start < end and not before.strip() and not after.strip():
            bodies.append((start, end))
    return bodies
