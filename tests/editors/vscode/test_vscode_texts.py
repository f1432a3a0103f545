"""Texts that make offsets hard, and suggestions of several lines, in VS Code."""

from __future__ import annotations

IMPORT = "from shop.invoice import Invoice\n\n\n"
TOTAL = """def total_of(invoices: list[Invoice]) -> int:
    \"\"\"Return the sum of all invoices' totals.\"\"\"
    total = 0
    for invoice in invoices:"""


def test_a_file_with_crlf_keeps_its_line_ends(window, open_file):
    file = open_file("crlf.py", IMPORT + TOTAL + "|\n", line_end="\r\n")
    window.press("Enter")
    suggested = window.until_ghost()
    window.picture("crlf")
    window.press("Tab")
    window.until(lambda: "\n".join(window.text), lambda text: suggested in text, "the text")
    window.save()
    written = file.read_bytes()
    assert written.count(b"\r\n") == written.count(b"\n") > 6
    assert written.count(b"\r") == written.count(b"\n")


def test_a_file_with_tabs_gets_tabs(window, open_file):
    tabs = (IMPORT + TOTAL).replace("    ", "\t")
    file = open_file("tabs.py", tabs + "|\n")
    window.press("Enter")
    window.until_ghost()
    window.picture("tabs")
    window.press("Tab")
    window.until(lambda: window.ghost == "" or window.text[7].strip())
    window.save()
    written = file.read_text().splitlines()
    assert written[7].startswith("\t\t")
    assert not any(line.startswith(" ") or "\t " in line for line in written)


def test_emoji_before_the_cursor_shift_nothing(window, open_file):
    text = IMPORT + "def bill(invoice: Invoice) -> None:\n    party = '🎉👩‍👩‍👧 é'; invoice.|\n"
    file = open_file("emoji.py", text)
    window.type("add_")
    suggested = window.until_ghost()
    assert suggested.startswith("line(")
    window.picture("emoji")
    window.press("Tab")
    window.until_no_ghost_of(suggested)
    window.save()
    assert file.read_text() == text.replace("|", f"add_{suggested}")


def test_a_suggestion_of_several_lines_is_shown_and_accepted_whole(window, open_file):
    head = "def totals_by_party(invoices: list[Invoice]) -> dict[str, int]:\n"
    head += '    """Return the totals of each party, in a loop over the invoices."""'
    file = open_file("lines.py", IMPORT + head + "|\n")
    window.press("Enter")
    suggested = window.until_ghost(lambda ghost: "\n" in ghost)
    window.picture("several lines")
    window.press("Tab")
    window.until_no_ghost_of(suggested)
    window.save()
    accepted = file.read_text().partition(f"{head}\n")[2]
    assert [line.strip() for line in accepted.splitlines()] == [
        line.strip() for line in suggested.splitlines()
    ]
    assert "total" in accepted


def test_tab_indents_where_a_suggestion_begins_with_more_than_an_indentation(window, open_file):
    open_file("indenting.py", IMPORT + TOTAL + "\n|")
    window.press("Alt+\\")
    suggested = window.until_ghost()
    assert suggested.startswith(" " * 4)
    window.picture("in leading whitespace")
    window.press("Tab")
    indented = window.until(lambda: window.text[7], what="the line")
    assert indented.strip() == ""
    window.until_ghost(lambda ghost: ghost == suggested.removeprefix(indented))
    window.picture("indented")
    window.press("Tab")
    window.until(lambda: window.text[7], lambda line: line == suggested, "the line")


def test_a_word_of_the_popup_is_gone_on_from(window, open_file):
    """The popup's selected word is what the suggestion completes."""
    lines = [f'  invoice.add_line("coffee {n}", {100 * n})' for n in range(1, 6)]
    open_file("popup.rb", "\n".join(["def bill(invoice)", *lines, "  invoice.|", "end", ""]))
    window.type("add_l")
    popup = window.page.locator(".suggest-widget.visible .monaco-list-row.focused")
    popup.filter(has_text="add_line").wait_for()
    suggested = window.until_ghost(lambda ghost: ghost.startswith("ine"))
    window.picture("popup")
    window.press("Tab")
    window.until(lambda: window.text[6], lambda line: line == "  invoice.add_line", "the line")
    window.until_ghost(lambda ghost: ghost == suggested.removeprefix("ine"))
