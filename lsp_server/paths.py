"""Where Crosslight keeps things on this machine; the one place that knows.

Models are data (fetching one again costs half a gigabyte and a network), indexes and logs are a cache that
can be made again. All folders are the user's alone (0700).
"""

from __future__ import annotations

import os
import stat
import sys
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
        return cls(
            config=dirs.user_config_path,
            models=dirs.user_data_path / "models",
            index=dirs.user_cache_path / "index",
            runtime=_runtime_folder(dirs),
        )

    @property
    def evaluations(self) -> Path:
        """Answers of `crosslight eval`; they hold the user's code, and can be made again."""
        return self.index.with_name("evaluations")

    @property
    def trainings(self) -> Path:
        """Cases and checkpoints of `crosslight adapt`; they hold the user's code, and can be made again."""
        return self.index.with_name("adapting")

    @property
    def memories(self) -> Path:
        """Definitions that were encoded; made of the user's code, and can be made again."""
        return self.index.with_name("memories")

    @property
    def logs(self) -> Path:
        """What the engine says; never code, unless the user asks for it."""
        return self.index.with_name("logs")

    @property
    def statistics_file(self) -> Path:
        """What was suggested and accepted; it cannot be made again, and holds no code."""
        return self.models.with_name("statistics.sqlite3")

    @property
    def config_file(self) -> Path:
        """The user-level settings; a workspace cannot override what runs or connects."""
        return self.config / "config.toml"


def _runtime_folder(dirs: platformdirs.PlatformDirs) -> Path:
    """Return where sockets go: the session's runtime folder, or the cache where there is none of ours alone.

    Never a shared place such as /tmp, where anyone may have made the folder first. A variable that `su` or
    `sudo` left over from another user counts as none.
    """
    if sys.platform in {"win32", "darwin"}:
        return dirs.user_runtime_path
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    try:
        status = base.lstat()
    except OSError:
        return dirs.user_cache_path / "run"
    is_ours_alone = (
        status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    )
    return base / APP if is_ours_alone else dirs.user_cache_path / "run"
