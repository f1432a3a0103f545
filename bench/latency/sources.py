"""Where the bench's code comes from, and on what it runs: packages, commit, processor."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crossfile import PACKAGES, fetch
from quality.packages import NPM_PACKAGES, fetch_npm

__all__ = ["packages", "where"]

_BENCH = Path(__file__).resolve().parent.parent


def packages(cache: Path) -> Iterator[Path]:
    """Yield the folders of the development set's packages, each fetched when it is asked for.

    The largest comes last, since a trial indexes only the first. One in TypeScript comes second; without npm,
    which fetches it, all are in Python.
    """
    largest, *smaller = [package for package in PACKAGES if package.split == "development"]
    in_python = [*smaller, largest]
    yield fetch(in_python[0], cache)
    if shutil.which("npm"):
        yield fetch_npm(NPM_PACKAGES[0], cache)
    for package in in_python[1:]:
        yield fetch(package, cache)


def where() -> dict[str, Any]:
    """Return commit, date and processor."""
    git = ["git", "-C", str(_BENCH)]
    commit = _output([*git, "rev-parse", "--short=12", "HEAD"])
    is_changed = bool(_output([*git, "status", "--porcelain", "--untracked-files=no"]))
    return {
        "commit": (commit or "unknown") + ("-changed" if is_changed else ""),
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
    }


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
