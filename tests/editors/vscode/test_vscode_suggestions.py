"""Suggestions in VS Code: seen, typed through, accepted, dismissed, undone."""

from __future__ import annotations

BILL = """from shop.invoice import Invoice


def bill(invoice: Invoice) -> None:
    invoice.|
"""
LINE = 4


def test_a_suggestion_appears_while_typing(window, open_file):
    open_file("billing.py", BILL)
    window.type("add_")
    assert window.until_ghost().startswith("line(")
    assert window.text[LINE] == "    invoice.add_"
    window.picture("ghost text")


def test_typing_what_is_suggested_keeps_the_rest(window, open_file):
    open_file("billing.py", BILL)
    window.type("add_")
    suggested = window.until_ghost()
    for n_typed in range(1, 5):
        window.type(suggested[n_typed - 1])
        window.until_ghost(lambda ghost, n_typed=n_typed: ghost == suggested[n_typed:])
    assert window.text[LINE] == f"    invoice.add_{suggested[:4]}"
    window.picture("typed through")


def test_a_word_is_accepted(window, open_file):
    open_file("billing.py", BILL)
    window.type("add_")
    suggested = window.until_ghost()
    window.press("Control+ArrowRight")
    rest = window.until_ghost(lambda ghost: ghost != suggested)
    accepted = suggested.removesuffix(rest)
    assert accepted == "line"
    assert window.text[LINE] == f"    invoice.add_{accepted}"
    window.picture("a word accepted")


def test_all_of_it_is_accepted_and_one_undo_takes_it_back(window, open_file):
    open_file("billing.py", BILL)
    window.type("add_")
    suggested = window.until_ghost()
    window.press("Tab")
    window.until(lambda: window.text[LINE], lambda line: line == f"    invoice.add_{suggested}", "the line")
    behind = (LINE + 1, len(f"    invoice.add_{suggested}") + 1)
    window.until(lambda: window.place, lambda place: place == behind, "the cursor")
    window.picture("accepted")
    window.press("Control+z")
    window.until(lambda: window.text[LINE], lambda line: line == "    invoice.add_", "the line")
    window.picture("undone")


def test_a_dismissed_suggestion_is_gone_until_something_is_typed(window, open_file):
    open_file("billing.py", BILL)
    window.type("add_")
    suggested = window.until_ghost()
    window.press("Escape")
    window.until_no_ghost()
    assert window.text[LINE] == "    invoice.add_"
    window.picture("dismissed")
    window.type(suggested[0])
    window.until_ghost(lambda ghost: ghost == suggested[1:])


def test_a_suggestion_comes_when_it_is_asked_for(window, open_file):
    open_file("billing.py", BILL.replace("invoice.|", "invoice.add_|"))
    assert window.ghost == ""
    window.press("Alt+\\")
    assert window.until_ghost().startswith("line(")
    window.picture("asked for")


def test_edits_while_a_request_runs_leave_a_suggestion_that_fits(window, open_file):
    file = open_file("billing.py", BILL)
    for key in ("x", "y", "Backspace", "a", "Backspace", "Backspace", *"add", "_", "l", "Backspace"):
        window.press(key)
    suggested = window.until_ghost(lambda ghost: ghost.startswith("line("))
    window.press("Tab")
    window.until(lambda: window.text[LINE], lambda line: line == f"    invoice.add_{suggested}", "the line")
    window.save()
    assert file.read_text() == BILL.replace("|", f"add_{suggested}")
