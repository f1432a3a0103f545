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


STATUS = {
    "version": "1",
    "status": {"kind": "Normal", "busy": False, "message": ""},
    "model": {"kind": "ready", "message": ""},
    "paused": False,
    "last": {"uri": "file:///elsewhere.py", "reason": None, "explanation": None, "latencyMs": 7},
}


def answers(editor, command, answer):
    editor.lua("_G.answers = { ['crosslight.' .. select(1, ...)] = select(2, ...) }", command, answer)


def status(editor, **changes):
    """Return what `:Crosslight status` shows of the current buffer."""
    answers(editor, "status", STATUS | changes)
    editor.ex("Crosslight status")
    editor.until(lambda: editor.lua("return vim.bo.filetype") == "crosslight-status", "window")
    shown = "\n".join(editor.lines)
    editor.keys("q")
    return shown


@pytest.mark.parametrize(
    ("commands", "why"),
    [
        ("enew", "it has neither a name nor a file type"),
        ("edit large.txt", "it is larger than `max_bytes`"),
    ],
)
def test_a_buffer_that_is_not_served_says_so_and_why(start, shop, commands, why):
    (shop / "large.txt").write_text("x" * 2000)
    editor = scripted(start, SETUP.replace('"true" }', '"true" }, max_bytes = 1000'))
    assert "not served" not in status(editor)
    editor.ex(commands)
    shown = status(editor)
    assert f"This buffer is not served: {why}" in shown
    assert "Last request, in /elsewhere.py: a suggestion (7 ms)" in shown
    editor.keys("ix<Esc>")
    editor.ex("checkhealth crosslight")
    assert f"is not served: {why}" in "\n".join(editor.lines)


def test_status_says_where_suggestions_are_off_and_what_ends_it(start):
    editor = scripted(start)
    assert "off" not in status(editor)
    editor.ex("Crosslight toggle buffer")
    assert "off in this buffer; `:Crosslight toggle buffer` switches" in status(editor)
    editor.ex("Crosslight toggle buffer")
    editor.lua("vim.b.crosslight_enabled = nil")
    editor.ex("Crosslight toggle")
    assert "off; `:Crosslight toggle` switches" in status(editor)


def test_the_end_of_a_pause_is_named_as_it_is_typed_here(start):
    editor = scripted(start)
    last = STATUS["last"] | {"reason": "paused", "explanation": "the command crosslight.pause"}
    shown = status(editor, paused=True, last=last)
    assert "crosslight.pause" not in shown
    assert shown.count("`:Crosslight resume` ends that") == 2


def test_a_cause_that_the_server_gives_for_all_is_said_once(start):
    editor = scripted(start)
    cause = "no model is installed under this name"
    shown = status(
        editor,
        status={"kind": "Error", "busy": False, "message": cause},
        model={"kind": "missing", "message": cause},
        last=STATUS["last"] | {"reason": "model_missing", "explanation": cause},
    )
    assert shown.count(cause) == 1
    assert "Model: missing \n" in shown
    assert "nothing shown, as said above" in shown


def test_a_long_line_of_a_window_is_shown_to_its_end(start):
    editor = scripted(start)
    cure = " ".join(["word"] * 60) + " the cure"
    answers(editor, "status", STATUS | {"model": {"kind": "failed", "message": cure}})
    editor.ex("Crosslight status")
    editor.until(lambda: "the cure" in editor.screen.text, "all of the line")
    assert "Last request" in editor.screen.text


@pytest.mark.parametrize("width", [40, 60, 99])
def test_a_message_that_is_shortened_keeps_its_words_and_commands_whole(start, width):
    editor = scripted(start)
    text = (
        "Crosslight: the model that the settings name, a long name indeed, is not there or was not installed "
        "as a whole; so run `pull it`"
    )
    shown = editor.lua('return require("crosslight.status").shortened(...)', text, width)
    assert len(shown) <= width
    assert shown.endswith("`pull it`")
    assert {*shown.split()} <= {*text.split(), "…"}


def test_a_file_that_explain_leads_to_has_a_short_name(start, shop):
    editor = scripted(start)
    jump = {"path": str(shop / "shop" / "invoice.py"), "line": 3}
    lines = [{"chunks": [["there"]], "jump": jump}]
    editor.lua('require("crosslight.window").open("", "", ...)', lines)
    editor.keys("<CR>")
    assert editor.lua("return vim.fn.bufname()") == "shop/invoice.py"
    assert editor.lua("return vim.fn.line('.')") == 3


def test_asking_by_hand_in_a_buffer_that_is_not_served_says_why_and_goes_on(start):
    editor = scripted(start)
    editor.ex("enew")
    editor.keys(r"ia<M-\>b")
    assert editor.line == "ab"
    assert "it has neither a name nor a file type" in editor.messages


def test_the_key_to_ask_by_hand_is_left_to_who_has_it(start):
    editor = scripted(start, r"vim.cmd [[inoremap <M-\> own]]" + f"\n{SETUP}")
    editor.ex("enew")
    editor.keys(r"i<M-\>")
    assert editor.line == "own"
    editor.ex(r"iunmap <M-\>")
    editor.lua("""
        require("crosslight").setup({ cmd = { "true" } })
        require("crosslight").setup({ cmd = { "true" }, keys = { trigger = "<C-l>" } })
    """)
    maps = editor.nvim.request("nvim_get_keymap", "i")
    asking = {one["lhs"] for one in maps if one.get("desc") == "Crosslight: Ask for a suggestion"}
    assert asking == {"<C-L>", "<Plug>(crosslight-trigger)"}


def test_explain_says_that_it_is_about_another_buffer(start):
    editor = scripted(start)
    request = {"path": "shop/mail.py", "line": 1, "column": 1}
    answers(editor, "explainLast", {"request": request, "text": "x", "retrieved": []})
    editor.ex("enew")
    editor.ex("Crosslight explain")
    editor.until(lambda: "shop/mail.py" in editor.screen.text, "window")
    assert "This buffer is not served: it has neither" in editor.lines[0]
