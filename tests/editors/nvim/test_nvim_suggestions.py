"""Suggestions in real Neovim, from the real server and model: what a person sees, and what keys do to it."""

from __future__ import annotations

import fetch_nvim
from nvim_editor import GHOST, PLUGIN
from nvim_picture import draw
from nvim_scenes import BILL, BLOCK, REMIND, TYPED, suggested

PICTURE = PLUGIN / "screenshot.png"
PICTURE_SIZE = (92, 18)
MOST_PICTURE_BYTES = 100_000
BEFORE = BILL.replace("|", TYPED).removesuffix("\n").split("\n")
ROW = 6


def test_what_is_typed_is_completed_from_the_repository(editor):
    ghost = suggested(editor)
    assert ghost.startswith("line(")  # a method that only another file names
    assert editor.lines == BEFORE  # what is not accepted is not in the file
    assert editor.screen.lines[ROW] == f"    {TYPED}{ghost}"
    assert editor.screen.cursor == (ROW, len(f"    {TYPED}"))
    plain = {editor.screen.style(cell).foreground for cell in editor.screen.rows[ROW][: len(TYPED)]}
    ghostly = editor.screen.style(editor.screen.rows[ROW][editor.screen.cursor[1]])
    assert ghostly.groups == GHOST
    assert ghostly.foreground not in plain  # it can be told from what was written


def test_typing_what_is_suggested_leaves_the_rest(editor):
    ghost = suggested(editor)
    for n_typed in range(1, 5):
        editor.type(ghost[n_typed - 1])
        assert editor.until_suggested() == ghost[n_typed:]
        assert editor.line == f"    {TYPED}{ghost[:n_typed]}"


def test_accepting_is_one_step_to_undo(editor):
    ghost = suggested(editor)
    editor.keys("<Tab>")
    assert editor.line == f"    {TYPED}{ghost}"
    assert editor.screen.cursor == (ROW, len(editor.line))
    editor.keys("<Esc>u")
    assert editor.lines == BEFORE
    editor.keys("<C-r>")
    assert editor.line == f"    {TYPED}{ghost}"
    editor.keys("uu")
    assert editor.lines == BILL.replace("|", "").removesuffix("\n").split("\n")


def test_a_word_is_accepted(editor):
    ghost = suggested(editor)
    editor.keys("<M-Right>")
    accepted = editor.line.removeprefix(f"    {TYPED}")
    assert accepted.startswith("line")
    assert ghost.startswith(accepted)
    assert len(accepted) < len(ghost)
    assert editor.until_suggested() == ghost[len(accepted) :]  # the rest stays
    editor.keys("<Tab>")
    assert editor.line == f"    {TYPED}{ghost}"


def test_dismissing_leaves_the_file_and_is_over_with_the_next_key(editor):
    ghost = suggested(editor)
    editor.keys("<C-]>")
    assert editor.ghost == ""
    assert editor.lines == BEFORE
    assert editor.screen.mode == "insert"
    editor.type(ghost[0])
    assert editor.until_suggested()


def test_leaving_insert_mode_hides_the_suggestion(editor):
    suggested(editor)
    editor.keys("<Esc>")
    assert editor.ghost == ""
    assert editor.lines == BEFORE


def test_moving_the_cursor_hides_the_suggestion(editor):
    suggested(editor)
    editor.keys("<Up>")
    assert editor.after_cursor not in editor.ghost
    assert editor.screen.lines[ROW] == f"    {TYPED}"
    assert editor.lines == BEFORE


def test_a_suggestion_is_asked_for_by_hand_where_none_comes_by_itself(editor):
    editor.lua('require("crosslight").enable(false)')
    editor.open("shop/billing.py", BILL)
    editor.type(TYPED)
    assert editor.asked == []
    assert editor.ghost == ""
    editor.keys(r"<M-\>")
    ghost = editor.until_suggested()
    editor.keys("<Tab>")
    assert editor.line == f"    {TYPED}{ghost}"


def test_editing_while_a_request_runs_shows_what_fits_the_text_of_now(editor):
    editor.open("shop/billing.py", BILL)
    editor.nvim.request("nvim_input", "invoice.cur")  # nothing is waited for: answers come late or never
    editor.nvim.request("nvim_input", "<BS><BS><BS>add")
    editor.type("_")
    ghost = editor.until_suggested()
    assert editor.lines == BEFORE
    editor.until_answered()
    assert editor.screen.lines[ROW] == f"    {TYPED}{editor.ghost}"
    editor.keys("<Tab>")
    assert editor.line == f"    {TYPED}{ghost}"


def test_a_block_is_shown_below_the_line_and_accepted_by_line_or_whole(editor):
    editor.open("shop/billing.py", BLOCK)
    editor.keys(r"<M-\>")
    first, *further = editor.until_suggested().split("\n")
    assert further
    row = editor.screen.cursor[0]
    assert editor.screen.lines[row] == f"    {first}"
    assert editor.screen.lines[row + 1 : row + 1 + len(further)] == further
    before = editor.lines
    editor.keys("<M-C-Right>")
    assert editor.lines == [*before[:-1], f"    {first}"]
    editor.until(lambda: further[0] in editor.ghost, "rest of the block")
    editor.keys("<Tab>")
    assert editor.lines == [*before[:-1], f"    {first}", *further]
    editor.keys("<Esc>uu")
    assert editor.lines == before


def test_the_readmes_picture_shows_a_suggestion_and_where_it_came_from(
    start, font, version, makes_readme_pictures
):
    editor = start("shop/mail.py", size=PICTURE_SIZE)
    editor.until_ready()
    editor.open("shop/reminders.py", REMIND)
    editor.keys(r"<M-\>")
    editor.until_suggested()
    suggestion = editor.screen
    editor.keys("<Tab><Esc>")
    editor.ex("Crosslight explain")
    editor.until(lambda: "shop/" in editor.screen.text and "%" in editor.screen.text, "definition")
    if makes_readme_pictures and version == fetch_nvim.VERSIONS[0]:
        draw([suggestion, editor.screen], font, PICTURE)
    assert PICTURE.stat().st_size < MOST_PICTURE_BYTES
