"""Where Crosslight keeps things on this machine; the one place that knows.

Models are data (fetching one again costs half a gigabyte and a network), indexes and logs are a cache that
can be made again. All folders are the user's alone (0700).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP = "crosslight"


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one user; tests pass others in."""

    config: Path
    models: Path
    index: Path
    runtime: Path

    @classmethod
    def of_user(cls) -> Folders:
        """Return the current user's folders by the platform's conventions (XDG on Linux)."""
        dirs = platformdirs.PlatformDirs(APP, appauthor=False)
        with warnings.catch_warnings():
            # without XDG_RUNTIME_DIR it warns and falls back to a folder in /tmp, which serves as well
            warnings.simplefilter("ignore")
            runtime = dirs.user_runtime_path
        return cls(
            config=dirs.user_config_path,
            models=dirs.user_data_path / "models",
            index=dirs.user_cache_path / "index",
            runtime=runtime,
        )

    @property
    def config_file(self) -> Path:
        """The user-level settings; a workspace cannot override what runs or connects."""
        return self.config / "config.toml"
