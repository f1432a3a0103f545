"""Nothing is trained on that quality is measured on: repositories of the benches are refused.

They are known by the names of their packages and by the content of their files (`benchmarks.json`, written by
`bench/adapter/benchmarks.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from indexer.walk import WalkReport, read_source, walk
from lsp_server.errors import UsageError

__all__ = ["Benchmarks", "content_key", "load_benchmarks", "refuse_benchmarks"]

_FILE = Path(__file__).with_name("benchmarks.json")
_SHORTEST = 300
"""Bytes, white space left out; shorter files are alike in unrelated repositories."""


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """What is refused."""

    names: frozenset[str]
    """Of packages, normalized."""
    files: Mapping[str, str]
    """From `content_key` of a file to the package that it is from."""


def load_benchmarks() -> Benchmarks:
    """Return the packages of the benches."""
    written = json.loads(_FILE.read_text("utf-8"))
    files = {key: name for name, keys in written.items() for key in keys}
    return Benchmarks(frozenset(map(_normalized, written)), files)


def content_key(data: bytes) -> str | None:
    """Return what identifies a file by what it says, however it is spaced; None for files that say little."""
    squeezed = b"".join(data.split())
    return hashlib.blake2b(squeezed, digest_size=8).hexdigest() if len(squeezed) >= _SHORTEST else None


def refuse_benchmarks(roots: Iterable[Path], benchmarks: Benchmarks) -> None:
    """Do nothing, unless one of the repositories is a benchmark's.

    Raises:
        UsageError: It is; the message names the repository and what it was known by.
    """
    for root in roots:
        if found := _names_of(root) & benchmarks.names:
            raise UsageError(f"{root} is {min(found)}, which quality is measured on: it cannot be trained on")
        for file in walk(root):
            data = read_source(file, WalkReport())
            key = content_key(data) if data is not None else None
            if key is not None and key in benchmarks.files:
                raise UsageError(
                    f"{root / file.path} is a file of {benchmarks.files[key]}, which quality is measured on:"
                    f" {root} cannot be trained on"
                )


def _names_of(root: Path) -> set[str]:
    """Return what a repository may be called: by its folder, without a version, and by its own files."""
    names = {re.sub(r"-v?\d[\w.]*$", "", root.absolute().name), root.absolute().name}
    for file in (root / "pyproject.toml", root / "package.json"):
        try:
            text = file.read_text("utf-8")
            table = json.loads(text) if file.suffix == ".json" else tomllib.loads(text).get("project", {})
            names.add(str(table.get("name", "")))
        except (OSError, ValueError, AttributeError):
            continue
    return set(map(_normalized, names))


def _normalized(name: str) -> str:
    return re.sub(r"[-_./@]+", "-", name.lower()).strip("-")
