"""Packages of this environment that benches work on."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

__all__ = ["package_folder"]


def package_folder(name: str) -> Path:
    """Return where an installed package lies; ends the program if there is none."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{name} is not an installed package")
    return Path(spec.submodule_search_locations[0])
