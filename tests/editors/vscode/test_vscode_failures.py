"""What VS Code's user sees when something of Crosslight ends, is missing, or may not run."""

from __future__ import annotations

import json

import psutil
import pytest
from conftest import CROSSLIGHT, new_window
from vscode_server import vscode

BILL = """from shop.invoice import Invoice


def bill(invoice: Invoice) -> None:
    invoice.|
"""
READY = "Crosslight: ready"


def test_what_is_shown_and_accepted_is_counted(window, open_file, home):
    before = json.loads(home.ok("stats", "--json"))["total"]
    open_file("counting.py", BILL)
    window.type("add_")
    suggested = window.until_ghost()
    window.press("Control+ArrowRight")
    window.until_ghost(lambda ghost: ghost != suggested)
    window.press("Tab")
    window.until_no_ghost_of(suggested)

    def counted():
        total = json.loads(home.ok("stats", "--json"))["total"]
        return {name: total[name] - before[name] for name in ("shown", "accepted")}

    window.until(counted, lambda n: n["shown"] >= 1 and n["accepted"] == 1, "what is counted")


def test_an_engine_that_is_killed_comes_back_unseen(window, open_file, home):
    open_file("recovering.py", BILL)
    window.type("add_")
    window.until_ghost()
    window.press("Escape", "Backspace")
    engine = psutil.Process(json.loads(home.ok("engine", "status", "--json"))["engine"]["pid"])
    engine.kill()
    engine.wait(60)
    window.until(lambda: window.status, lambda label: label not in {READY, "Crosslight: busy"}, "the status")
    window.picture("engine killed")
    window.until_status(READY)
    window.type("_")
    assert window.until_ghost().startswith("line(")
    assert window.messages == []
    window.picture("recovered")


def test_a_server_that_ends_again_and_again_is_told_of_and_started_by_hand(window, open_file, code):
    open_file("crashing.py", BILL)
    while window.until_status_like(READY, "Crosslight: error") == READY:
        for process in code.processes("serve"):
            process.kill()
            process.wait(60)
        window.until(lambda: window.status, lambda label: label != READY, "the status")
    message = window.message("ended again and again")
    window.picture("crashed")
    message.get_by_role("button", name="Restart").click()
    window.until_status(READY)
    window.type("add_")
    assert window.until_ghost().startswith("line(")


@pytest.fixture
def without_server(fetched, editor_homes, tmp_path):
    """A VS Code that finds no server, and a `uv` that installs the one that is tested."""
    home = editor_homes.new(with_model=True)
    programs = home.home / ".local" / "bin"
    programs.mkdir(parents=True)
    uv = programs / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nln -s {CROSSLIGHT} {programs}\n')
    uv.chmod(0o700)
    with vscode(fetched, home, tmp_path / "code") as running:
        yield running


def test_a_missing_server_is_told_of_and_installed_at_a_click(
    without_server, chromium, repository, pictures, tmp_path
):
    window = new_window(chromium, pictures, "missing")
    window.go(without_server.url, repository)
    message = window.message("The server is not installed")
    assert "not installed" in window.status
    window.picture("offer")
    message.get_by_role("button", name="Install").click()
    window.until_status(READY)
    window.picture("installed")
    assert (tmp_path / "arguments").read_text().startswith("tool install ")
    window.page.context.close()


def test_nothing_runs_in_a_folder_whose_authors_are_not_trusted(code, chromium, repository, pictures):
    n_running = len(code.processes("serve"))
    window = new_window(chromium, pictures, "restricted")
    window.go(code.url, repository, trusting=False)
    window.open("shop/mail.py", 9, 1)
    window.type("x")
    window.page.locator(".statusbar-item", has_text="Restricted Mode").wait_for()
    window.picture("restricted")
    assert window.status == ""
    assert len(code.processes("serve")) == n_running
    window.page.context.close()
