"""Completions against their authors' texts, by table."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.metrics import edit_similarity, identifier_f1, score


def case(prefix, target, suffix):
    return Case(Path("/shop"), "app.py", prefix, suffix, target)


EXACT = [
    # prefix, target, suffix, text, replaces, exact
    ("x = f(", "a, b)", "\n", "a, b)", 0, 1.0),
    ("x = f(", "a, b)", "\n", "a, b)  ", 0, 1.0),
    ("x = f(", "a, b)", "\n", "a, b)\nmore()", 0, 1.0),  # up to the line's end
    ("x = f(", "a, b)", "\n", "a)", 0, 0.0),
    ("x = f(", "a, b)", "\n", "", 0, 0.0),
    ("x = f(", "a", ")\n", "a)", 1, 1.0),  # the closer that it takes the place of
    ("x = f(", "a", ")\n", "a)", 0, 0.0),
    ("def f():\n    ", "a = 1\n    return a", "\n", "a = 1\n    return a", 0, 1.0),
    ("def f():\n    ", "a = 1\n    return a", "\n", "a = 1   \n    return a\n", 0, 1.0),
    ("def f():\n    ", "a = 1\n    return a", "\n", "a = 1", 0, 0.0),  # a block counts as a whole
    ("x = f(", "a)", "\r\n", "a)\r\n", 0, 1.0),
]


@pytest.mark.parametrize(("prefix", "target", "suffix", "text", "replaces", "exact"), EXACT)
def test_exact_match_is_of_the_shown_text(prefix, target, suffix, text, replaces, exact):
    scores = score(case(prefix, target, suffix), text, replaces, "python")
    assert scores.exact_match == exact
    assert exact == 0.0 or scores.edit_similarity == 1.0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "", 1),
        ("abc", "abc", 1),
        ("abc", "", 0),
        ("kitten", "sitting", 1 - 3 / 7),
        ("ab", "ba", 0),
        ("né", "ne", 0.5),
    ],
)
def test_edit_similarity_is_one_less_the_distance_by_the_longer_length(one, other, expected):
    assert edit_similarity(one, other) == pytest.approx(expected)
    assert edit_similarity(other, one) == pytest.approx(expected)


def distance(a, b):
    """The textbook's table."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (x != y)))
    return row[-1]


@given(st.text("abc", max_size=9), st.text("abc", max_size=9))
def test_edit_similarity_agrees_with_the_textbook(a, b):
    assert edit_similarity(a, b) == pytest.approx(1 - distance(a, b) / max(len(a), len(b), 1))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("f(a, b)", "f(a, b)", 1),
        ("f(a)", "f(b)", 0.5),
        ("return", "None", 1),  # keywords are no names
        ("f(a)", "1", 0),
        ("a a", "a", 2 / 3),
    ],
)
def test_identifier_f1_is_of_multisets_of_names(one, other, expected):
    assert identifier_f1(one, other) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "text", "first"),
    [("alpha)", "alpha, b)", 1), ("alpha)", "alphabet)", 0), (" + 1", "+ 2", 1), ("alpha)", "", 0)],
)
def test_first_token_is_a_word_or_a_mark(target, text, first):
    assert score(case("x = (", target, "\n"), text, 0, "python").first_token == first


@pytest.mark.parametrize(("text", "parses"), [("a)", 1), ("b, c)", 1), ("a", 0), ("a))", 0), ("", 0)])
def test_parses_compares_with_the_authors_text(text, parses):
    assert score(case("x = f(", "a)", "\n"), text, 0, "python").parses == parses


def test_a_case_that_was_broken_before_can_still_parse_as_well():
    assert score(case("def (:\nx = f(", "a)", "\n"), "b)", 0, "python").parses == 1
