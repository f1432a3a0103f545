"""The packages that the development set is drawn from: released after 2024, pinned, fetched when needed.

None of them can have been read by a model of 2024. They lie in the user's cache; nothing of theirs is part of
this repository. The PyPI ones are those of `bench/crossfile.py`, two of which are kept out here: whatever is
tuned on this set can be tried on them afterwards.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crossfile import PACKAGES, fetch

KEPT_OUT = ("py-key-value-aio", "pydantic-evals")


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """An npm package whose tarball carries its TypeScript sources."""

    name: str
    version: str
    first_commit: str
    """Of its repository; the first release came later."""
    folder: str
    """The part of the tarball that is taken as the repository."""


NPM_PACKAGES = (
    NpmPackage("@tanstack/db", "0.15.2", "2025-02-20", "package/src"),
    NpmPackage("@tanstack/ai", "0.58.0", "2025-10-08", "package/src"),
)


def repositories(cache: Path) -> list[Path]:
    """Return the folders of all packages, fetching those that are missing."""
    pypi = [fetch(package, cache) for package in PACKAGES if package.name not in KEPT_OUT]
    return [*pypi, *(fetch_npm(package, cache) for package in NPM_PACKAGES)]


def fetch_npm(package: NpmPackage, cache: Path) -> Path:
    """Return the package's source folder, downloading and unpacking its tarball if need be."""
    target = cache / "sources" / f"{package.name.replace('/', '-').lstrip('@')}-{package.version}"
    if target.exists():
        return target
    if shutil.which("npm") is None:
        sys.exit("npm is not on the path; the TypeScript cases are fetched with it")
    tarballs = cache / "tarballs" / target.name
    tarballs.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(tarballs)]
    subprocess.run([*command, f"{package.name}@{package.version}"], check=True, stdout=subprocess.DEVNULL)
    partial = target.with_name(target.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(next(tarballs.glob("*.tgz"))) as tarball:
        wanted = [member for member in tarball.getmembers() if member.name.startswith(package.folder + "/")]
        tarball.extractall(partial, wanted, filter="data")
    partial.rename(target)
    return target
