"""A server that ends: by itself, or as it was told."""

from __future__ import annotations

import re

from nvim_scripted import scripted

CRASHES = 'require("crosslight").setup({ cmd = { "sh", "-c", "exit 3" } })\n'
NEW_SETTINGS = 'require("crosslight").setup({ cmd = { "true" }, settings = { multiLine = "never" } })'
DEFAULTS = 'require("crosslight").setup({ cmd = { "true" } })'
SETTINGS = """
local client, config = vim.lsp.get_clients({ name = "crosslight" })[1], vim.lsp.config.crosslight
return { client.settings, client.config.init_options, config.settings or {} }
"""


def test_a_server_that_crashes_is_started_a_few_times_and_said_without_a_key_press(start):
    editor = start("shop/mail.py", init=CRASHES)
    editor.until(lambda: "again and again" in editor.messages, "end of trying")
    assert len(re.findall("exit code 3", editor.messages)) == 5
    editor.ex("Crosslight log")
    assert "the server ended with exit code 3" in "\n".join(editor.lines)


def test_a_server_that_was_switched_off_stays_off(start):
    editor = scripted(start)
    editor.lua('vim.lsp.enable("crosslight", false)')
    editor.until(lambda: editor.status == "absent", "end of the server")
    assert editor.lua('return vim.lsp.is_enabled("crosslight")') is False
    assert editor.messages == ""


def test_settings_of_a_second_setup_hold_for_servers_that_run_and_that_start(start):
    editor = scripted(start)
    editor.lua(NEW_SETTINGS)
    assert editor.lua(SETTINGS) == [{"crosslight": {"multiLine": "never"}}] * 3
    editor.lua(DEFAULTS)
    assert editor.lua(SETTINGS) == [{"crosslight": {}}, {"crosslight": {}}, []]


def test_settings_that_are_wrong_are_all_named_without_a_key_press(start):
    editor = scripted(start)
    editor.lua('require("crosslight").setup({ "x", cmd = 1, keys = { accept = 2, nope = "x" } })')
    editor.ex("Crosslight log")
    for problem in ("1 is no setting", "cmd must be", "keys.accept must be", "keys.nope is no setting"):
        assert problem in editor.lines[-1]
