"""The files of a repository that are worth indexing, and a count of those left out, with the reasons.

Names and sizes are judged while walking; contents only in `read_source`, so that a caller who knows a file
to be unchanged need not read it. This file does not know what is made of the files.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from indexer.ignore import IgnoreRules, is_ignored, outer_rules, read_rules
from indexer.languages import language_of
from indexer.secrets import find_secret, is_secret_name
from indexer.source import decode_source, has_generated_name, is_binary, is_generated
from indexer.storage import checked_root

__all__ = [
    "LeftOut",
    "WalkOptions",
    "WalkReport",
    "WalkedFile",
    "could_be_indexed",
    "decode_source",
    "read_source",
    "walk",
]

LeftOut = Literal[
    "ignored",
    "dependencies",
    "other language",
    "too large",
    "binary",
    "generated",
    "secret",
    "symlink",
    "unreadable",
    "crashed the parser",
    "too slow to parse",
]
"""Why a file, or a folder with all that is in it, is not indexed.

`ignored`: by git's rules. `dependencies`: an installed or cached tree (node_modules, a virtual environment).
`other language`: no grammar, and no document. `symlink`: links are never followed; what a link inside the
root points to is met on its own. `unreadable`: no permission, a name that is not text, not a regular file.
The last two are for whoever parses what the walk yields.
"""

_N_EXAMPLES = 5
_HEAD_BYTES = 256
_VERSION_CONTROL = frozenset((".git", ".hg", ".svn", ".jj", ".bzr", "CVS"))
_DEPENDENCY_FOLDERS = frozenset(
    (
        "node_modules", "bower_components", "jspm_packages", "site-packages", "dist-packages", "__pycache__",
        "__pypackages__", ".venv", ".tox", ".nox", ".eggs", ".mypy_cache", ".ruff_cache", ".pytest_cache",
        ".hypothesis", ".ipynb_checkpoints", ".gradle", ".terraform", ".bundle", ".yarn", ".next", ".nuxt",
        ".svelte-kit", ".parcel-cache", ".turbo", ".cargo", ".dart_tool", "Pods",
    )
)  # fmt: skip
_DEPENDENCY_MARKERS = frozenset(("pyvenv.cfg", "CACHEDIR.TAG", "conda-meta"))
"""A folder that holds one of these is a virtual environment or a cache, whatever its name."""
_VENDOR_MARKERS = frozenset(("modules.txt", "autoload.php"))
"""A folder named `vendor` that holds one of these was filled by Go or Composer."""


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """What a walk leaves out."""

    max_file_bytes: int = 1_000_000
    """Larger files are left out."""
    use_git_ignores: bool = True


_DEFAULTS = WalkOptions()


@dataclass(frozen=True, slots=True)
class WalkedFile:
    """A file that may be indexed, as far as its name and size tell."""

    path: str
    """POSIX, relative to the root."""
    location: str
    """Its absolute path."""
    size_bytes: int
    mtime_ns: int

    @property
    def absolute(self) -> Path:
        """The same as a `Path`, which takes longer to make than all else about a file that did not change."""
        return Path(self.location)


@dataclass(slots=True)
class WalkReport:
    """What was left out, counted by reason; a folder counts once."""

    counts: Counter[LeftOut] = field(default_factory=Counter)
    examples: dict[LeftOut, list[str]] = field(default_factory=dict)
    """Reason -> the first few paths; folders end with a slash."""

    def add(self, reason: LeftOut, path: str) -> None:
        """Count one file or folder as left out."""
        self.counts[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _N_EXAMPLES:
            examples.append(path)


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    """Relative to the root: empty, or with a slash at the end."""
    rules: tuple[IgnoreRules, ...]
    names: frozenset[str]
    entries: Iterator[os.DirEntry[str]]


def walk(
    root: Path, options: WalkOptions = _DEFAULTS, report: WalkReport | None = None
) -> Iterator[WalkedFile]:
    """Yield the files below `root` that may be indexed, in a fixed order: depth first, names sorted.

    What disappears meanwhile is passed over; what cannot be read is counted. Submodules are walked like
    any folder.

    Args:
        root: The repository's folder. What git or we would leave out about the folder itself is not asked.
        options: What to leave out.
        report: Counts what is left out.

    Raises:
        RootError: `root` is missing, not a folder, or not readable (at the first step of the iteration).
    """
    report = WalkReport() if report is None else report
    root = checked_root(root)
    rules = outer_rules(root) if options.use_git_ignores else ()
    stack = [_open_folder(root, "", rules, options)]
    while stack:
        entry = next(stack[-1].entries, None)
        if entry is None:
            stack.pop()
            continue
        folder = stack[-1]
        path = folder.path + entry.name
        try:
            found = _judge(entry, folder, options, report)
            if isinstance(found, WalkedFile):
                yield found
            elif found is not None:
                path = found
                child = _open_folder(Path(entry.path), path, folder.rules, options)
                if _is_dependency_folder(entry.name, child.names):
                    report.add("dependencies", path)
                else:
                    stack.append(child)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            report.add("unreadable", path)


def could_be_indexed(root: Path, path: str, source: bytes, options: WalkOptions = _DEFAULTS) -> bool:
    """Return whether the walk would yield a file, and its content be read, if it were saved now.

    Args:
        root: The repository's folder.
        path: POSIX, relative to `root`; there need not be such a file yet.
        source: What it would hold.
        options: What to leave out.
    """
    *folders, name = path.split("/")
    if language_of(name, source[:_HEAD_BYTES]) is None or not {"", ".", ".."}.isdisjoint((*folders, name)):
        return False
    rules = outer_rules(root) if options.use_git_ignores else ()
    absolute, folder = root, ""
    for one in folders:
        rules = _with_own_rules(rules, absolute, folder, options)
        absolute, folder = absolute / one, folder + one
        try:
            names = frozenset(entry.name for entry in absolute.iterdir())
        except OSError:
            names = frozenset()  # not there yet
        if one in _VERSION_CONTROL or _is_dependency_folder(one, names):
            return False
        if _name_reason(absolute, folder, rules, is_folder=True) is not None:
            return False
        folder += "/"
    rules = _with_own_rules(rules, absolute, folder, options)
    return (
        _name_reason(absolute / name, path, rules, is_folder=False) is None
        and _content_reason(path, source, options) is None
    )


def read_source(file: WalkedFile, report: WalkReport, options: WalkOptions = _DEFAULTS) -> bytes | None:
    """Return the bytes of a file, or None when its content says not to index it (counted), or it is gone.

    The bytes are as they lie on the disk; `decode_source` makes text of them.
    """
    try:
        with file.absolute.open("rb") as stream:
            source = stream.read(options.max_file_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError:
        report.add("unreadable", file.path)
        return None
    reason = _content_reason(file.path, source, options)
    if reason is not None:
        report.add(reason, file.path)
        return None
    return source


def _content_reason(path: str, source: bytes, options: WalkOptions) -> LeftOut | None:
    if len(source) > options.max_file_bytes:
        return "too large"
    if is_binary(source):
        return "binary"
    if find_secret(source) is not None:
        return "secret"
    spec = language_of(path, source[:_HEAD_BYTES])
    if is_generated(source, is_document=spec is not None and spec.family == "document"):
        return "generated"
    return None


def _open_folder(absolute: Path, path: str, rules: tuple[IgnoreRules, ...], options: WalkOptions) -> _Folder:
    with os.scandir(absolute) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    names = frozenset(entry.name for entry in entries)
    if ".gitignore" in names:
        rules = _with_own_rules(rules, absolute, path, options)
    return _Folder(path, rules, names, iter(entries))


def _with_own_rules(
    rules: tuple[IgnoreRules, ...], absolute: Path, path: str, options: WalkOptions
) -> tuple[IgnoreRules, ...]:
    """Return what holds in a folder, given what holds above it."""
    own = read_rules(absolute / ".gitignore", path) if options.use_git_ignores else None
    return rules if own is None else (*rules, own)


def _judge(
    entry: os.DirEntry[str], folder: _Folder, options: WalkOptions, report: WalkReport
) -> WalkedFile | str | None:
    """Return a file to yield, the path of a folder to enter (ends with a slash), or None to leave it out."""
    path = folder.path + entry.name
    is_folder = entry.is_dir(follow_symlinks=False)
    if is_folder and entry.name in _VERSION_CONTROL:
        return None
    reason = _name_reason(entry, path, folder.rules, is_folder=is_folder)
    if reason is None and not is_folder:
        status = entry.stat(follow_symlinks=False)
        reason = _status_reason(entry, status, options)
        if reason is None:
            return WalkedFile(path, entry.path, status.st_size, status.st_mtime_ns)
    if reason is not None:
        report.add(reason, path + "/" * is_folder)
        return None
    return path + "/"


def _name_reason(
    entry: os.DirEntry[str] | Path, path: str, rules: tuple[IgnoreRules, ...], *, is_folder: bool
) -> LeftOut | None:
    reason: LeftOut | None = None
    if not _is_encodable(entry.name):
        reason = "unreadable"
    elif entry.is_symlink():
        reason = "symlink"
    elif is_folder and (entry.name in _DEPENDENCY_FOLDERS or entry.name.endswith(".egg-info")):
        reason = "dependencies"
    elif is_ignored(path, rules, is_folder=is_folder):
        reason = "ignored"
    elif not is_folder and is_secret_name(path):
        reason = "secret"
    elif not is_folder and has_generated_name(path):
        reason = "generated"
    return reason


def _is_encodable(name: str) -> bool:
    """Return whether a name is text; bytes that are not arrive as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _status_reason(entry: os.DirEntry[str], status: os.stat_result, options: WalkOptions) -> LeftOut | None:
    # First of all: to open a pipe or a device would wait, or worse.
    if not stat.S_ISREG(status.st_mode):
        return "unreadable"
    if not _has_language(entry):
        return "other language"
    return "too large" if status.st_size > options.max_file_bytes else None


def _has_language(entry: os.DirEntry[str]) -> bool:
    if language_of(entry.name) is not None:
        return True
    if "." in entry.name.lstrip("."):
        return False
    with Path(entry.path).open("rb") as stream:
        return language_of(entry.name, stream.read(_HEAD_BYTES)) is not None


def _is_dependency_folder(name: str, names: frozenset[str]) -> bool:
    """Return whether what lies in a folder says that it was installed, or is a cache."""
    return not names.isdisjoint(_DEPENDENCY_MARKERS) or (
        name == "vendor" and not names.isdisjoint(_VENDOR_MARKERS)
    )
