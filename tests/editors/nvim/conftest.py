"""A Neovim of each version, with the plugin and the server as a user has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fetch_nvim
import pytest
from command import Command
from fetching import Unavailable
from nvim_editor import INIT, Editor, installed
from nvim_picture import draw


@pytest.fixture(scope="session", params=fetch_nvim.VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def program(version: str) -> Path:
    try:
        return fetch_nvim.nvim(version)
    except Unavailable as why:
        pytest.skip(f"NOT TESTED in Neovim {version}: {why}")


@pytest.fixture(scope="session")
def font(program: Path) -> Path:
    return fetch_nvim.font()


@pytest.fixture
def pictures(artefacts: Path, version: str, request: pytest.FixtureRequest) -> Path:
    return artefacts / "nvim" / version


@pytest.fixture
def start(
    version: str,
    program: Path,
    at_home: Command,
    shop: Path,
    tmp_path: Path,
    font: Path,
    pictures: Path,
    request: Any,
) -> Iterator[Callable[..., Editor]]:
    """Start Neovim in the shop, or elsewhere; its last screen is kept as a picture named after the test."""
    started: list[Editor] = []
    with ExitStack() as windows:

        def one(
            *files: str,
            init: str = INIT,
            command: Command = at_home,
            environment: Mapping[str, str] | None = None,
            folder: Path = shop,
            **options: Any,
        ) -> Editor:
            name = f"{tmp_path.name}-{len(started)}"
            environment = environment or installed(command, name, init)
            started.append(windows.enter_context(Editor(program, environment, folder, *files, **options)))
            return started[-1]

        yield one
        for number, editor in enumerate(started):
            case = re.sub(r"\W+", "_", request.node.callspec.id.removeprefix(version).lstrip("-"))
            parts = [request.node.originalname.removeprefix("test_"), case, str(number or "")]
            draw([editor.screen], font, pictures / f"{'-'.join(filter(None, parts))}.png")


@pytest.fixture
def editor(start: Callable[..., Editor]) -> Editor:
    """Neovim in the shop, with a server that is ready."""
    editor = start("shop/mail.py")
    editor.until_ready()
    return editor
