"""A home, a model and a repository for each end-to-end test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import N_DEFINITIONS, N_FILES, SHOP, Command, Homes, write_repository


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    homes = Homes(lambda: tmp_path_factory.mktemp("h"))
    yield homes
    homes.close()


@pytest.fixture(scope="module")
def crosslight(homes: Homes) -> Command:
    """The command with the default model, in a home that the module's tests share."""
    return homes.new(with_model=True)


@pytest.fixture
def without_model(homes: Homes) -> Command:
    """The command in a new home, where no model was ever fetched."""
    return homes.new()


@pytest.fixture
def with_model(homes: Homes) -> Command:
    """The command in a new home that has the default model."""
    return homes.new(with_model=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small repository."""
    return write_repository(tmp_path / "shop", SHOP)


@pytest.fixture(scope="session")
def large_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that takes a few seconds to index, so that something can happen meanwhile."""
    root = tmp_path_factory.mktemp("large")
    body = (
        "def work_{n}_{i}(first, second):\n"
        '    """Add {i} to both and multiply."""\n'
        "    return (first + {i}) * (second + {i})\n\n\n"
    )
    return write_repository(
        root,
        {
            f"module_{n}.py": "".join(body.format(n=n, i=i) for i in range(N_DEFINITIONS // N_FILES))
            for n in range(N_FILES)
        },
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes disks with so many bytes."""
    mounted = []

    def make(n_bytes: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes},mode=700", "tmpfs", str(folder)]
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            pytest.skip(f"FULL DISK NOT TESTED: a small disk cannot be mounted here: {tried.stderr.strip()}")
        mounted.append(folder)
        return folder

    if sys.platform != "linux":
        pytest.skip("FULL DISK NOT TESTED: small disks are mounted on Linux only")
    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)
