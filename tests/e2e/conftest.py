"""The real command in a process of its own, with a home of its own and the machine's models."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lsp_server.paths import Folders


@dataclass(frozen=True)
class Command:
    """Runs `crosslight` as a user would, in a home folder of its own."""

    home: Path
    models: Path | None

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "CROSSLIGHT"))}
        data = self.models.parent.parent if self.models else self.home / "data"
        return kept | {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(data),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def start(self, *arguments, cwd=None, **options) -> subprocess.Popen:
        return subprocess.Popen(
            [Path(sys.executable).with_name("crosslight"), *map(str, arguments)],
            cwd=cwd or self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def __call__(self, *arguments, cwd=None, timeout=250) -> subprocess.CompletedProcess:
        with self.start(*arguments, cwd=cwd) as process:
            out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def _command(tmp_path_factory, models) -> Command:
    # a socket's path is limited to about 100 bytes, and pytest's folders are long
    home = tmp_path_factory.mktemp("h")
    (home / "run").mkdir(mode=0o700)
    return Command(home, models)


@pytest.fixture
def crosslight(tmp_path_factory):
    """The command with the installed default model."""
    command = _command(tmp_path_factory, Folders.of_user().models)
    yield command
    command("index-worker", "--stop")


@pytest.fixture
def crosslight_without_model(tmp_path_factory):
    """The command on a machine that never fetched a model."""
    command = _command(tmp_path_factory, None)
    yield command
    command("index-worker", "--stop")


@pytest.fixture
def repository(tmp_path):
    """A small repository of two files, one of which uses the other."""
    root = tmp_path / "shop"
    (root / ".git").mkdir(parents=True)
    (root / "billing.py").write_text(
        '"""Invoices."""\n\n\nclass Invoice:\n    """What a customer owes."""\n\n'
        "    def __init__(self, customer_name: str, currency_code: str) -> None:\n"
        "        self.customer_name = customer_name\n        self.currency_code = currency_code\n"
        "        self.lines: list[tuple[str, int]] = []\n\n"
        "    def add_line(self, description: str, amount_cents: int) -> None:\n"
        '        """Add one line."""\n        self.lines.append((description, amount_cents))\n\n'
        "    def total_cents(self) -> int:\n        return sum(amount for _, amount in self.lines)\n"
    )
    (root / "app.py").write_text(
        "from billing import Invoice\n\n\ndef bill(name: str) -> Invoice:\n"
        '    invoice = Invoice(name, "EUR")\n    invoice.add_\n    return invoice\n'
    )
    return root
