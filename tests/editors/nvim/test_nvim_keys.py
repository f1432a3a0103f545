"""Keys mean what they meant, unless a suggestion is on the screen."""

from __future__ import annotations

import pytest
from nvim_scenes import BILL, BLOCK, TYPED, suggested

OWN_MAPPING = 'vim.keymap.set("i", "<Tab>", "own", {})\n'
OWN_EXPRESSION = 'vim.keymap.set("i", "<Tab>", function() return "ow" .. "n" end, { expr = true })\n'
OWN_FOR_PYTHON = """
vim.api.nvim_create_autocmd("FileType", {
  pattern = "python",
  callback = function() vim.keymap.set("i", "<Tab>", "own", { buffer = true }) end,
})
"""
SETUP = 'require("crosslight").setup()\n'
UNSEEN = 'require("crosslight").enable(false)'


def test_tab_is_a_tab_where_nothing_is_shown(editor):
    editor.lua(UNSEEN)
    editor.open("shop/billing.py", BILL)
    editor.keys("x<Tab>y")
    assert editor.line == "    x   y"  # as Neovim's own file type settings for Python have it


@pytest.mark.parametrize(
    "init",
    [OWN_MAPPING + SETUP, SETUP + OWN_MAPPING, OWN_EXPRESSION + SETUP, OWN_FOR_PYTHON + SETUP],
    ids=["mapped before", "mapped after", "an expression", "in each buffer"],
)
def test_tab_keeps_the_meaning_that_the_user_gave_it(start, init):
    editor = start("shop/mail.py", init=init)
    editor.until_ready()
    editor.lua(UNSEEN)
    editor.open("shop/billing.py", BILL)
    editor.keys("x<Tab>y")
    assert editor.line == "    xowny"


def test_tab_of_the_user_comes_back_when_the_suggestion_is_gone(start):
    editor = start("shop/mail.py", init=OWN_MAPPING + SETUP)
    editor.until_ready()
    ghost = suggested(editor)
    editor.keys("<Tab>")
    assert editor.line == f"    {TYPED}{ghost}"
    editor.keys("<C-]>")  # whatever is suggested next
    editor.keys("<Tab>")
    assert editor.line == f"    {TYPED}{ghost}own"


def test_keys_of_the_user_are_taken_instead_of_the_defaults(start):
    own = 'require("crosslight").setup { keys = { accept = "<C-l>", dismiss = false } }\n'
    editor = start("shop/mail.py", init=own)
    editor.until_ready()
    ghost = suggested(editor)
    editor.keys("<C-l>")
    assert editor.line == f"    {TYPED}{ghost}"


def test_keys_without_a_suggestion_do_what_they_did(editor):
    editor.lua(UNSEEN)
    editor.open("shop/billing.py", BILL)
    editor.keys("<C-]>x")  # expands an abbreviation, if there is one
    assert editor.line == "    x"
    assert editor.screen.mode == "insert"


def test_nothing_is_drawn_over_a_popup_menu(editor):
    editor.ex("set completeopt=menu,menuone,noselect")
    editor.open("shop/billing.py", BILL.replace("|", "invoice.add_line('Paper', 100)\n    |"))
    editor.type(TYPED)
    editor.until_suggested()
    editor.keys("<C-x><C-n>")  # complete from the file's own words
    editor.until(lambda: editor.lua("return vim.fn.pumvisible()"), "popup menu")
    editor.until_answered()
    assert editor.lua("return vim.fn.pumvisible()")
    assert editor.ghost == ""
    editor.keys("<C-e>")
    assert not editor.lua("return vim.fn.pumvisible()")


def test_tab_in_leading_white_space_indents_before_it_accepts(editor):
    editor.open("shop/report.py", BLOCK.replace("    |", "|"))
    editor.keys(r"<M-\>")
    assert editor.until_suggested().startswith("    ")  # the whole body, its indentation with it
    editor.keys("<Tab>")
    assert editor.line == "    "
    first, *further = editor.until_suggested().split("\n")
    editor.keys("<Tab>")
    assert editor.lines[-1 - len(further) :] == [f"    {first}", *further]


def test_the_only_suggestion_is_the_next_and_the_previous_one(editor):
    ghost = suggested(editor)
    for key in ("<M-]>", "<M-[>"):
        editor.keys(key)
        assert editor.ghost == ghost
        assert editor.line == f"    {TYPED}"
