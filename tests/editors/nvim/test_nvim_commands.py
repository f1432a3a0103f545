"""The command, the status line, the help and the health check, in real Neovim."""

from __future__ import annotations

import json
import re

from nvim_scenes import BILL, TYPED, suggested

SUBCOMMANDS = {"status", "explain", "reindex", "pause", "resume", "toggle", "trigger", "log"}


def has_filetype(editor, name):
    return lambda: editor.lua("return vim.bo.filetype") == name


def test_status_tells_of_the_model_and_the_repository(editor):
    editor.ex("Crosslight status")
    editor.until(has_filetype(editor, "crosslight-status"), "window")
    shown = "\n".join(editor.lines)
    assert "qwen2.5-coder-0.5b" in shown
    assert "shop" in shown
    editor.keys("q")
    assert editor.lua("return vim.bo.filetype") == "python"


def test_status_line_says_how_it_is(editor):
    editor.lua("vim.o.statusline = [[%{%v:lua.require'crosslight'.statusline()%}]]")
    assert editor.lua('return require("crosslight").statusline()').startswith("crosslight")
    editor.ex("Crosslight pause 10")
    editor.until(lambda: "crosslight: paused" in editor.screen.text, "word of the pause")
    editor.ex("Crosslight resume")
    editor.until(lambda: "crosslight: paused" not in editor.screen.text, "word of the end")


def test_explain_names_the_definitions_and_jumps_to_one(editor):
    suggested(editor)
    editor.keys("<Tab><Esc>")
    editor.ex("Crosslight explain")
    editor.until(lambda: "shop/invoice.py" in editor.screen.text, "definition")
    editor.keys("/shop.invoice<CR>")
    path, row = re.search(r"(shop/\w+\.py):(\d+)", editor.line).groups()
    editor.keys("<CR>")
    editor.until(has_filetype(editor, "python"), "file")
    assert editor.lua("return vim.fn.expand('%:p')").endswith(f"/{path}")
    assert editor.lua("return vim.fn.line('.')") == int(row)
    assert re.match(r"class|\s+def", editor.line)


def test_pausing_stops_suggestions_until_it_is_over(editor):
    editor.ex("Crosslight pause")
    editor.until(lambda: editor.status == "paused", "pause")
    editor.open("shop/billing.py", BILL)
    editor.type(TYPED)
    editor.until_answered()
    assert editor.ghost == ""
    editor.ex("Crosslight resume")
    editor.until(lambda: editor.status == "ready", "end of the pause")
    editor.keys("<BS>")
    editor.type("_")
    assert editor.until_suggested()


def test_toggling_is_for_one_buffer_or_for_all(editor):
    editor.ex("Crosslight toggle buffer")
    assert editor.status == "off"
    editor.keys("Goinvoice.")
    assert editor.asked == []
    editor.keys("<Esc>")
    suggested(editor)
    editor.keys("<Esc>")
    editor.ex("Crosslight toggle")
    n_asked = len(editor.asked)
    editor.keys("A")
    editor.keys("<BS>")
    editor.type("_")
    assert len(editor.asked) == n_asked
    assert editor.ghost == ""
    editor.ex("Crosslight toggle")
    editor.keys("<BS>")
    editor.type("_")
    assert editor.until_suggested()


def test_the_command_completes_its_subcommands(editor):
    assert {*editor.lua('return vim.fn.getcompletion("Crosslight ", "cmdline")')} == SUBCOMMANDS
    assert editor.lua('return vim.fn.getcompletion("Crosslight ex", "cmdline")') == ["explain"]


def test_help_is_found(editor):
    editor.ex("helptags ALL")
    for tag in ("crosslight", ":Crosslight", "crosslight.setup()"):
        editor.ex(f"help {tag}")
        assert editor.lua("return vim.fn.expand('%:t')") == "crosslight.txt"


def test_the_health_check_finds_nothing_wrong(editor):
    editor.ex("checkhealth crosslight")
    report = editor.until(lambda: "\n".join(editor.lines) if len(editor.lines) > 3 else "", "report")
    assert "ERROR" not in report
    assert "WARNING" not in report
    assert "OK" in report


def test_what_was_shown_and_accepted_is_counted(editor, at_home):
    def counted():
        return json.loads(at_home.ok("stats", "--json"))["total"]

    before = counted()
    suggested(editor)
    editor.keys("<Tab>")
    suggested(editor, "shop/other.py")
    editor.keys("<M-Right>")
    editor.until(lambda: counted()["accepted"] == before["accepted"] + 2, "count of what was accepted")
    editor.until(
        lambda: counted()["partially_accepted"] == before["partially_accepted"] + 1, "count of words"
    )
    assert counted()["shown"] >= before["shown"] + 2
