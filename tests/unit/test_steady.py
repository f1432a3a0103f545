"""When a line keeps the definitions that it was given."""

from __future__ import annotations

import pytest
from memory_catalogue import definition

from indexer.types import Retrieved
from lsp_server.steady import SteadyDefinitions

DOCUMENT = ("shop", "app.py")


def found(names: str) -> tuple[Retrieved, ...]:
    """One definition a letter; a capital is another text of the same definition."""
    return tuple(Retrieved(definition("cart.py", name.lower(), name), 1.0, ()) for name in names)


def texts(rows: tuple[Retrieved, ...]) -> str:
    return "".join(row.definition.text for row in rows)


NEXT = {
    "the same": ("abcdef", "abcdef"),
    "another order": ("fedcba", "abcdef"),
    "another one in the tail": ("abcdxy", "abcdef"),
    "another one among the best": ("abcxde", "abcxde"),
    "fewer": ("ab", "abcdef"),
    "none any more": ("", ""),
    "a text that changed among the best": ("aBcdef", "aBcdef"),
    "a text that changed in the tail": ("abcdeF", "abcdeF"),
}


@pytest.mark.parametrize(("retrieved", "expected"), NEXT.values(), ids=NEXT.keys())
def test_a_line_keeps_its_definitions_until_another_one_is_among_the_best(retrieved, expected):
    steady = SteadyDefinitions()
    steady.choose(DOCUMENT, 7, found("abcdef"))
    assert texts(steady.choose(DOCUMENT, 7, found(retrieved))) == expected


@pytest.mark.parametrize(
    ("document", "line"), [(DOCUMENT, 8), (("shop", "other.py"), 7), (("other", "app.py"), 7)]
)
def test_another_place_is_given_what_was_retrieved_for_it(document, line):
    steady = SteadyDefinitions()
    steady.choose(DOCUMENT, 7, found("abcdef"))
    assert texts(steady.choose(document, line, found("fedcba"))) == "fedcba"


def test_what_is_forgotten_is_not_kept():
    steady = SteadyDefinitions()
    steady.choose(DOCUMENT, 7, found("abcdef"))
    steady.forget()
    assert texts(steady.choose(DOCUMENT, 7, found("fedcba"))) == "fedcba"
