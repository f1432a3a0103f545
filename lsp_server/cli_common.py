"""What the files of the command line share: the user's folders and settings, and the `--json` option."""

from __future__ import annotations

from typing import Annotated

import typer

from lsp_server.config import LoadedSettings, Settings, load_settings
from lsp_server.console import complain
from lsp_server.paths import Folders

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text for people.")]


def user_environment() -> tuple[Folders, Settings]:
    """Return the user's folders and settings; what is wrong with the settings is said, and costs nothing."""
    folders, loaded = loaded_environment()
    return folders, loaded.settings


def loaded_environment() -> tuple[Folders, LoadedSettings]:
    """Return the same with what was said, for processes that have others to tell."""
    folders = Folders.of_user()
    loaded = load_settings(folders.config_file)
    for problem in loaded.problems:
        complain(problem)
    return folders, loaded
