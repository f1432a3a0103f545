"""When suggestions come and go: modes, places beyond the text, buffers that end, commands that come back."""

from __future__ import annotations

import pytest
from nvim_scripted import scripted, suggest

ASK_AND_HEAR = """
require("crosslight").trigger()
local client_id = vim.lsp.get_clients({ name = "crosslight" })[1].id
for _, message in ipairs({ "loading the model", "" }) do
  local news = { kind = "Normal", busy = false, message = message }
  require("crosslight.status").on_change(nil, news, { client_id = client_id })
end
"""


@pytest.fixture
def editor(start):
    editor = scripted(start)
    suggest(editor, "suggested")
    return editor


@pytest.mark.parametrize("keys", ["i", "a", "A", "o", "I", "cc", "A<C-o>zz", "A<C-r>=<Esc>"])
def test_insert_mode_has_suggestions_however_it_is_entered(editor, keys):
    editor.keys(keys)
    assert editor.until_suggested() == "suggested"


@pytest.mark.parametrize("keys", ["R", "gR", "A<Insert>", "v", "A<C-o>v"])
def test_other_modes_have_none(editor, keys):
    editor.keys(keys)
    editor.settle()
    assert editor.ghost == ""
    assert editor.lua('return require("crosslight").accept()') is False


def test_beyond_a_lines_end_nothing_is_suggested(editor):
    editor.ex("set virtualedit=all")
    editor.keys("A")
    editor.until_suggested()
    editor.keys("<Right>")
    assert editor.ghost == ""
    line = editor.line
    editor.keys("x")
    assert editor.line == f"{line} x"
    assert editor.until_suggested() == "suggested"


@pytest.mark.parametrize("command", ["bwipeout!", "bdelete!", "enew!", "edit!", "split", "tabnew", "quit!"])
def test_nothing_stays_when_the_buffer_or_the_window_is_left(editor, command):
    editor.ex("edit! other.txt")
    if command == "quit!":
        editor.ex("split")
    editor.keys("A")
    editor.until_suggested()
    editor.keys(f"<Cmd>{command}<CR><Esc>")
    editor.settle()
    assert editor.ghost == ""
    assert editor.messages == ""


def test_a_window_on_the_same_buffer_has_suggestions_of_its_own(editor):
    editor.keys("A")
    editor.until_suggested()
    editor.keys("x<Cmd>split<CR><Left>")
    editor.until(lambda: editor.lua('return (require("crosslight").visible() or {}).col') == 0, "suggestion")
    assert editor.lua('return require("crosslight").visible().row + 1') == editor.lua(
        "return vim.fn.line('.')"
    )


def test_what_is_accepted_is_not_broken_by_text_width(editor):
    suggest(editor, "one two three four five")
    editor.ex("set textwidth=10 formatoptions+=t")
    editor.keys("ox ")
    editor.until_suggested()
    editor.keys("<Tab>")
    assert editor.line == "x one two three four five"


def test_a_recorded_macro_plays_what_was_typed(editor):
    editor.keys("qqox")
    editor.until_suggested()
    editor.keys("<C-]>y<Esc>q")
    editor.keys("@q")
    assert editor.lines == ["", "xy", "xy"]


@pytest.mark.parametrize(
    ("before", "rest", "ghost"),
    [("\t", "\tx", "        x"), ("日", "\tx", "      x"), ("a", "\tx", "       x")],
    ids=["tab", "wide", "plain"],
)
def test_a_tab_of_a_suggestion_reaches_its_stop(editor, before, rest, ghost):
    """Also where the cursor is on a character of several columns."""
    suggest(editor, rest)
    editor.ex("set tabstop=8 noexpandtab")
    editor.open("tabs.txt", f"{before}|日")
    assert editor.until_suggested() == ghost


def test_asking_by_hand_says_why_nothing_can_come(editor):
    editor.keys(":Crosslight trigger<CR>")
    assert "insert mode" in editor.messages
    editor.ex("enew | set buftype=nofile | messages clear")
    editor.keys("i<Cmd>Crosslight trigger<CR>")
    assert "it is no file" in editor.messages


def test_news_of_the_server_does_not_cancel_what_was_asked_by_hand(editor):
    editor.lua('require("crosslight").enable(false)')
    editor.keys("i")
    editor.lua(ASK_AND_HEAR)
    assert editor.until_suggested() == "suggested"
