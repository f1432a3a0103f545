r"""How close a completion comes to what the author wrote. Text against text; nothing here knows tokens.

A completion of one line is compared up to the line's end, a block as a whole; white space at the ends of
lines never counts. What the completion replaces after the cursor counts as written by the author too: in
`foo(|)`, the text `x)` in place of `)` equals the author's `x` with the `)` that stood there.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from indexer.syntax import parses_as_well
from lsp_server.evaluation.cases import Case

__all__ = ["Scores", "edit_similarity", "identifier_f1", "score"]

_NAME = re.compile(r"[^\W\d]\w*")
_LEXEME = re.compile(r"\w+|[^\w\s]")
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """and as assert async await break case catch class const continue def default del do elif else except
        export extends False finally for from function if implements import in instanceof interface is lambda
        let new None nonlocal not null or pass raise return static switch this throw True true False false try
        type typeof undefined var void while with yield""",
    )
)
"""Of Python, JavaScript and TypeScript."""
_COMPARED_CHARACTERS = 4000
"""Of a longer block only the beginning is compared: the edit distance takes time by the square."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One completion against its author's text, each from 0 (worst) to 1."""

    exact_match: float
    edit_similarity: float
    """1 - Levenshtein distance / length of the longer text."""
    identifier_f1: float
    """Of the names in both texts, as multisets, keywords left out; 1 if neither has any."""
    first_token: float
    """Whether the first word or mark is right, as the language splits text, not the model."""
    parses: float
    """Whether the file has no more syntax errors than with the author's text."""


def score(case: Case, text: str, replaces: int, language: str | None) -> Scores:
    """Compare the text shown to the user with the author's.

    Args:
        case: The cursor and the author's text.
        text: What would be inserted; empty if nothing was shown.
        replaces: Characters after the cursor that the text takes the place of.
        language: By the index's names; None if unknown.
    """
    written = case.target + case.suffix[:replaces]
    shown, wanted = (_compared(one, is_block=case.is_block) for one in (text, written))
    by_author = case.prefix + case.target + case.suffix
    completed = case.prefix + text + case.suffix[replaces:]
    return Scores(
        exact_match=float(shown == wanted),
        edit_similarity=edit_similarity(shown, wanted),
        identifier_f1=identifier_f1(shown, wanted),
        first_token=float(_first(shown) == _first(wanted)),
        parses=float(parses_as_well(language, by_author, completed)),
    )


def edit_similarity(one: str, other: str) -> float:
    """Return 1 - Levenshtein distance / length of the longer text; 1 for two empty texts."""
    if one == other:
        return 1.0
    a, b = (
        np.frombuffer(text[:_COMPARED_CHARACTERS].encode("utf-32-le"), np.uint32) for text in (one, other)
    )
    steps = np.arange(len(b) + 1)
    row = steps
    for i, character in enumerate(a, start=1):
        best = np.empty_like(row)
        best[0] = i
        best[1:] = np.minimum(row[1:] + 1, row[:-1] + (b != character))
        # an insertion costs one more than the cell to its left: a running minimum over the whole row
        row = np.minimum.accumulate(best - steps) + steps
    return 1.0 - float(row[-1]) / max(len(a), len(b))


def identifier_f1(one: str, other: str) -> float:
    """Return the F1 of the names in two texts, as multisets; 1 if neither has any."""
    a, b = (Counter(name for name in _NAME.findall(text) if name not in _KEYWORDS) for text in (one, other))
    n_names = a.total() + b.total()
    return 2.0 * (a & b).total() / n_names if n_names else 1.0


def _compared(text: str, *, is_block: bool) -> str:
    lines = text.replace("\r\n", "\n").split("\n")
    kept = lines if is_block else lines[:1]
    return "\n".join(line.rstrip() for line in kept).rstrip()


def _first(text: str) -> str:
    match = _LEXEME.search(text)
    return match[0] if match else ""
