"""What decides on an answer besides the case: model, settings, code, and the state of the repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import indexer
import model
from indexer.walk import walk
from lsp_server import choice, completer, feeding, frames, overlap, retrieving, writing
from lsp_server.config import Settings
from lsp_server.evaluation import likelihood, own_file, subject

__all__ = ["code_hash", "repository_state", "subject_fingerprint"]


def subject_fingerprint(model_hash: str, provider: str, settings: Settings) -> str:
    """Return what identifies a model run under some settings by the code as it is.

    Args:
        model_hash: `Manifest.model_hash`: weights, adapter and quantization.
        provider: The one that is really in use.
        settings: Those that the completions are made with.
    """
    relevant = {name: asdict(getattr(settings, name)) for name in ("completion", "retrieval")}
    parts = json.dumps((model_hash, provider, relevant, code_hash()), sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:24]


def code_hash() -> str:
    """Return a hash of the source that completions are made by; commands and tables are not among it."""
    packages = [Path(str(package.__file__)).parent for package in (indexer, model)]
    files = [file for folder in packages for pattern in ("*.py", "*.scm") for file in folder.rglob(pattern)]
    modules = (
        choice,
        completer,
        feeding,
        frames,
        likelihood,
        own_file,
        overlap,
        retrieving,
        subject,
        writing,
    )
    files += [Path(str(module.__file__)) for module in modules]
    named = ((f"{file.parent.name}/{file.name}", file.read_bytes()) for file in sorted(files))
    return _digest(part for name, data in named for part in (name.encode(), data))


def repository_state(root: Path) -> str:
    """Return what changes when a file that is indexed does: the paths, sizes and times of all of them."""
    return _digest(f"{file.path}\0{file.size_bytes}\0{file.mtime_ns}".encode() for file in walk(root))


def _digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()[:16]
