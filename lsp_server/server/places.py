"""Where a document lies: its URI as a path, the repository it belongs to, and how both name it.

A repository is what the command line takes for one, so that both use the same index: the nearest folder under
version control, or else the workspace's folder, or else the nearest project. What is not a file of the user's
own (a diff's left side, an output, a remote host's tree) has no place, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pygls.uris import to_fs_path

from indexer.languages import LANGUAGES, language_of
from lsp_server.document import VERSION_CONTROL, find_root

__all__ = ["NO_PLACE", "Place", "WorkspaceFolders", "language_for", "path_of"]

NO_PLACE = "virtual_document"
"""Why nothing is suggested in a document that is no file."""

_FILES = "file"
_CELLS = "vscode-notebook-cell"
_UNTITLED = "untitled"
_NAMELESS = "file://"
"""A buffer of Neovim that has no name."""
_MOST_FIRST_LINE = 200

_LANGUAGE_IDS = {
    "javascriptreact": "javascript",
    "typescriptreact": "tsx",
    "shellscript": "bash",
    "sh": "bash",
    "zsh": "bash",
    "cs": "csharp",
    "c++": "cpp",
    "cuda-cpp": "cpp",
    "golang": "go",
    "restructuredtext": "rst",
}
"""What editors call languages -> what we do, where it differs."""


@dataclass(frozen=True, slots=True)
class Place:
    """A document's repository, and its path in it."""

    root: Path | None
    """None for a file outside of any repository."""
    path: str
    """Relative to the root, POSIX; the file's name where there is none."""
    file: Path | None
    """On the disk; None for what was never saved."""

    @property
    def repo_name(self) -> str:
        """What the model is told that the repository is called."""
        if self.root is not None:
            return self.root.name
        return self.file.parent.name if self.file is not None else "untitled"


class WorkspaceFolders:
    """The folders that an editor has open, in its order."""

    def __init__(self, uris: Sequence[str] = ()) -> None:
        self._folders: dict[str, Path] = {}
        for uri in uris:
            self.add(uri)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those that are on this machine."""
        return tuple(self._folders.values())

    def add(self, uri: str) -> None:
        """Open a folder."""
        path = path_of(uri)
        if path is not None:
            self._folders[uri] = path

    def remove(self, uri: str) -> None:
        """Close a folder."""
        self._folders.pop(uri, None)

    def roots(self) -> tuple[Path, ...]:
        """Return the repositories of the open folders, each once."""
        roots = (self.root_of(folder / "x") for folder in self.folders)
        return tuple(dict.fromkeys(root for root in roots if root is not None))

    def root_of(self, file: Path) -> Path | None:
        """Return the repository of a file, None for one outside of any.

        A library that somebody looks into is a project, but none of theirs: beside open folders, only what is
        under version control counts. Nor is a whole home folder a repository because it is open.
        """
        root = find_root(file)
        is_versioned = root is not None and any((root / marker).exists() for marker in VERSION_CONTROL)
        folder = next((one for one in self.folders if file.is_relative_to(one)), None)
        if folder in {Path.home(), Path(file.anchor)}:
            folder = None
        if is_versioned or not self._folders:
            return root
        return folder

    def place(self, uri: str, language: str | None) -> Place | None:
        """Return where a document lies; None for one that is no file of the user's own."""
        parts = urlsplit(uri)
        if parts.scheme == _UNTITLED or uri == _NAMELESS:
            name = PurePosixPath(unquote(parts.path)).name or "untitled"
            roots = self.roots()
            return Place(roots[0] if roots else None, _with_extension(name, language), None)
        file = path_of(uri)
        if file is None:
            return None
        root = self.root_of(file)
        path = file.relative_to(root).as_posix() if root is not None else file.name
        return Place(root, _with_extension(path, language), file)


def path_of(uri: str) -> Path | None:
    """Return the file that a URI names, None if it names none on this machine."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme == _CELLS:
        uri = f"{_FILES}://{parts.path}"
    elif parts.scheme != _FILES:
        return None
    path = to_fs_path(uri)
    # resolve() would leave the tree by symlinks
    return Path(os.path.abspath(path)) if path and "\0" not in path else None  # noqa: PTH100


def language_for(language_id: str, uri: str, text: str) -> str | None:
    """Return the index's name of a document's language, told by the editor or else by the file's name."""
    named = _LANGUAGE_IDS.get(language_id.lower(), language_id.lower())
    if named in LANGUAGES:
        return named
    path = path_of(uri)
    spec = language_of(path.name, text[:_MOST_FIRST_LINE].encode("utf-8", "replace")) if path else None
    return spec.name if spec else None


def _with_extension(path: str, language: str | None) -> str:
    """Return a path that names its language, where it names none: a notebook's, one that was never saved."""
    if language is None or language_of(path) is not None:
        return path
    return str(PurePosixPath(path).with_suffix(LANGUAGES[language].extensions[0]))
