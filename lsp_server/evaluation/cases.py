"""`Case`: a file cut at a cursor, and what its author wrote there. Its file format is stable.

One JSON object a line:

    {"repo": "path/of/a/folder", "path": "src/app.py", "prefix": "...", "suffix": "...", "target": "..."}

`repo` is the repository's folder, relative to the folder of the cases' own file unless absolute; `path` is
POSIX and relative to `repo`. The file's content is prefix + target + suffix, whatever the disk says. `kind`
may name a group of cases, which tables then show apart. Other keys are ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lsp_server.errors import UsageError

__all__ = ["Case", "read_cases", "write_cases"]

_TEXTS = ("path", "prefix", "suffix", "target")


@dataclass(frozen=True, slots=True)
class Case:
    """A cursor in a file, and the text that its author wrote there."""

    repo: Path
    """The repository's folder."""
    path: str
    """Of the file within the repository, POSIX."""
    prefix: str
    suffix: str
    target: str
    """What stands between prefix and suffix; not empty."""
    kind: str = "given"

    @property
    def id(self) -> str:
        """The case by its content: the same wherever the repository lies and however cases are numbered."""
        parts = (self.repo.name, self.path, self.prefix, self.suffix, self.target)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @property
    def is_block(self) -> bool:
        """Whether the target has several lines."""
        return "\n" in self.target.rstrip()


def read_cases(file: Path) -> list[Case]:
    """Return the cases of a file, in its order.

    Raises:
        UsageError: The file cannot be read, or a line of it is no case; the message says which line and why.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise UsageError(f"{file} holds no cases")
    return [_case(line, file, number) for number, line in lines]


def write_cases(cases: Iterable[Case], file: Path) -> None:
    """Write a file of cases; repositories below its folder are written relative to it, so both can move."""
    folder = file.parent.absolute()
    rows = []
    for case in cases:
        root = case.repo.absolute()
        repo = root.relative_to(folder).as_posix() if root.is_relative_to(folder) else str(root)
        texts = {name: getattr(case, name) for name in _TEXTS}
        rows.append(json.dumps({"repo": repo, **texts, "kind": case.kind}, ensure_ascii=False) + "\n")
    temporary = file.with_name(file.name + ".part")
    temporary.write_text("".join(rows), "utf-8")
    os.replace(temporary, file)  # noqa: PTH105 - says what is atomic about it


def _case(line: str, file: Path, number: int) -> Case:
    where = f"{file}:{number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise UsageError(f"{where}: not a JSON object")
    for name in ("repo", *_TEXTS):
        if not isinstance(row.get(name), str):
            raise UsageError(f"{where}: `{name}` is missing, or is no text")
    if not row["target"].strip():
        raise UsageError(f"{where}: `target` is empty: there is nothing to compare with")
    kind = row.get("kind", "given")
    if not isinstance(kind, str):
        raise UsageError(f"{where}: `kind` is no text")
    repo = Path(os.path.abspath(file.parent / row["repo"]))  # noqa: PTH100 - links stay as they are written
    if not repo.is_dir():
        raise UsageError(f"{where}: `repo` {repo} is not a folder")
    return Case(repo, row["path"], row["prefix"], row["suffix"], row["target"], kind)
