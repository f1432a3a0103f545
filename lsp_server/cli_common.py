"""What the files of the command line share: the user's folders and settings, and the `--json` option."""

from __future__ import annotations

from typing import Annotated

import typer

from lsp_server.config import Settings, load_settings
from lsp_server.console import complain
from lsp_server.paths import Folders

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text for people.")]


def user_environment() -> tuple[Folders, Settings]:
    """Return the user's folders and settings; what is wrong with the settings is said, and costs nothing."""
    folders = Folders.of_user()
    loaded = load_settings(folders.config_file)
    for problem in loaded.problems:
        complain(problem)
    return folders, loaded.settings
