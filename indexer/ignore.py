"""Git's ignore rules: `.gitignore` files at any depth, `info/exclude`, and the user's own excludes file.

Rules are judged as git judges them, one path component at a time from the top, each pattern against exactly
the path at hand (gitignore(5), and `wildmatch.c` of git for the patterns). Libraries that match a whole path
at once get the usual white list (`*`, `!*/`, `!*.py`) wrong. The index of git is not read: a tracked file
that is ignored too counts as ignored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_POSIX_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_EXCLUDES_FILE = re.compile(r"^\s*excludesfile\s*=\s*\"?([^\"\n]+?)\"?\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Rule:
    regex: re.Pattern[str]
    negated: bool
    folders_only: bool
    whole_path: bool
    """Whether the regex is for the path from the rule file's folder, not for the last component alone."""


class IgnoreRules:
    """The rules of one ignore file, for paths below the folder that the file lies in."""

    __slots__ = ("_rules", "folder")

    def __init__(self, text: str, folder: str) -> None:
        """Read the rules.

        Args:
            text: The file's text.
            folder: The folder its patterns are relative to, as the start of the paths that `judge` will
                get: empty for their root, else with a slash at the end (`lib/parsers/`).
        """
        lines = text.removeprefix("\ufeff").split("\n")
        self.folder = folder
        # The last rule that matches decides, so they are tried from the end.
        self._rules = [rule for line in reversed(lines) if (rule := _parse_rule(line)) is not None]

    def judge(self, path: str, *, is_folder: bool) -> bool | None:
        """Return whether a path is ignored; None where no rule matches, False where a negated one does."""
        relative = path[len(self.folder) :]
        name = relative.rpartition("/")[2]
        for rule in self._rules:
            if (is_folder or not rule.folders_only) and rule.regex.match(
                relative if rule.whole_path else name
            ):
                return not rule.negated
        return None


def is_ignored(path: str, rules: Sequence[IgnoreRules], *, is_folder: bool) -> bool:
    """Return whether a path whose parents are not ignored is ignored.

    Args:
        path: The path, with slashes.
        rules: From the weakest (the user's excludes file) to the strongest (the nearest `.gitignore`).
        is_folder: Whether the path is a folder.
    """
    for one in reversed(rules):
        verdict = one.judge(path, is_folder=is_folder)
        if verdict is not None:
            return verdict
    return False


def outer_rules(root: Path) -> tuple[IgnoreRules, ...]:
    """Return the rules that come from outside of `root`, or from no `.gitignore`, weakest first.

    These are the user's excludes file, `info/exclude` of the git repository that `root` lies in, and the
    `.gitignore` files between that repository's top and `root`. Where they ignore `root` itself, whoever
    asks for it wants it all the same, and only the user's excludes file counts.
    """
    user = tuple(_read_rules([_user_excludes_file()], ""))
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if top is None:
        return user
    parts = root.relative_to(top).parts
    rules = [*user, *_read_rules([_git_folder(top) / "info" / "exclude"], "")]
    for depth, part in enumerate(parts):
        folder = "".join(f"{name}/" for name in parts[:depth])
        rules += _read_rules([top.joinpath(*parts[:depth], ".gitignore")], folder)
        if is_ignored(folder + part, rules, is_folder=True):
            return user
    # Paths below `root` are judged relative to it: rules from above get its own path in front.
    return (
        tuple(_Prefixed(one, "".join(f"{name}/" for name in parts)) for one in rules)
        if parts
        else tuple(rules)
    )


def read_rules(file: Path, folder: str) -> IgnoreRules | None:
    """Return the rules of an ignore file, or None when it cannot be read or is no regular file."""
    return next(iter(_read_rules([file], folder)), None)


class _Prefixed(IgnoreRules):
    """Rules of a folder above the root, for paths relative to the root."""

    __slots__ = ("_inner", "_prefix")

    def __init__(self, inner: IgnoreRules, prefix: str) -> None:
        self._inner = inner
        self._prefix = prefix
        self.folder = inner.folder

    def judge(self, path: str, *, is_folder: bool) -> bool | None:
        return self._inner.judge(self._prefix + path, is_folder=is_folder)


def _read_rules(candidates: Iterable[Path], folder: str) -> Iterable[IgnoreRules]:
    for file in candidates:
        try:
            # Git does not follow a `.gitignore` that is a link either.
            if file.is_file() and not file.is_symlink():
                yield IgnoreRules(file.read_bytes().decode("utf-8", "replace"), folder)
        except OSError:
            continue


def _user_excludes_file() -> Path:
    """Return `core.excludesFile`, or its default; the file need not exist."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git"
    for file in (home / ".gitconfig", config / "config"):
        try:
            found = _EXCLUDES_FILE.findall(file.read_text("utf-8", "replace"))
        except OSError:
            continue
        if found:
            return Path(os.path.expanduser(found[-1]))  # noqa: PTH111 - likewise
    return config / "ignore"


def _git_folder(top: Path) -> Path:
    """Return the git folder of a work tree (in submodules and linked work trees `.git` names it)."""
    git = top / ".git"
    try:
        if git.is_file():
            git = top / git.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
        if (git / "commondir").is_file():
            git /= (git / "commondir").read_text("utf-8", "replace").strip()
    except (OSError, ValueError):
        return top / ".git"
    return git


def _parse_rule(line: str) -> _Rule | None:
    line = line.removesuffix("\r")
    if line.startswith("#"):
        return None
    line = _without_trailing_spaces(line)
    negated = line.startswith("!")
    line = line[negated:]
    folders_only = line.endswith("/")
    line = line[: len(line) - folders_only]
    whole_path = "/" in line
    regex = _wildmatch_regex(line.removeprefix("/"))
    if not line or regex is None:
        return None
    return _Rule(re.compile(regex, re.DOTALL), negated, folders_only, whole_path)


def _without_trailing_spaces(line: str) -> str:
    stripped = line.rstrip(" ")
    n_backslashes = len(stripped) - len(stripped.rstrip("\\"))
    # An odd number of backslashes escapes the first of the spaces.
    return stripped + " " if n_backslashes % 2 and len(line) > len(stripped) else stripped


_STAR = "[^/]*"
_DEEP = "(?:.*/)?"
"""What `**/` matches."""


def _wildmatch_regex(pattern: str) -> str | None:
    """Return the regular expression of a pattern, or None where git lets the pattern match nothing."""
    parts = _wildmatch_parts(pattern)
    return None if parts is None else _linear_regex(parts)


def _linear_regex(parts: Sequence[str]) -> str:
    """Join the parts of a pattern so that matching never tries more than it must.

    What stands between two stars is taken where it is found first, for good: the second star reaches as far
    from there as from any later place. The same holds for the components between two `**/`. Else a pattern
    of a dozen stars, which any repository may hold, would take hours over one long name.
    """
    first, *others = _split(parts, _DEEP)
    regex = _within_folders(first)
    for index, group in enumerate(others):
        inner = _within_folders(group)
        regex += f"(?:.*/)?{inner}" if index == len(others) - 1 else f"(?>(?:.*?/)??{inner})"
    return regex + r"\Z"


def _within_folders(parts: Sequence[str]) -> str:
    first, *others = ("".join(piece) for piece in _split(parts, _STAR))
    between = "".join(f"(?>[^/]*?{piece})" for piece in others[:-1])
    return first + between + "".join(_STAR + last for last in others[-1:])


def _split(parts: Sequence[str], separator: str) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for part in parts:
        if part == separator:
            groups.append([])
        else:
            groups[-1].append(part)
    return groups


def _wildmatch_parts(pattern: str) -> list[str] | None:
    """Translate a pattern piece by piece; None where git lets it match nothing."""
    parts: list[str] = []
    i = 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\":
            if i + 1 == len(pattern):
                return None
            parts.append(re.escape(pattern[i + 1]))
            i += 2
        elif char == "*":
            end = i
            while end < len(pattern) and pattern[end] == "*":
                end += 1
            regex, i = _stars_regex(pattern, i, end)
            parts.append(regex)
        elif char == "?":
            parts.append("[^/]")
            i += 1
        elif char == "[":
            bracket = _bracket_regex(pattern, i)
            if bracket is None:
                return None
            regex, i = bracket
            parts.append(regex)
        else:
            parts.append(re.escape(char))
            i += 1
    return parts


def _stars_regex(pattern: str, start: int, end: int) -> tuple[str, int]:
    """Translate the stars `pattern[start:end]`; also return where to go on."""
    bounded_before = start == 0 or pattern[start - 1] == "/"
    if end - start < 2 or not bounded_before:
        return _STAR, end
    if end == len(pattern):
        return ".*", end
    if pattern[end] == "/":
        return _DEEP, end + 1
    return _STAR, end


def _bracket_regex(pattern: str, start: int) -> tuple[str, int] | None:
    """Translate a bracket expression; also return where to go on. None when it is never closed."""
    i = start + 1
    negated = i < len(pattern) and pattern[i] in "!^"
    i += negated
    members: list[str] = []
    first = True
    while i < len(pattern) and (pattern[i] != "]" or first):
        first = False
        if pattern.startswith("[:", i) and (close := pattern.find(":]", i)) > 0:
            name = pattern[i + 2 : close]
            if name not in _POSIX_CLASSES:
                return None
            members.append(_POSIX_CLASSES[name])
            i = close + 2
            continue
        low, i = _bracket_char(pattern, i)
        high = low
        if i + 1 < len(pattern) and pattern[i] == "-" and pattern[i + 1] != "]":
            high, i = _bracket_char(pattern, i + 1)
        if low <= high:
            members.append(f"{re.escape(low)}-{re.escape(high)}")
    if i >= len(pattern):
        return None
    inside = "".join(members)
    if negated:
        return f"[^/{inside}]", i + 1
    return (f"(?!/)[{inside}]" if inside else r"(?!)"), i + 1


def _bracket_char(pattern: str, i: int) -> tuple[str, int]:
    if pattern[i] == "\\" and i + 1 < len(pattern):
        return pattern[i + 1], i + 2
    return pattern[i], i + 1
