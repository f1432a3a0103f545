"""Suggestions that are known: typed through, come back to, bounded."""

import pytest

from lsp_server.server.suggestions import Known, Suggestions

URI = "file:///a.py"


def kept(prefix="x = ", suffix="\n", text="total(a, b)", replaces=0):
    suggestions = Suggestions()
    suggestions.keep(URI, prefix, suffix, Known("1", text, replaces))
    return suggestions


@pytest.mark.parametrize(
    ("prefix", "suffix", "left"),
    [
        ("x = ", "\n", ("total(a, b)", 0)),
        ("x = to", "\n", ("tal(a, b)", 0)),
        ("x = total(a, b", "\n", (")", 0)),
        ("x = total(a, b)", "\n", None),  # nothing is left
        ("x = ta", "\n", None),
        ("x =", "\n", None),
        ("y = to", "\n", None),
        ("x = to", "\ny", None),
        ("x = to", "", None),
        ("x = total(", ")\n", ("a, b)", 1)),  # closed by the editor
        ("x = total(", "]\n", None),
        ("x = ", ")\n", None),  # typed nothing: somebody else's
        ("x = to", "x\n", None),
    ],
)
def test_while_it_is_typed_the_suggestion_shrinks(prefix, suffix, left):
    found = kept().find(URI, prefix, suffix)
    assert (found and (found.text, found.replaces)) == left


def test_it_comes_back_after_a_backspace():
    suggestions = kept()
    assert suggestions.find(URI, "x = tot", "\n").text == "al(a, b)"
    assert suggestions.find(URI, "x = t", "\n").text == "otal(a, b)"
    assert suggestions.find(URI, "x = ", "\n").n_typed == 0


def test_a_closer_that_it_takes_the_place_of_goes_on_being_replaced():
    found = kept(suffix=")\n", text="f(a))", replaces=1).find(URI, "x = f(", "))\n")
    assert (found.text, found.replaces) == ("a))", 2)


def test_nothing_to_show_is_known_too():
    suggestions = Suggestions()
    suggestions.keep(URI, "x", "", Known("1", "", 0, reason="empty"))
    assert suggestions.find(URI, "x", "").reason == "empty"
    assert suggestions.find(URI, "xy", "") is None


@pytest.mark.parametrize(
    ("was_late", "n_typed", "n_edits_elsewhere", "is_outdated"),
    [(False, 0, 0, False), (True, 0, 0, True), (False, 0, 1, True), (True, 2, 1, False)],
)
def test_what_may_be_better_by_now_is_typed_through_all_the_same(
    was_late, n_typed, n_edits_elsewhere, is_outdated
):
    known = Known("1", "total", 0, n_typed=n_typed, was_late=was_late)
    assert known.is_outdated(n_edits_elsewhere) == is_outdated


def test_the_latest_one_counts():
    suggestions = kept(text="old")
    suggestions.keep(URI, "x = ", "\n", Known("2", "new", 0))
    assert suggestions.find(URI, "x = ", "\n").text == "new"
    assert suggestions.find(URI, "x = o", "\n").text == "ld"


def test_a_foreseen_suggestion_is_there_after_acceptance():
    suggestions = kept()
    suggestions.keep(URI, "x = total(a, b)", "\n", Known("2", "\ny = 2", 0))
    assert suggestions.find(URI, "x = total(a, b)", "\n").text == "\ny = 2"


def test_other_documents_are_not_asked():
    assert kept().find("file:///b.py", "x = ", "\n") is None


def test_only_so_many_are_kept():
    suggestions = Suggestions(most=3)
    for n in range(5):
        suggestions.keep(URI, f"{n} = ", "", Known(str(n), "x", 0))
    found = [suggestions.find(URI, f"{n} = ", "") is not None for n in range(5)]
    assert found == [False, False, True, True, True]


def test_only_so_much_text_is_kept():
    suggestions = Suggestions(most_characters=250)
    for n in range(3):
        suggestions.keep(URI, f"{n}" * 100, "", Known(str(n), "x", 0))
    assert suggestions.find(URI, "0" * 100, "") is None
    assert suggestions.find(URI, "2" * 100, "") is not None


def test_a_document_is_forgotten():
    suggestions = kept()
    suggestions.forget("file:///b.py")
    assert suggestions.find(URI, "x = ", "\n") is not None
    suggestions.forget(URI)
    assert suggestions.find(URI, "x = ", "\n") is None
