"""What users are told of a suggestion that they do not see, or hardly: its colour, its cure, its reason."""

from __future__ import annotations

import pytest
from nvim_scripted import SETUP, scripted, suggest

LOOK = 'return vim.api.nvim_get_hl(0, { name = "CrosslightSuggestion", link = false })'


@pytest.mark.parametrize(
    ("before", "look"),
    [
        ("", {"ctermfg": 244, "fg": 0x808080}),
        ("highlight NonText ctermfg=5 guifg=#010203", {"ctermfg": 5, "fg": 0x010203}),
        ("highlight NonText guifg=#010203", {"ctermfg": 244, "fg": 0x010203}),
        ("highlight CrosslightSuggestion ctermfg=3 guifg=#040506", {"ctermfg": 3, "fg": 0x040506}),
    ],
    ids=["of Neovim", "of a colour scheme", "of one for true colours alone", "the user's own"],
)
def test_a_suggestion_has_a_colour_of_its_own_in_every_terminal(start, before, look):
    editor = scripted(start, f"vim.cmd [[{before}]]\n{SETUP}")
    shown = editor.lua(LOOK)
    assert {key: shown[key] for key in look} == look


def test_a_colour_scheme_that_comes_later_is_followed(start):
    editor = scripted(start)
    editor.ex("colorscheme habamax")
    assert editor.lua(LOOK) == editor.lua(LOOK.replace("CrosslightSuggestion", "NonText"))
    editor.ex("colorscheme default")
    assert editor.lua(LOOK)["ctermfg"] == 244
    suggest(editor, "more")
    editor.type("o")
    assert editor.until_suggested() == "more"
