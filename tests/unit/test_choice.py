"""Which definitions a completion is given: what matters most, and of the rest what costs nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from memory_catalogue import definition

from indexer.types import Retrieved
from lsp_server.choice import Candidate, DefinitionKeeper, Given, Place, Since, choose, went_on

N = 6
NOT_AT_HAND_MS = 40.0


def row(letter: str) -> Retrieved:
    """A definition; a capital is another text of the same one."""
    return Retrieved(definition("cart.py", letter.lower(), letter), 1.0, ())


def rows(letters: str) -> tuple[Retrieved, ...]:
    return tuple(map(row, letters))


def candidates(letters: str) -> list[Candidate]:
    """Best first; one after a dot is not at hand."""
    pairs = zip(" " + letters, letters, strict=False)
    return [
        Candidate(row(letter), NOT_AT_HAND_MS if before == "." else 0.0)
        for before, letter in pairs
        if letter != "."
    ]


def texts(some: tuple[Retrieved, ...]) -> str:
    return "".join(one.definition.text for one in some)


WHILE_TYPING = {
    "the same": ("abcdef", "abcdef", "abcdef"),
    "another order": ("abcdef", "fedcba", "abcdef"),
    "another one in the tail": ("abcdef", "abcdxy", "abcdef"),
    "another one among the best": ("abcdef", "abcxde", "abcxde"),
    "another one among the best, not at hand": ("abcdef", "abc.xde", "abcdef"),
    "the best, not at hand": ("abcdef", ".xabcde", "abcdef"),
    "places that are empty go to those given before": ("abcdef", "x.y.z.wab", "xabcde"),
    "then to those ranked below": ("a", "x.y.z.w.u.vbc", "xabc"),
    "fewer": ("abcdef", "ab", "abcdef"),
    "none any more": ("abcdef", "", ""),
    "a text that changed among the best": ("abcdef", "aBcdef", "aBcdef"),
    "a text that changed in the tail": ("abcdef", "abcdeF", "abcdeF"),
    "where half of the places could be filled": ("ab", "abcdefg", "abcdef"),
    "a text that changed, not at hand": ("abcdef", "abcde.F", "abcde"),
    "more than there are places for": ("abcdef", "xyabcdefg", "xyabcd"),
}


@pytest.mark.parametrize(("given", "retrieved", "chosen"), WHILE_TYPING.values(), ids=WHILE_TYPING.keys())
def test_a_line_keeps_its_definitions_until_a_better_one_is_at_hand(given, retrieved, chosen):
    choice = choose(candidates(retrieved), Given(rows(given), "the line"), n=N, encode_ms=100.0)
    assert texts(choice.rows) == chosen


@pytest.mark.parametrize("since", [one for one in get_args(Since) if one != "another line"])
def test_what_is_gone_after_the_index_changed_is_not_given_again(since):
    keeper, line = DefinitionKeeper(), Place("shop", "cart.py", 3, "x = f" if since == "the word" else "x = ")
    keeper.keep(line, rows("abcdef"))
    assert texts(keeper.choose(line, candidates("acdefgh"), n=N, encode_ms=100.0).rows) == "abcdef"
    keeper.doubt()
    chosen = keeper.choose(line, candidates("acdefgh"), n=N, encode_ms=100.0)
    assert texts(chosen.rows) == "acdefg"
    keeper.keep(line, chosen.rows)
    assert texts(keeper.choose(line, candidates("acdefh"), n=N, encode_ms=100.0).rows) == "acdefg"


WITHIN_A_WORD = {
    "others that begin alike change nothing": ("abcdef", "xyzabc", "", "abcdef"),
    "what was missed does": ("abcdef", "axyzbc", "x", "axyzbc"),
    "but not in the tail": ("abcdef", "abcdxy", "x", "abcdef"),
    "nor while it is not at hand": ("abcdef", "a.xyzbc", "x", "abcdef"),
    "a text that changed does": ("abcdef", "xyzAbc", "", "xyzAbc"),
    "empty places do": ("a", "xyzabc", "", "xyzabc"),
}


@pytest.mark.parametrize(
    ("given", "retrieved", "missed", "chosen"), WITHIN_A_WORD.values(), ids=WITHIN_A_WORD.keys()
)
def test_a_word_that_goes_on_keeps_its_definitions_but_for_what_was_missed(given, retrieved, missed, chosen):
    ids = frozenset(row(letter).definition.id for letter in missed)
    choice = choose(candidates(retrieved), Given(rows(given), "the word", ids), n=N, encode_ms=100.0)
    assert texts(choice.rows) == chosen


ON_A_NEW_LINE = {
    "what is retrieved is given": ("abcdef", "fedcba", "fedcba"),
    "the best are waited for as long as there is time": ("", ".a.b.c.d", "ab"),
    "no other is": ("", "abcd.e.f", "abcd"),
    "places that are empty go to those given before": ("xy", "abcd.e.f", "abcdxy"),
    "then to those ranked below": ("", "abcd.e.fgh", "abcdgh"),
    "stale texts fill no place": ("E", "abcd.e.f", "abcd"),
    "nothing is filled where everything is at hand": ("xy", "abc", "abc"),
}


@pytest.mark.parametrize(("given", "retrieved", "chosen"), ON_A_NEW_LINE.values(), ids=ON_A_NEW_LINE.keys())
def test_a_new_line_gets_what_is_retrieved_for_it(given, retrieved, chosen):
    choice = choose(candidates(retrieved), Given(rows(given)), n=N, encode_ms=100.0)
    assert texts(choice.rows) == chosen


@pytest.mark.parametrize("since", get_args(Since))
def test_without_a_limit_the_best_are_given_whatever_they_cost(since):
    choice = choose(candidates(".a.b.c.d.e.f.g"), Given((), since), n=N, encode_ms=None)
    assert texts(choice.rows) == "abcdef"


@pytest.mark.parametrize("since", get_args(Since))
def test_without_time_nothing_is_waited_for(since):
    choice = choose(candidates(".a.bc"), Given((), since), n=N, encode_ms=0.0)
    assert texts(choice.rows) == "c"


def test_what_is_not_at_hand_is_told_best_first():
    for since in get_args(Since):
        choice = choose(candidates("a.b.cd.e.f.g.h"), Given(rows("a"), since), n=N, encode_ms=0.0)
        assert texts(choice.left_out) == "bcefgh"


PLACE = Place("shop", "app.py", 7, "x = fo")


@pytest.mark.parametrize(
    ("place", "chosen"),
    [
        (PLACE, "abcdef"),
        (Place("shop", "app.py", 7, "x = foo(b"), "abcdef"),
        (Place("shop", "app.py", 7, "x = "), "abcdef"),
        (Place("shop", "app.py", 7, "yes = walk"), "abcxyd"),
        (Place("shop", "app.py", 8), "abcxyd"),
        (replace(PLACE, n_edits_elsewhere=1), "abcxyd"),
        (Place("shop", "other.py", 7), "abcxy"),
        (Place("other", "app.py", 7), "abcxy"),
    ],
    ids=[
        "same word",
        "another word",
        "no word",
        "the line was rewritten",
        "another line",
        "another buffer was edited",
        "another file",
        "another repository",
    ],
)
def test_another_line_chooses_anew_and_another_document_without_what_was_given(place, chosen):
    keeper = DefinitionKeeper()
    keeper.keep(PLACE, rows("abcdef"))
    assert (keeper.given_on(place) is not None) == (chosen == "abcdef")
    assert texts(keeper.choose(place, candidates("abc.dxy"), n=N, encode_ms=0.0).rows) == chosen


GOES_ON = {
    "a letter more": ("x = fo", "x = foo", "the word"),
    "a letter less": ("x = foo", "x = fo", "the word"),
    "the same": ("x = foo", "x = foo", "the word"),
    "other letters of the word": ("x = foo", "x = fab", "the line"),
    "the word is over": ("x = foo", "x = foo(", "the line"),
    "a word begins": ("x = foo(", "x = foo(b", "the line"),
    "typed fast": ("x = foo(b", "x = foo(bar, c", "the line"),
    "a word was deleted": ("x = foo(b", "x = foo", "the line"),
    "between words": ("x = foo(", "x = foo((", "the line"),
    "several words at once": ("x = ", "x = foo(bar", "another line"),
    "several were deleted": ("x = foo(bar", "x = ", "another line"),
    "rewritten from the start": ("const g = giraffeNe", "", "another line"),
    "another word at the same column": ("const g = giraffeNe", "const z = zebraSt", "another line"),
    "a word in place of one": ("x = foo", "x = bar", "another line"),
}


@pytest.mark.parametrize(("then", "now", "since"), GOES_ON.values(), ids=GOES_ON.keys())
def test_a_line_goes_on_by_a_word_at_most(then, now, since):
    assert went_on(then, now) == since


def test_what_a_word_had_to_go_without_is_given_as_soon_as_it_is_at_hand():
    keeper = DefinitionKeeper()
    keeper.keep(PLACE, rows("abcdef"), missed=rows("x"))
    for retrieved, chosen in (("y", "abcdef"), ("x", "xabcde")):
        choice = keeper.choose(PLACE, candidates(retrieved + "abcdef"), n=N, encode_ms=100.0)
        assert texts(choice.rows) == chosen


def test_what_is_forgotten_is_not_given_again():
    keeper = DefinitionKeeper()
    keeper.keep(PLACE, rows("abcdef"))
    keeper.forget()
    assert keeper.given_on(PLACE) is None
    assert texts(keeper.choose(PLACE, candidates("x"), n=N, encode_ms=0.0).rows) == "x"
