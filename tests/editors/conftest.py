"""Homes, a repository and a place for pictures: what the suites of all editors share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command, Homes
from shop import write_shop

# where tests are ended from outside, nothing may stay that holds a model
_SETTINGS = "[engine]\nidle_s = 60\n\n[index]\nworker_idle_s = 60\n"


@pytest.fixture(scope="session")
def editor_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    def new_folder() -> Path:
        home = tmp_path_factory.mktemp("h")
        settings = Command(home).config_file
        settings.parent.mkdir(parents=True)
        settings.write_text(_SETTINGS)
        return home

    homes = Homes(new_folder)
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
