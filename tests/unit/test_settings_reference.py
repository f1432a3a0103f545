"""The reference of settings in the documentation."""

import json
from pathlib import Path

from lsp_server.server.options import read_options
from lsp_server.settings_reference import settings_reference, vscode_settings

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "settings.md"
EXTENSION = ROOT / "editors" / "vscode" / "package.json"


def test_the_reference_of_settings_is_current():
    text = DOCUMENT.read_text("utf-8")
    assert text == settings_reference(), "run: python -m lsp_server.settings_reference > docs/settings.md"


def test_every_setting_says_what_it_does():
    rows = [line for line in settings_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 25
    assert all(len(row.rsplit(" | ", 1)[1]) > 20 for row in rows)


def test_the_settings_of_the_extension_for_vscode_are_the_servers():
    parts = json.loads(EXTENSION.read_text("utf-8"))["contributes"]["configuration"]
    suggestions = [part for part in parts if part["title"] == "Suggestions"]
    assert suggestions == [vscode_settings()], "run `npm run settings` in editors/vscode"


def test_the_server_takes_every_setting_of_the_extension_as_it_is_declared():
    properties = vscode_settings()["properties"]
    sent = {name.removeprefix("crosslight."): schema["default"] for name, schema in properties.items()}
    loaded = read_options({"crosslight": sent})
    assert loaded == read_options(None)
