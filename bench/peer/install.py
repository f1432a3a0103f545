"""Brings the peer here: llama.cpp as `node-llama-cpp` ships it, and the weights that ours are made from.

Both go to the benches' folder in the user's cache; nothing of either is part of this repository. The version
is pinned in `package.json`. Of its prebuilt binaries only the one for this processor is installed, and no
script of any package is run. The weights are those of the default model as published, found and checked the
way `crosslight model pull` does it: by the one sha256 that the catalog trusts.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from lsp_server.console import PhaseBar
from model.catalog import DEFAULT_MODEL, load_catalog
from model.obtain import obtain
from model.sources import CatalogSource
from model.types import Progress

__all__ = ["PeerError", "install_node_package", "obtain_weights"]

_PINNED: Final = Path(__file__).with_name("package.json")
_PACKAGE: Final = "node-llama-cpp"
_BINARIES: Final = {
    ("Linux", "x86_64"): "linux-x64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Darwin", "arm64"): "mac-arm64-metal",
    ("Darwin", "x86_64"): "mac-x64",
    ("Windows", "AMD64"): "win-x64",
    ("Windows", "ARM64"): "win-arm64",
}
"""By operating system and machine as `platform` names them; those but the first are untested."""


class PeerError(Exception):
    """The peer cannot be had, or ended, or refused; the message is one line and says what helps."""


def install_node_package(cache: Path) -> Path:
    """Return the folder with the pinned package's `node_modules`, installing it with npm if it is not there.

    Args:
        cache: The benches' folder in the user's cache.

    Raises:
        PeerError: Node.js is missing, npm failed, or there is no binary for this machine.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise PeerError("the peer needs Node.js 20 or later with npm: install it, or leave out --peer")
    version = json.loads(_PINNED.read_text("utf-8"))["dependencies"][_PACKAGE]
    system = (platform.system(), platform.machine())
    if system not in _BINARIES:
        raise PeerError(f"{_PACKAGE} has no binary for {' '.join(system)}: leave out --peer")
    target = cache / "peer" / f"{_PACKAGE}-{version}-{_BINARIES[system]}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="installing-", dir=target.parent))
    try:
        _npm_install(partial, {_PACKAGE: version, f"@{_PACKAGE}/{_BINARIES[system]}": version})
        partial.rename(target)
    except OSError:  # another run may have been faster
        if not target.exists():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _npm_install(folder: Path, dependencies: dict[str, str]) -> None:
    package = {"private": True, "dependencies": dependencies}
    (folder / "package.json").write_text(json.dumps(package), "utf-8")
    # The package lists the binaries of all platforms, CUDA's included, as optional: ten times what is needed.
    command = ["npm", "install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--silent"]
    npm = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if npm.returncode != 0:
        reason = (npm.stderr.strip() or npm.stdout.strip() or "it did not say why").splitlines()[-1]
        raise PeerError(f"npm could not install {', '.join(dependencies)}: {reason}")


def obtain_weights(cache: Path) -> Path:
    """Return the default model's GGUF file, fetching it if it is not there; its sha256 is checked each time.

    Raises:
        ModelError: No source gave it.
    """
    source = CatalogSource(load_catalog()[DEFAULT_MODEL])
    with PhaseBar() as bar:

        def show(progress: Progress) -> None:
            bar.update(f"{progress.phase} the peer's weights", progress.done, progress.total, progress.detail)

        return obtain(source, cache / "peer" / "weights", show).path
