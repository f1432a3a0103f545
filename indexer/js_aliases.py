"""What JavaScript and TypeScript imports may begin with, read from a repository's own project files.

`paths` and `baseUrl` of tsconfig.json and jsconfig.json, and the names of workspace packages in package.json.
Nothing of these files is run; one that cannot be read says nothing. `extends` is not followed.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

_CONFIGURATIONS = ("tsconfig.json", "tsconfig.base.json", "jsconfig.json")
_EXTENSIONS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
_MAX_FOLDERS = 500
_MAX_DEPTH = 4
_MAX_FILE_BYTES = 200_000
# What is never closed reaches to the end: to give up and try again at each quote would take quadratic time.
_STRING = r'("(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z))'
_COMMENT_OR_STRING = re.compile(_STRING + r"|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_TRAILING_COMMA = re.compile(_STRING + r"|,(?=\s*+[}\]])", re.DOTALL)


def read_js_aliases(root: Path, paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return alias -> the repository paths it may stand for, the longest aliases first.

    `@app/*` -> (`src/app/*`,) or `@acme/ui` -> (`packages/ui`,), as `RepoFiles` takes it.

    Args:
        root: The repository's folder.
        paths: The files of the repository; only folders above JavaScript and TypeScript files are looked at,
            and those not deep.
    """
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for folder in _project_folders(paths):
        for name in _CONFIGURATIONS:
            for alias, target in _aliases_of(folder, _read_json(root / folder / name)):
                found[alias][target] = None
        package = _read_json(root / folder / "package.json").get("name")
        if folder and isinstance(package, str) and package:
            found[package][folder] = None
    return {alias: tuple(found[alias]) for alias in sorted(found, key=lambda alias: (-len(alias), alias))}


def _project_folders(paths: Iterable[str]) -> list[str]:
    folders: set[str] = set()
    for path in paths:
        if path.endswith(_EXTENSIONS):
            parts = path.split("/")[:-1]
            folders.update("/".join(parts[:depth]) for depth in range(min(len(parts), _MAX_DEPTH) + 1))
    return sorted(folders, key=lambda folder: (folder.count("/"), folder))[:_MAX_FOLDERS]


def _aliases_of(folder: str, configuration: dict[str, object]) -> Iterator[tuple[str, str]]:
    options = configuration.get("compilerOptions")
    if not isinstance(options, dict):
        return
    base_url = options.get("baseUrl")
    base = _joined(folder, base_url) if isinstance(base_url, str) else folder
    paths = options.get("paths")
    for alias, targets in paths.items() if isinstance(paths, dict) else ():
        for target in targets if isinstance(targets, list) else ():
            if isinstance(alias, str) and isinstance(target, str):
                yield alias, _joined(base, target)
    if isinstance(base_url, str):
        yield "*", _joined(base, "*")


def _joined(folder: str, relative: str) -> str:
    return posixpath.normpath(posixpath.join(folder, relative)).removeprefix("./")


def _read_json(file: Path) -> dict[str, object]:
    """Return the object in a JSON file with comments and trailing commas, empty when there is none."""
    try:
        if not file.is_file() or file.is_symlink() or file.stat().st_size > _MAX_FILE_BYTES:
            return {}
        text = file.read_text("utf-8-sig", "replace")
        text = _COMMENT_OR_STRING.sub(lambda match: match[1] or "", text)
        content = json.loads(_TRAILING_COMMA.sub(lambda match: match[1] or "", text))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
