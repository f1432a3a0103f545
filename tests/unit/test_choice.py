"""Which definitions a completion is given: what matters most, and of the rest what costs nothing."""

from __future__ import annotations

import pytest
from memory_catalogue import definition

from indexer.types import Reason, Retrieved
from lsp_server.choice import Candidate, DefinitionKeeper, Place, choose

N = 6
NOT_AT_HAND_MS = 40.0


def row(letter: str, symbol_rank: int | None = None) -> Retrieved:
    """A definition; a capital is another text of the same one."""
    reasons = () if symbol_rank is None else (Reason("symbol", symbol_rank, "named on this line"),)
    return Retrieved(definition("cart.py", letter.lower(), letter), 1.0, reasons)


def rows(letters: str) -> tuple[Retrieved, ...]:
    return tuple(map(row, letters))


def candidates(letters: str) -> list[Candidate]:
    """Best first; one after `.` is not at hand, one after `!` neither, though named on the line."""
    found: list[Candidate] = []
    mark = ""
    for letter in letters:
        if letter in ".!":
            mark = letter
            continue
        cost_ms = NOT_AT_HAND_MS if mark else 0.0
        found.append(Candidate(row(letter, len(found) + 1 if mark == "!" else None), cost_ms))
        mark = ""
    return found


def texts(some: tuple[Retrieved, ...]) -> str:
    return "".join(one.definition.text for one in some)


WHILE_TYPING = {
    "the same": ("abcdef", "abcdef", "abcdef"),
    "another order": ("abcdef", "fedcba", "abcdef"),
    "another one in the tail": ("abcdef", "abcdxy", "abcdef"),
    "another one among the best": ("abcdef", "abcxde", "abcxde"),
    "another one among the best, not at hand": ("abcdef", "abc.xde", "abcdef"),
    "the best, not at hand, by its words": ("abcdef", ".xabcde", "abcdef"),
    "the best, not at hand, named on the line": ("abcdef", "!xabcde", "xabcde"),
    "the second, not at hand, named on the line": ("abcdef", "a!xbcde", "abcdef"),
    "places that are empty go to those given before": ("abcdef", "x.y.z.wab", "xabcde"),
    "then to those ranked below": ("a", "x.y.z.w.u.vbc", "xabc"),
    "fewer": ("abcdef", "ab", "abcdef"),
    "none any more": ("abcdef", "", ""),
    "a text that changed among the best": ("abcdef", "aBcdef", "aBcdef"),
    "a text that changed in the tail": ("abcdef", "abcdeF", "abcdeF"),
    "a text that changed, not at hand": ("abcdef", "abcde.F", "abcde"),
    "more than there are places for": ("abcdef", "xyabcdefg", "xyabcd"),
}


@pytest.mark.parametrize(("given", "retrieved", "chosen"), WHILE_TYPING.values(), ids=WHILE_TYPING.keys())
def test_a_line_keeps_its_definitions_until_a_better_one_is_at_hand(given, retrieved, chosen):
    choice = choose(candidates(retrieved), rows(given), n=N, encode_ms=100.0, continues=True)
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
    choice = choose(candidates(retrieved), rows(given), n=N, encode_ms=100.0, continues=False)
    assert texts(choice.rows) == chosen


@pytest.mark.parametrize("continues", [True, False])
def test_without_a_limit_the_best_are_given_whatever_they_cost(continues):
    choice = choose(candidates(".a.b.c.d.e.f.g"), (), n=N, encode_ms=None, continues=continues)
    assert texts(choice.rows) == "abcdef"


@pytest.mark.parametrize("continues", [True, False])
def test_without_time_nothing_is_waited_for(continues):
    choice = choose(candidates("!a!bc"), (), n=N, encode_ms=0.0, continues=continues)
    assert texts(choice.rows) == "c"


def test_what_is_not_at_hand_is_told_best_first():
    for continues in (True, False):
        choice = choose(candidates("a.b.cd.e.f.g.h"), rows("a"), n=N, encode_ms=0.0, continues=continues)
        assert texts(choice.left_out) == "bcefgh"


PLACE = Place("shop", "app.py", 7)


@pytest.mark.parametrize(
    ("place", "chosen"),
    [
        (PLACE, "abcdef"),
        (Place("shop", "app.py", 8), "abcxyd"),
        (Place("shop", "other.py", 7), "abcxy"),
        (Place("other", "app.py", 7), "abcxy"),
    ],
    ids=["same line", "another line", "another file", "another repository"],
)
def test_another_line_chooses_anew_and_another_document_without_what_was_given(place, chosen):
    keeper = DefinitionKeeper()
    keeper.keep(PLACE, rows("abcdef"))
    assert (keeper.given_on(place) is not None) == (place == PLACE)
    assert texts(keeper.choose(place, candidates("abc.dxy"), n=N, encode_ms=0.0).rows) == chosen


def test_what_is_forgotten_is_not_given_again():
    keeper = DefinitionKeeper()
    keeper.keep(PLACE, rows("abcdef"))
    keeper.forget()
    assert keeper.given_on(PLACE) is None
    assert texts(keeper.choose(PLACE, candidates("x"), n=N, encode_ms=0.0).rows) == "x"
