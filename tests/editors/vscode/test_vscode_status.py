"""What VS Code tells of Crosslight, and what its commands do."""

from __future__ import annotations

import json
import re

BILL = """from shop.invoice import Invoice


def bill(invoice: Invoice) -> None:
    invoice.|
"""
READY = "Crosslight: ready"


def settings_of(code):
    return json.loads((code.folder / "User" / "settings.json").read_text())


def shown_status(window):
    window.run("Crosslight: Show Status")
    return window.message("Crosslight 0.").inner_text()


def test_the_menu_behind_the_status_bar_item_leads_to_every_command(window):
    window.click_status()
    window.entries.first.wait_for()
    entries = "\n".join(window.entries.all_inner_texts())
    window.picture("menu")
    for entry in ("Explain", "Pause", "Switch off everywhere", "Reindex", "Restart", "log", "Settings"):
        assert entry in entries
    window.choose("Show the status")
    said = window.message("Crosslight 0.").inner_text()
    assert "model: qwen2.5-coder-0.5b" in said
    assert re.search(r"shop: .*\d+ definitions", said), said
    window.picture("status")


def test_paused_nothing_comes_by_itself_but_what_is_asked_for(window, open_file):
    open_file("pausing.py", BILL)
    window.run("Crosslight: Pause or Resume Suggestions")
    window.choose("Until I resume")
    window.until_status("Crosslight: paused")
    window.type("add_")
    assert "paused" in shown_status(window).partition("last request")[2]
    assert window.ghost == ""
    window.picture("paused")
    window.press("Alt+\\")
    assert window.until_ghost().startswith("line(")
    window.press("Escape")
    window.run("Crosslight: Pause or Resume Suggestions")
    window.until_status(READY, "Crosslight: busy")
    window.type("l")
    assert window.until_ghost().startswith("ine(")


def test_suggestions_are_switched_off_and_on(window, open_file, code):
    open_file("switching.py", BILL)
    window.run("Crosslight: Switch Suggestions On or Off")
    window.until_status("Crosslight: off")
    assert settings_of(code)["crosslight.enabled"] is False
    window.picture("off")
    window.run("Crosslight: Switch Suggestions On or Off")
    window.until_status(READY)
    window.run("Crosslight: Switch Suggestions On or Off for This Language")
    window.until_status("Crosslight: off for python")
    assert settings_of(code)["crosslight.disabledLanguages"] == ["python"]
    window.picture("off for a language")
    window.click_status()
    window.choose("Switch on for Python")
    window.until_status(READY)
    window.type("add_")  # which the editor gets, not the item that was clicked
    assert window.until_ghost().startswith("line(")


def test_explaining_shows_the_definitions_and_leads_to_them(window, open_file):
    open_file("explaining.py", BILL)
    window.type("add_")
    suggested = window.until_ghost()
    window.run("Crosslight: Explain Last Suggestion")
    page = window.webview
    page.locator("#definitions li.definition").first.wait_for()
    assert suggested in page.locator("#suggestion").inner_text()
    definitions = page.locator("#definitions li.definition")
    wanted = definitions.filter(has_text="Invoice.add_line").first
    assert re.fullmatch(r"\d+ %", wanted.locator(".percent").inner_text())
    assert wanted.locator("svg.share rect").get_attribute("width").endswith("%")
    assert wanted.locator(".reasons").inner_text()
    assert page.locator("script").count() == 0
    window.picture("explained")
    wanted.locator("a.open").click()
    window.page.locator(".tab.active", has_text="invoice.py").wait_for()
    window.until(lambda: "\n".join(window.text), lambda text: "def add_line(" in text, "the text")
    window.picture("a definition opened")


def test_reindexing_is_seen_to_end(window, code):
    n_ready = code.log().count("state: ready")
    window.run("Crosslight: Reindex")
    window.until(code.log, lambda log: log.count("state: ready") > n_ready, "the log")
    window.until_status(READY)


def test_the_log_is_shown(window):
    window.run("Crosslight: Show Log")
    window.until(lambda: window.panel, lambda text: "state: ready" in text, "the log")
    window.picture("log")
