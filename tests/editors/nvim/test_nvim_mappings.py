"""Mappings beside those of the plugin: what leads to the key itself, and what is given back."""

from __future__ import annotations

import pytest
from nvim_scripted import SETUP, own_keys, scripted, suggest

OTHER_SETUP = 'require("crosslight").setup({ cmd = { "true" }, keys = { accept = "<C-l>", next = false } })'
GONE = 'vim.lsp.enable("crosslight", false)'
BACK = 'vim.lsp.enable("crosslight", true)'
OURS = {"<Tab>", "<M-Right>", "<M-C-Right>", "<M-]>", "<M-[>", "<C-]>", "<M-Bslash>"}


@pytest.mark.parametrize(
    ("mapping", "typed", "line"),
    [
        ("imap <expr> <Tab> 1 ? '<Tab>' : '<C-n>'", "a<Tab>b<Tab><Tab>c", "a\tb\t\tc"),
        ("imap <Tab> <Tab>own", "a<Tab>b", "a\townb"),
        ("imap <buffer> <Tab> <Tab>own", "a<Tab>b", "a\townb"),
        ("inoremap <Tab> <C-o>:let g:x = 1<CR>own", "a<Tab>b", "aownb"),
    ],
    ids=["an expression", "its beginning", "of the buffer", "other modes"],
)
def test_a_mapping_that_leads_to_its_own_key_means_the_plain_one(start, mapping, typed, line):
    of_buffer = f"vim.api.nvim_create_autocmd('FileType', {{ command = [[{mapping}]] }})\n"
    editor = scripted(start, (of_buffer if "<buffer>" in mapping else f"vim.cmd [[{mapping}]]\n") + SETUP)
    editor.ex("set noexpandtab")
    editor.keys("o" + typed)
    assert editor.line == line
    assert editor.messages == ""
    assert editor.screen.mode == "insert"


def test_a_key_without_a_suggestion_still_ends_an_abbreviation(start):
    editor = scripted(start)
    editor.ex("iabbrev teh the")
    editor.keys("oteh<C-]>|")
    assert editor.line == "the|"


def test_keys_of_a_second_setup_take_the_place_of_the_first_ones(start):
    editor = scripted(start)
    assert {*own_keys(editor)} == OURS
    editor.lua(OTHER_SETUP)
    assert {*own_keys(editor)} == OURS - {"<Tab>", "<M-]>"} | {"<C-L>"}
    suggest(editor, "invoice")
    editor.keys("ox")
    editor.until_suggested()
    editor.keys("<C-l>")
    assert editor.line == "xinvoice"


def test_keys_are_given_back_when_the_server_is_gone_and_taken_again_when_it_comes(start):
    own = "vim.api.nvim_create_autocmd('FileType', { command = 'inoremap <buffer> <C-]> own' })\n"
    editor = scripted(start, own + SETUP)
    editor.lua(GONE)
    editor.until(lambda: editor.status == "absent", "end of the server")
    assert own_keys(editor) == ["<C-]>"]
    editor.keys("o<C-]><Esc>")
    assert editor.line == "own"
    editor.lua(BACK)
    editor.until_ready()
    assert {*own_keys(editor)} >= OURS


def test_keys_that_a_file_types_settings_map_anew_are_taken_again(start):
    own = "vim.api.nvim_create_autocmd('FileType', { command = 'inoremap <buffer> <Tab> own' })\n"
    editor = scripted(start, own + SETUP)
    editor.ex("edit!")
    editor.settle()
    suggest(editor, "invoice")
    editor.keys("ox")
    editor.until_suggested()
    editor.keys("<Tab>")
    assert editor.line == "xinvoice"
    suggest(editor, None)
    editor.keys("!")
    editor.until_answered()
    editor.keys("<Tab>")
    assert editor.line == "xinvoice!own"
