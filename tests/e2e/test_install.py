"""The wheel: what is in it, that it works in an empty environment, and that it imports nothing hostile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from command import Command, Homes, write_repository

from lsp_server.config import Settings

ROOT = Path(__file__).parents[2]
PACKAGES = ("indexer", "lsp_server", "model")
_NO_NETWORK = re.compile(
    r"Failed to establish a new connection|Name or service not known|Network is unreachable"
)

pytestmark = pytest.mark.timeout(900)  # the packages that it needs are fetched


def run(*command: object, cwd: Path) -> str:
    """Run what must succeed; without a network it cannot."""
    result = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    if result.returncode != 0 and _NO_NETWORK.search(result.stderr):
        pytest.skip("INSTALLING NOT TESTED: no package index can be reached")
    assert result.returncode == 0, result
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """An environment that holds the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    binaries = folder / ("Scripts" if os.name == "nt" else "bin")
    run(binaries / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return binaries


@pytest.fixture(scope="module")
def installed(homes: Homes, bin_folder: Path) -> Command:
    """The installed command, on a machine that never fetched a model."""
    return homes.new().running(bin_folder / "crosslight")


def test_the_wheel_holds_the_packages_and_their_data_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)
    tracked = run("git", "ls-files", *PACKAGES, cwd=ROOT).splitlines()
    assert set(tracked) - names == set()
    data = {
        "model/catalog.json",
        "model/data/adapter.safetensors",
        *(f"{name}/py.typed" for name in PACKAGES),
    }
    assert data <= names
    assert any(re.fullmatch(r"indexer/queries/.*\.scm", name) for name in names)
    assert not [name for name in names if "test" in name or "__pycache__" in name]
    (licence,) = (name for name in names if name.endswith("/LICENSE"))
    assert ".dist-info/" in licence


def test_an_empty_environment_gets_a_command_that_works(
    installed: Command, bin_folder: Path, repository: Path
) -> None:
    run(bin_folder / "python", "-m", "pip", "check", cwd=repository)
    assert re.fullmatch(r"crosslight \d+\.\d+\.\d+\S*\n", installed.ok("--version"))
    doctor = installed("doctor", "--json", cwd=repository)
    assert doctor.returncode == 1, doctor
    errors = [finding for finding in json.loads(doctor.stdout) if finding["level"] == "error"]
    (missing,) = errors
    assert missing["cure"] == f"crosslight model pull {Settings().model.name}", missing
    assert "5 definitions" in installed.ok("index", repository)
    assert "billing.py:12" in installed.ok("search", "add_line", cwd=repository)
    assert installed("complete", f"{repository}/app.py:6").returncode == 1


HOSTILE = {
    f"{package}/__init__.py": "import pathlib\n"
    "pathlib.Path(__file__).with_name('was_imported').touch()\nraise SystemExit('hostile')\n"
    for package in (*PACKAGES, "chromadb", "numpy", "onnxruntime", "json", "sitecustomize")
} | {
    ".env": "CHROMA_SERVER_NOFILE=hostile\nALLOW_RESET=hostile\nIS_PERSISTENT=hostile\n",
    "config.toml": "[model]\nname = 'hostile'\n",
    "sums.py": "def add_up(values):\n    return sum(values)\n",
}


@pytest.mark.parametrize("as_module", [False, True], ids=["crosslight", "python -P -m lsp_server"])
def test_a_hostile_working_folder_is_data(homes: Homes, tmp_path: Path, as_module: bool) -> None:
    root = write_repository(tmp_path / "hostile", HOSTILE)
    command = homes.new(with_model=True)
    if as_module:
        command = command.running(sys.executable, "-P", "-m", "lsp_server")
    for arguments in (("index", "."), ("search", "add_up"), ("complete", "sums.py:2"), ("doctor",)):
        command.ok(*arguments, cwd=root)
    assert not list(root.rglob("was_imported"))
    summary = json.loads(command.ok("index", "--json", cwd=root))
    assert summary["n_embedded"] == summary["n_definitions"] > 0, summary
