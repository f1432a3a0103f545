"""Fetches what the suite runs: a VS Code for browsers, a browser, and the extension packed as users get it.

`python tests/editors/vscode/vscode_fetching.py` fetches all three and says where they are. Each is fetched
once and kept in the cache; what of the extension is kept belongs to the sources that it was packed from.

VS Code's own desktop build is no package of any registry; code-server's npm package carries its server and
its workbench. We start that server itself (`out/server-main.js`), not the program around it, which only adds
passwords and proxies.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

sys.path.append(str(Path(__file__).parents[1]))  # pytest knows that folder; a script does not
from fetching import Unavailable, editors_folder, fetched, unpack_debian

T = TypeVar("T")

CODE_SERVER = "code-server@4.100.3"  # VS Code 1.100; later ones want Node 22
_INTEGRITY = "sha512-q/Fh2DOxCRNhC/WiG/6sAhSKnj7ZACTVBaeeZ+rWjol//0FCbl/qg1ln5ecZ99jYcfqMxZZAyWcN+YBIo0DgpA=="
_REPOSITORY = Path(__file__).parents[3]
_PACKED = (
    "editors/vscode",
    "lsp_server",
    "indexer",
    "model",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
)
_PACKAGES = "vscode-extension-"
_KEPT_S = 24 * 60 * 60
_NPM_QUIET = ("--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")
_BUILT_MODULES = ("node-pty", "@vscode/spdlog")  # terminals and logs; VS Code does without the others


@dataclass(frozen=True, slots=True)
class Browser:
    """A Chromium unpacked beside the system."""

    program: Path
    environment: dict[str, str]
    """What it must be started with to find its libraries and fonts."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where everything is that the suite runs."""

    vscode: Path
    """The folder of VS Code's server."""
    browser: Browser
    package: Path
    """The extension's .vsix."""


def fetch() -> Fetched:
    """Fetch what is not there yet, at the same time.

    Raises:
        Unavailable: This platform lacks a program or a package that all of this is made of.
    """
    _expect_platform()
    with ThreadPoolExecutor() as threads:
        vscode = threads.submit(_said, "VS Code", _vscode)
        browser = threads.submit(_said, "Chromium", _browser)
        package = threads.submit(_said, "the extension", _package)
        return Fetched(vscode.result(), browser.result(), package.result())


def _expect_platform() -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Unavailable(f"VS Code in a browser was only tried on Linux x86-64, not {platform.platform()}")
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Unavailable(f"no {program} here: VS Code's server runs on Node 20")
    version = _run("node", "--version", cwd=Path.cwd()).strip()
    if not version.startswith("v20."):
        raise Unavailable(f"Node {version} here: the server of VS Code 1.100 runs on Node 20")


def _said(what: str, make: Callable[[], T]) -> T:
    made = make()
    print(f"{what}: {made}", file=sys.stderr)
    return made


def _vscode() -> Path:
    return fetched(CODE_SERVER.replace("@", "-"), _unpack_vscode)


def _unpack_vscode(folder: Path) -> None:
    name = _run("npm", "pack", CODE_SERVER, *_NPM_QUIET, cwd=folder).split()[-1]
    archive = folder / name
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != _INTEGRITY:
        raise RuntimeError(f"{CODE_SERVER} is not the package that was tried: its digest differs")
    with tarfile.open(archive) as tar:
        members = [one for one in tar if one.name.startswith("package/lib/vscode/")]
        for one in members:
            one.name = one.name.removeprefix("package/lib/vscode/")
        tar.extractall(folder, members, filter="data")
    archive.unlink()
    _run("npm", "install", "--ignore-scripts", "--omit=dev", *_NPM_QUIET, cwd=folder)
    headers = _node_headers()
    for module in _BUILT_MODULES:  # not `npm rebuild`, whose scripts fetch more
        _run("npm", "explore", module, "--", "node-gyp", "rebuild", "--jobs=max", *headers, cwd=folder)
    (folder / "node_modules.asar").symlink_to("node_modules")  # where VS Code looks for some of them
    searcher = folder / "node_modules" / "@vscode" / "ripgrep" / "bin"  # its own script fetches it elsewhere
    searcher.mkdir()
    unpack_debian(["ripgrep"], None, folder / "ripgrep", installed_too=False)
    (searcher / "rg").symlink_to(os.path.relpath(folder / "ripgrep" / "usr" / "bin" / "rg", searcher))


def _node_headers() -> list[str]:
    """Return what has node-gyp take the headers that came with Node; without any it downloads them."""
    prefix = Path(_run("node", "--print", "process.execPath", cwd=Path.cwd()).strip()).resolve().parents[1]
    return [f"--nodedir={prefix}"] if (prefix / "include" / "node" / "node_version.h").exists() else []


def _browser() -> Browser:
    folder = fetched("chromium", _unpack_browser)
    libraries = folder / "usr" / "lib" / "x86_64-linux-gnu"
    return Browser(
        folder / "usr" / "lib" / "chromium" / "chromium",
        {
            "LD_LIBRARY_PATH": f"{libraries}:{libraries / 'pulseaudio'}",
            "FONTCONFIG_FILE": str(folder / "fonts.conf"),
        },
    )


def _unpack_browser(folder: Path) -> None:
    unpack_debian(
        ["chromium", "fonts-dejavu-core", "fonts-noto-color-emoji"], None, folder, installed_too=False
    )
    # with aliases of its own, since the system may have none; the folder is not in its place yet
    (folder / "fonts.conf").write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        '<dir>/usr/share/fonts</dir><dir prefix="relative">usr/share/fonts</dir>'
        '<cachedir prefix="xdg">fontconfig</cachedir>'
        "<alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>"
        "<alias><family>system-ui</family><prefer><family>DejaVu Sans</family></prefer></alias>"
        "<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>"
        "</fontconfig>\n"
    )


def _package() -> Path:
    sources = _sources()
    digest = hashlib.sha256()
    for source in sources:
        content = (_REPOSITORY / source).read_bytes()
        digest.update(f"{source} {len(content)} ".encode() + content)

    def pack(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            for source in sources:
                copy = Path(scratch, source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(_REPOSITORY / source, copy)
            extension = Path(scratch, "editors", "vscode")
            _run("npm", "ci", *_NPM_QUIET, cwd=extension)
            _run("npm", "run", "package", cwd=extension)
            shutil.copy2(extension / "dist" / "crosslight.vsix", folder)

    _forget_old_packages()
    return fetched(f"{_PACKAGES}{digest.hexdigest()[:16]}", pack) / "crosslight.vsix"


def _forget_old_packages() -> None:
    """Remove what was packed of sources that were edited since; not what another run may be using."""
    for folder in editors_folder().glob(f"{_PACKAGES}*/"):
        if time.time() - folder.stat().st_mtime > _KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)


def _sources() -> Sequence[str]:
    """What git keeps, or would keep, of the extension and of the server whose package it carries."""
    options = ("-z", "--cached", "--others", "--exclude-standard")
    listed = _run("git", "ls-files", *options, *_PACKED, cwd=_REPOSITORY)
    return sorted(name for name in listed.split("\0") if name and (_REPOSITORY / name).is_file())


def _run(*command: str, cwd: Path) -> str:
    environment = os.environ | {"PYTHON": sys.executable}  # which packs the server
    finished = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")
    return finished.stdout


if __name__ == "__main__":
    fetch()
