"""The real command in processes of its own, in homes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lsp_server.config import Settings
from lsp_server.paths import Folders

_STATED_FOR_USERS = ("XDG_", "HF_", "CROSSLIGHT", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "COLUMNS", "ORT_")


@dataclass(frozen=True)
class Command:
    """Runs `crosslight` as a user would, in a home folder of its own."""

    home: Path
    prefix: tuple[str, ...] = ()
    """A program that runs it (`unshare -n`)."""
    variables: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (str(Path(sys.executable).with_name("crosslight")),)

    @property
    def cache(self) -> Path:
        return Path(self.environment["XDG_CACHE_HOME"])

    @property
    def models(self) -> Path:
        return Path(self.environment["XDG_DATA_HOME"]) / "crosslight" / "models"

    @property
    def config_file(self) -> Path:
        return self.home / "config" / "crosslight" / "config.toml"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_STATED_FOR_USERS)}
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "COLUMNS": "200",
            **self.variables,
        }

    def with_variables(self, **variables: str) -> Command:
        return replace(self, variables={**self.variables, **variables})

    def under(self, *prefix: str) -> Command:
        return replace(self, prefix=prefix)

    def running(self, *program: object) -> Command:
        return replace(self, program=tuple(map(str, program)))

    def argv(self, *arguments: object) -> list[str]:
        return [*self.prefix, *self.program, *map(str, arguments)]

    def start(self, *arguments: object, cwd: Path | None = None, **options) -> subprocess.Popen[str]:
        defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=cwd or self.home,
            env=self.environment,
            text=True,
            **(defaults | options),
        )

    def __call__(
        self, *arguments: object, cwd: Path | None = None, timeout: float = 250, **options
    ) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, cwd=cwd, **options) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        assert "Traceback" not in (err or ""), err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def ok(self, *arguments: object, **options) -> str:
        """Run what must succeed, and return what it prints."""
        result = self(*arguments, **options)
        assert result.returncode == 0, result
        return result.stdout

    def complaint(self, *arguments: object, **options) -> str:
        """Run what must fail as expected failures do: exit code 1 and one line; return that line."""
        result = self(*arguments, **options)
        lines = [line for line in result.stderr.splitlines() if line.startswith("crosslight: ")]
        assert result.returncode == 1, result
        assert len(lines) == 1, result
        assert result.stderr.endswith(f"{lines[0]}\n"), result
        return lines[0]


@dataclass
class Homes:
    """Makes homes, and ends what runs in them."""

    new_folder: Callable[[], Path]
    made: list[Command] = field(default_factory=list)

    def new(self, *, with_model: bool = False) -> Command:
        # a socket's path is limited to about 100 bytes, and pytest's folders are long enough already
        home = self.new_folder()
        (home / "run").mkdir(mode=0o700)
        command = Command(home)
        if with_model:
            command.models.mkdir(parents=True, mode=0o700)
            (command.models / Settings().model.name).symlink_to(default_model())
        self.made.append(command)
        return command

    def close(self) -> None:
        for command in self.made:
            if (command.home / "run" / "crosslight").exists():
                command("engine", "stop")
                command("index-worker", "--stop")


def default_model() -> Path:
    """Return the folder of the installed default model."""
    folder = Folders.of_user().models / Settings().model.name
    if not folder.is_dir():
        pytest.fail("these tests need the default model: run `crosslight model pull` first", pytrace=False)
    return folder


SHOP = {
    "billing.py": '''"""Invoices."""


class Invoice:
    """What a customer owes."""

    def __init__(self, customer_name: str, currency_code: str) -> None:
        self.customer_name = customer_name
        self.currency_code = currency_code
        self.lines: list[tuple[str, int]] = []

    def add_line(self, description: str, amount_cents: int) -> None:
        """Add one line."""
        self.lines.append((description, amount_cents))

    def total_cents(self) -> int:
        return sum(amount for _, amount in self.lines)
''',
    "app.py": """from billing import Invoice


def bill(name: str) -> Invoice:
    invoice = Invoice(name, "EUR")
    invoice.add_
    return invoice
""",
}
"""A small repository of two files, one of which uses the other; app.py:6 waits for a completion."""


def write_repository(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files into a new repository."""
    (root / ".git").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


N_FILES = 150
N_DEFINITIONS = 4500


def has_program(name: str) -> bool:
    """Return whether a program is on the path."""
    return shutil.which(name) is not None
