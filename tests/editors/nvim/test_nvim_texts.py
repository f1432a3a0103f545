"""Files that are not plain: line ends, tabs, characters of other widths than one, several lines at once."""

from __future__ import annotations

import pytest
from nvim_scenes import BILL, TYPED
from shop import write_shop

INDENTED_BY_TABS = BILL.replace("    ", "\t")
EMOJI = 'invoice.add_line("🧾 日本 e\u0301 👩‍👩‍👧", '


@pytest.mark.parametrize(
    ("text", "typed"),
    [(BILL, TYPED), (INDENTED_BY_TABS, TYPED), (BILL, EMOJI)],
    ids=["spaces", "tabs", "wide characters before the cursor"],
)
def test_a_suggestion_stands_right_behind_the_cursor_and_is_what_is_accepted(editor, text, typed):
    editor.open("shop/billing.py", text)
    editor.type(typed)
    editor.keys(r"<M-\>")
    ghost = editor.until_suggested()
    assert editor.after_cursor == ghost
    before = editor.line
    editor.keys("<Tab>")
    assert editor.line == before + ghost
    assert editor.after_cursor == ""


def test_a_file_with_carriage_returns_keeps_them(start, tmp_path):
    shop = write_shop(tmp_path / "shop")
    file = shop / "shop" / "billing.py"
    file.write_bytes(BILL.replace("|", "").replace("\n", "\r\n").encode())
    editor = start("shop/billing.py", folder=shop)
    editor.until_ready()
    editor.keys("6GA<CR>")
    editor.type(TYPED)
    ghost = editor.until_suggested()
    assert "\r" not in ghost
    assert "^M" not in editor.screen.text
    editor.keys("<Tab>")
    editor.keys("<Esc>")
    editor.ex("write")
    written = file.read_bytes()
    assert f"    {TYPED}{ghost}\r\n".encode() in written
    assert written.count(b"\r\n") == written.count(b"\n")
    assert written.count(b"\r") == written.count(b"\n")


def test_brackets_behind_the_cursor_are_not_doubled(editor):
    editor.open(
        "shop/billing.py", BILL.replace('Invoice(customer, "EUR")', "Invoice(|)").replace("    |\n", "")
    )
    editor.type("c")
    editor.keys(r"<M-\>")
    editor.until_suggested()
    promised = editor.screen.lines[editor.screen.cursor[0]]
    editor.keys("<Tab>")
    assert editor.line == promised
    assert editor.line.count("(") == editor.line.count(")")
