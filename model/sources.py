"""What a user means by a model: a name of the catalog, a path on this machine, or a hub id.

Making that out needs no network. The result says under which name the model is installed, and what its
manifest calls its source. Fetching is elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.catalog import CatalogEntry
from model.disk import OnBytes, sha256_of
from model.errors import CatalogError, DownloadError
from model.hub import COMPANY_OF_SAFETENSORS, parse_hub_id

# Windows knows these as devices, whatever follows the dot.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
_MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class CatalogSource:
    """A model of the catalog; `path` when the user brought its weights file along."""

    entry: CatalogEntry
    path: Path | None = None

    @property
    def name(self) -> str:
        """What it is installed as."""
        return self.entry.name

    @property
    def label(self) -> str:
        """What the manifest calls its source; the same wherever the bytes came from."""
        return self.entry.name


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A folder or a GGUF file on this machine; it is read where it lies, and never changed."""

    name: str
    path: Path

    @property
    def label(self) -> str:
        """What the manifest calls its source."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class HubSource:
    """A model of a hub."""

    name: str
    hub_id: str

    @property
    def label(self) -> str:
        """What the manifest calls its source."""
        return self.hub_id


Source = CatalogSource | LocalSource | HubSource


def identify(spec: str, catalog: Mapping[str, CatalogEntry]) -> Source:
    """Return what `spec` names: a catalog name, else a path that exists, else a hub id.

    A local file that is byte for byte a catalog entry's is that entry, so that a model fetched by hand is
    installed as if it had been downloaded.

    Raises:
        CatalogError: none of the three; the message lists the catalog.
        DownloadError: the file is a catalog entry's by name, but was cut short.
    """
    if spec in catalog:
        return CatalogSource(catalog[spec])
    path = Path(spec).expanduser()
    if spec and path.exists():
        return _local(path.resolve(), catalog)
    known = ", ".join(catalog)
    if _looks_like_path(spec):
        raise CatalogError(f"there is no file or folder {spec}; models known by name: {known}")
    if parse_hub_id(spec) is not None:
        return HubSource(safe_name(spec.replace("/", "--").replace(":", "--"), catalog), spec)
    raise CatalogError(
        f"no model is called {spec!r}; known by name: {known}. "
        "A folder, a .gguf file or a hub id (OWNER/NAME) is taken too"
    )


def _looks_like_path(spec: str) -> bool:
    before_colon, colon, _ = spec.partition(":")
    return (
        spec.startswith(("/", "./", "../", "~", ".\\"))
        or Path(spec).is_absolute()
        or before_colon.count("/") > 1
        or (not colon and spec.lower().endswith(".gguf"))
    )


def _local(path: Path, catalog: Mapping[str, CatalogEntry]) -> Source:
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise CatalogError(f"{path} is neither a .gguf file nor a folder with a model")
        size = path.stat().st_size
        for entry in catalog.values():
            if size == entry.size_bytes and _sha256(path) == entry.sha256:
                return CatalogSource(entry, path)
            if path.name == entry.hub_file and size < entry.size_bytes:
                raise DownloadError(
                    f"{path} was cut short: it has {size:,} of {entry.size_bytes:,} bytes; fetch it again"
                )
    weights_files(path)
    stem = path.stem if path.is_file() else path.name
    return LocalSource(safe_name(stem, catalog), path)


def safe_name(text: str, catalog: Mapping[str, CatalogEntry]) -> str:
    """Return `text` as a folder name on every system: lower case, `a-z 0-9 . _ -`, at most 80 characters.

    Never a catalog's name: what is not that model must not pass for it.
    """
    name = (
        re.sub(r"[^a-z0-9._-]+", "-", text.lower().removesuffix(".gguf")).strip(".-")[:_MAX_NAME].rstrip(".-")
    )
    if not name or name in catalog or _RESERVED.match(name):
        name = f"local--{name}".rstrip("-")
    return name


def weights_files(path: Path) -> tuple[Path, ...]:
    """Return the files that a model at `path` is made of: one GGUF, or safetensors with their company.

    Raises:
        CatalogError: the folder holds neither.
    """
    if path.is_file():
        return (path,)
    safetensors = sorted(path.glob("*.safetensors"))
    if safetensors and (path / "config.json").is_file():
        company = (path / name for name in COMPANY_OF_SAFETENSORS)
        return (*(file for file in company if file.is_file()), *safetensors)
    ggufs = sorted(path.glob("*.gguf"))
    if len(ggufs) == 1:
        return (ggufs[0],)
    if ggufs:
        raise CatalogError(f"{path} holds {len(ggufs)} GGUF files: name one of them")
    raise CatalogError(f"{path} holds no model: neither a config.json with *.safetensors nor a .gguf file")


def weights_sha256(path: Path, on_bytes: OnBytes | None = None) -> str:
    """Return a GGUF file's sha256, or for a folder of safetensors one over its files' names and hashes.

    Raises:
        CatalogError: no model is there, or it cannot be read.
    """
    files = weights_files(path)
    if len(files) == 1:
        return _sha256(files[0], on_bytes)
    listing = "".join(f"{_sha256(file, on_bytes)} {file.name}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def _sha256(file: Path, on_bytes: OnBytes | None = None) -> str:
    try:
        return sha256_of(file, on_bytes)
    except OSError as error:
        raise CatalogError(f"{file} cannot be read: {error.strerror}") from error
