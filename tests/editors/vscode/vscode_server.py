"""VS Code's server with the extension installed, in a home of its own."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from command import Command
from vscode_fetching import Fetched

_ALWAYS = {
    "workbench.startupEditor": "none",
    "workbench.colorTheme": "Default Dark Modern",
    "workbench.tips.enabled": False,
    "editor.minimap.enabled": False,
    "files.autoSave": "off",
    "git.openRepositoryInParentFolders": "never",
    "telemetry.telemetryLevel": "off",
    "editor.wordBasedSuggestions": "off",
    "[ruby]": {"editor.wordBasedSuggestions": "currentDocument"},
}
"""Keeps the screen quiet, and saves when told to as on the desktop.

Which words pop up depends on all files that were ever open, so they do so in one language only.
"""
_KEYS = [
    {"key": "ctrl+alt+f9", "command": "notifications.clearAll"},
    {"key": "ctrl+alt+f10", "command": "workbench.action.revertAndCloseActiveEditor"},
]
"""What the palette would do in longer: tidying up between tests."""

_SERVING = (
    "--host=127.0.0.1",
    "--port=0",
    "--without-connection-token",
    "--log=trace",
)


@dataclass(frozen=True)
class VSCode:
    """VS Code's server, at an address."""

    url: str
    process: psutil.Process
    folder: Path

    def processes(self, word: str) -> list[psutil.Process]:
        """Return what it started that has a word in its command line."""
        found = []
        for process in self.process.children(recursive=True):
            try:
                if word in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def log(self) -> str:
        """Return what the extension's output channel holds."""
        files = sorted(self.folder.glob("logs/*/exthost*/crosslight.crosslight/*.log"))
        return "".join(file.read_text() for file in files)


@contextmanager
def vscode(
    fetched: Fetched,
    home: Command,
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    server_path: str = "",
) -> Iterator[VSCode]:
    """Install the extension into a new VS Code, and run it.

    Args:
        fetched: What it is made of.
        home: Whose home and environment it has.
        folder: Where it keeps what it knows.
        settings: The user's settings.
        server_path: The machine's `crosslight.serverPath`; empty for none.
    """
    _write_json(folder / "User" / "settings.json", {**_ALWAYS, **(settings or {})})
    _write_json(folder / "User" / "keybindings.json", _KEYS)
    _write_json(folder / "Machine" / "settings.json", {"crosslight.serverPath": server_path})
    program = ["node", str(fetched.vscode / "out" / "server-main.js")]
    program += [f"--user-data-dir={folder}", f"--extensions-dir={folder / 'extensions'}"]
    program += ["--accept-server-license-terms", "--telemetry-level=off"]
    installed = subprocess.run(
        [*program, f"--install-extension={fetched.package}"],
        env=home.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert installed.returncode == 0, installed
    with subprocess.Popen(
        [*program, *_SERVING],
        env=home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield VSCode(_address(process), psutil.Process(process.pid), folder)
        finally:
            _end(psutil.Process(process.pid))


def _end(process: psutil.Process) -> None:
    """End a process and what it started, which would wait for a window to come back."""
    family = [process, *process.children(recursive=True)]
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for one in family:
            with suppress(psutil.NoSuchProcess):
                end(one)
        _, family = psutil.wait_procs(family, 10)


def _write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def _address(process: subprocess.Popen[str]) -> str:
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if found := re.search(r"Web UI available at (http://\S+)", line):
            return found[1].replace("localhost", "127.0.0.1")
    raise AssertionError(f"VS Code ended before it listened: {said}")
