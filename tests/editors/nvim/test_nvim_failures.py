"""What a person sees when something is missing, or ends."""

from __future__ import annotations

import json
import os
import re
import signal

from nvim_scenes import suggested


def test_an_engine_that_is_killed_is_replaced_unseen(start, editor_homes):
    home = editor_homes.new(with_model=True)
    editor = start("shop/mail.py", command=home)
    editor.until_ready()
    suggested(editor)
    engine = json.loads(home.ok("engine", "status", "--json"))["engine"]
    os.kill(engine["pid"], signal.SIGKILL)
    editor.keys("<C-]>")
    editor.keys("<BS>")
    editor.type("_")
    editor.until_ready()
    while not editor.ghost:  # the new engine shows nothing until it has its model
        editor.keys("<BS>")
        editor.type("_")
        editor.until_answered()
    assert editor.ghost.startswith("line(")
    assert json.loads(home.ok("engine", "status", "--json"))["engine"]["pid"] != engine["pid"]
    assert "rror" not in editor.messages


def test_a_server_that_is_not_installed_is_said_once_and_by_the_health_check(start, editor_homes, tmp_path):
    home = (
        editor_homes.new().with_variables(PATH="/usr/bin:/bin").running(tmp_path / "nowhere" / "crosslight")
    )
    editor = start("shop/mail.py", command=home)
    editor.ex("edit shop/invoice.py")
    editor.ex("edit shop/customer.py")
    said = editor.until(lambda: re.findall("crosslight.*", editor.messages, re.IGNORECASE), "message")
    assert len(said) == 1
    editor.keys("ix<Tab>y<Esc>")
    assert editor.line.startswith("x")
    assert len(re.findall("crosslight.*", editor.messages, re.IGNORECASE)) == 1
    editor.ex("checkhealth crosslight")
    report = editor.until(lambda: "\n".join(editor.lines) if len(editor.lines) > 3 else "", "report")
    assert "ERROR" in report
    assert "pip" in report  # how it is installed


def test_a_model_that_is_not_installed_is_said_with_its_cure(start, editor_homes):
    editor = start("shop/mail.py", command=editor_homes.new())
    editor.until(lambda: "model pull" in editor.messages, "message")  # on one line: no key is needed
    editor.until(lambda: editor.status == "error", "status of an error")
    editor.ex("Crosslight status")
    editor.until(lambda: "crosslight model pull" in "\n".join(editor.lines), "cure")
