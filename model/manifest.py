"""Reads and writes `manifest.json`, by which a model folder describes itself.

Knows neither what the files of a folder mean nor where folders lie.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from model.errors import DamagedModelError
from model.types import ControlTokens, DecoderConfig, Manifest, Quantization

MANIFEST_FILE: Final = "manifest.json"
FORMAT_VERSION: Final = 5
"""Of the folder as a whole: its files, the graph's inputs and outputs, the manifest's fields. Raised with
every change that makes a folder unusable for older or newer code."""

_T = TypeVar("_T")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into `folder`.

    Raises:
        OSError: It could not be written.
    """
    text = json.dumps(dataclasses.asdict(manifest), indent=1, ensure_ascii=False)
    (folder / MANIFEST_FILE).write_text(text + "\n", "utf-8", newline="\n")


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest in `folder`.

    Raises:
        DamagedModelError: It is missing, does not parse, or is of another format version.
    """
    path = folder / MANIFEST_FILE
    try:
        written = json.loads(path.read_text("utf-8"))
        version = written.get("format_version")
        if version == FORMAT_VERSION:
            return _manifest(written)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DamagedModelError(
            f"{path} cannot be read ({error}): run `crosslight model pull {folder.name} --force`"
        ) from error
    raise DamagedModelError(
        f"{path} has format {version!r} and this version of Crosslight reads format {FORMAT_VERSION}:"
        f" run `crosslight model pull {folder.name} --force`"
    )


def _manifest(written: dict[str, Any]) -> Manifest:
    control = dict(written.get("control", {}))
    control["all_ids"] = tuple(control.get("all_ids", ()))
    files = written.get("files", {})
    if not all(isinstance(text, str) for item in files.items() for text in item):
        raise TypeError("files are not names and hashes")
    parts = {
        "config": _record(DecoderConfig, written.get("config", {})),
        "control": _record(ControlTokens, control),
        "quantization": _record(Quantization, written.get("quantization", {})),
    }
    return _record(Manifest, written | parts)


def _record(kind: type[_T], values: dict[str, Any]) -> _T:
    """Build a dataclass from exactly its fields; numbers, texts and truth values must be of their type."""
    types = get_type_hints(kind)
    if set(values) != set(types):
        raise TypeError(f"{kind.__name__} has fields {sorted(values)}, expected {sorted(types)}")
    for name, expected in types.items():
        plain = expected if expected in {int, str, bool} else (int, float) if expected is float else object
        if not isinstance(values[name], plain) or (expected is not bool and isinstance(values[name], bool)):
            raise TypeError(f"{kind.__name__}.{name} is {values[name]!r}")
    return kind(**values)
