"""Splits text into the terms that lexical search compares; index and query go through the same function.

This file does not know what a definition or a database is.
"""

from __future__ import annotations

import re
from functools import lru_cache

_IDENTIFIER = re.compile(r"[^\W\d]\w*")
# An acronym up to the word after it, a word with or without its capital, or a number. A letter without case
# (CJK, say) counts as lower case, so such runs stay whole.
_PART = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|\d+")

# Words that stand in most definitions of any language: they say nothing about which one is meant, and leaving
# them out makes a quarter of the index go away.
_STOP_WORDS = frozenset(
    (
        *("an", "and", "as", "be", "cls", "def", "elif", "else", "false", "if", "in", "is", "it", "none"),
        *("null", "of", "or", "return", "self", "the", "this", "to", "true"),
    )
)


@lru_cache(maxsize=1 << 13)  # eight times as many are hit no more often, and take 20 MB
def _terms_of(identifier: str) -> tuple[str, ...]:
    """Return the whole identifier and its parts, lower-cased, without what is too common to tell anything."""
    whole = identifier.lower()
    parts = [part.lower() for part in _PART.findall(identifier)]
    terms = [whole] + [part for part in parts if part != whole]
    return tuple(term for term in terms if len(term) > 1 and term not in _STOP_WORDS)


def split_identifiers(text: str) -> list[str]:
    """Return the search terms of `text` in order, with repeats.

    Each identifier or word gives itself and its parts: `parseHTTPHeader_2nd` gives `parsehttpheader_2nd`,
    `parse`, `http`, `header`, `nd`. Numbers outside of identifiers, single characters and the commonest words
    give nothing. A term never holds a space, a quote or any other character that a query could misread.
    """
    return [term for identifier in _IDENTIFIER.findall(text) for term in _terms_of(identifier)]
