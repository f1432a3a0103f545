"""The reference of settings in the documentation."""

from pathlib import Path

from lsp_server.settings_reference import settings_reference

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_reference_of_settings_is_current():
    text = DOCUMENT.read_text("utf-8")
    assert text == settings_reference(), "run: python -m lsp_server.settings_reference > docs/settings.md"


def test_every_setting_says_what_it_does():
    rows = [line for line in settings_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 25
    assert all(len(row.rsplit(" | ", 1)[1]) > 20 for row in rows)
