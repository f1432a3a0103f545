"""`crosslight doctor`: what this installation is made of, each line fine or with its cure.

A check never raises: what it cannot find out is itself a finding.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from indexer.errors import IndexerError
from lsp_server import assemble
from lsp_server.config import LoadedSettings, Settings
from lsp_server.paths import Folders
from model.catalog import load_catalog
from model.disk import human_bytes
from model.errors import ModelError, NotInstalledError
from model.processor import detect_processor

_ENGINES = ("onnxruntime", "chromadb", "tree-sitter", "tokenizers", "transformers", "pygls")
_MIN_FREE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    subject: str
    level: Literal["ok", "warning", "error"]
    detail: str
    cure: str | None = None


def check_python() -> Finding:
    """Say which interpreter runs."""
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if platform.system() == "Linux":
        return Finding("python", "ok", found)
    return Finding("python", "warning", f"{found}: written for, but tested on Linux only")


def check_packages() -> Iterator[Finding]:
    """Say the versions of the engines that were installed, and of Crosslight."""
    yield Finding("crosslight", "ok", metadata.version("crosslight"))
    for name in _ENGINES:
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            if name == "onnxruntime" and _installed("onnxruntime-gpu"):
                continue  # the CUDA build alone serves as well, and check_wheels speaks of it
            yield Finding(name, "error", "not installed", "pip install --force-reinstall crosslight")


def check_wheels() -> Finding:
    """Say whether the two builds of onnxruntime overwrote each other.

    Both write one folder, and the one installed last wins without a word.
    """
    if not _installed("onnxruntime-gpu"):
        return Finding("onnxruntime build", "ok", "CPU")
    problem = assemble.cuda_problem()
    if problem is None:
        return Finding("onnxruntime build", "ok", "CUDA")
    return Finding("onnxruntime build", "warning", f"onnxruntime-gpu is installed, but not in use: {problem}")


def check_settings(loaded: LoadedSettings, folders: Folders) -> Iterator[Finding]:
    """Say what is wrong with the settings file."""
    if not loaded.problems:
        exists = folders.config_file.is_file()
        yield Finding("settings", "ok", str(folders.config_file) if exists else "all defaults")
    for problem in loaded.problems:
        yield Finding("settings", "warning", problem, f"edit {folders.config_file}")


def check_folder(subject: str, folder: Path) -> Finding:
    """Say whether a folder can be written, and how much room is left there."""
    try:
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    except OSError as error:
        return Finding(
            subject, "error", f"{folder}: {error.strerror}", f"make {error.filename} yours: chown it"
        )
    if not existing.is_dir():
        return Finding(
            subject, "error", f"{existing} is a file where a folder is needed", f"remove {existing}"
        )
    if not os.access(existing, os.W_OK):
        return Finding(
            subject, "error", f"{folder} cannot be written", f"make {existing} yours: chown or chmod it"
        )
    free = shutil.disk_usage(existing).free
    if free < _MIN_FREE_BYTES:
        return Finding(
            subject,
            "warning",
            f"{folder}: only {human_bytes(free)} free",
            "free some disk: `crosslight cache info`",
        )
    return Finding(subject, "ok", f"{folder} ({human_bytes(free)} free)")


def examine(folders: Folders, settings: LoadedSettings) -> list[Finding]:
    """Run every check; loading the model takes a second or two."""
    return [
        check_python(),
        *check_packages(),
        check_processor(),
        check_wheels(),
        *check_settings(settings, folders),
        check_folder("models folder", folders.models),
        check_folder("index folder", folders.index),
        *check_model(folders, settings.settings),
        check_index(folders),
    ]


def check_processor() -> Finding:
    """Say what integer instructions there are, on which the speed of the CPU path rests."""
    processor = detect_processor()
    if not processor.saturates:
        return Finding("processor", "ok", str(processor))
    return Finding(
        "processor",
        "warning",
        f"{processor}: 8-bit products would saturate, models are converted with 7-bit weights here",
    )


def check_model(folders: Folders, settings: Settings) -> list[Finding]:
    """Verify the configured model, load it, and say on what it really runs."""
    name = settings.model.name
    store = assemble.open_store(folders)
    try:
        store.verify(name)
        installed = store.find(name)
        adapter = {"shipped": "the shipped adapter", "another": "another adapter", "none": "no adapter"}
        text = f"{name} with {adapter[store.adapter_of(installed)]}, every file verified"
        found = Finding("model", "ok", f"{text}, {human_bytes(installed.size_bytes)}")
    except NotInstalledError as error:
        return [_not_installed(error, folders, settings)]
    except ModelError as error:
        return [Finding("model", "error", str(error), f"crosslight model pull {name} --force")]
    try:
        session = assemble.load_session(installed, settings)
    except ModelError as error:
        return [found, Finding("provider", "error", str(error))]
    fell_back = session.fallback_reason if _installed("onnxruntime-gpu") else None
    return [
        found,
        Finding("provider", "ok", f"{session.provider}: {fell_back}" if fell_back else session.provider),
    ]


def _not_installed(error: NotInstalledError, folders: Folders, settings: Settings) -> Finding:
    name = settings.model.name
    if name in load_catalog():
        return Finding("model", "error", f"{name} is not installed", f"crosslight model pull {name}")
    try:
        assemble.configured_model(folders, settings)
    except ModelError as explained:
        return Finding("model", "error", str(explained))
    return Finding("model", "error", str(error))  # it came in between


def check_index(folders: Folders) -> Finding:
    """Say what is known of the repository around the current folder."""
    try:
        root = assemble.repository_of(Path("x"), folders)
        if root is None:
            return Finding("index", "ok", "the current folder is in no repository")
        with assemble.connect_index(folders) as client:
            status = client.open(root)
    except (IndexerError, OSError) as error:
        return Finding("index", "error", str(error))
    if not status.exists:
        return Finding("index", "warning", f"{root} is not indexed", f"crosslight index {root}")
    holds = f"{root}: {status.n_definitions} definitions, {status.n_embedded} with vectors"
    if status.no_vectors and status.n_definitions:
        return Finding("index", "warning", f"{holds}; vectors are not in use: {status.no_vectors}")
    return Finding("index", "ok", holds)


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
