"""Homes, a repository and a place for pictures: what the suites of all editors share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command, Homes
from shop import write_shop


@pytest.fixture(scope="session")
def editor_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    homes = Homes(lambda: tmp_path_factory.mktemp("h"))
    yield homes
    homes.close()


@pytest.fixture(scope="session")
def at_home(editor_homes: Homes) -> Command:
    """The command in a home with the default model, shared by the tests that leave its engine alone."""
    return editor_homes.new(with_model=True)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small repository, which no test changes on the disk."""
    return write_shop(tmp_path_factory.mktemp("work") / "shop")


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where pictures of the editors are left to be looked at."""
    return Path(__file__).parents[2] / "build" / "editors"


@pytest.fixture(scope="session")
def makes_readme_pictures() -> bool:
    """Whether the pictures that the READMEs show are made anew."""
    return os.environ.get("CROSSLIGHT_README_PICTURES") == "1"
