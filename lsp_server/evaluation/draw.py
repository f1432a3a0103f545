"""Draws cases from a repository: seeded, so the same files give the same cases.

Three kinds. *cross-file*: right after `Name(` or `Name.`, where the file imports Name from another file of
the repository; to be written is the rest of the line, as in CrossCodeEval (arXiv 2310.11248). *line*: at any
character of a line of code; the rest of the line. *block*: where the body of a function of 2 to 10 lines
begins, after its docstring; the body. Tests, documents, generated files and declarations are passed over,
and so are files with syntax errors.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from indexer.bodies import function_bodies
from indexer.imports import RepoFiles, resolve_import
from indexer.js_aliases import read_js_aliases
from indexer.languages import TooSlowError, language_of
from indexer.lexemes import Lexeme, lexemes
from indexer.parse import parse_file
from indexer.source import decode_source
from indexer.types import ParsedFile
from indexer.walk import WalkedFile, WalkReport, read_source, walk
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.choices import DRAWN_KINDS, DrawnKind

__all__ = ["CUTTERS", "Cut", "OpenedSource", "draw_cases", "open_source"]

_CASES_PER_FILE = 2
_BLOCK_LINES = range(2, 11)
_MAX_BLOCK_BYTES = 1200
_TARGET_CHARACTERS = range(3, 121)
"""Of a rest of line, one letter among them: fewer tell nothing, more are data."""
_TRIES_PER_LINE = 3
_DECLARATIONS = (".d.ts", ".d.mts", ".d.cts", ".pyi")
_IMPORT = re.compile(rb"\s*(?:import|from|export|use|require|package|#include|using)\b")

Cut = tuple[int, int]
"""Where a target starts and ends, in bytes."""


def draw_cases(root: Path, *, n: int, seed: int, kinds: Collection[DrawnKind] = DRAWN_KINDS) -> list[Case]:
    """Return at most `n` cases of each kind, at most two of a kind from one file.

    A second case is taken from a file only when there is none left that has not given one.

    Args:
        root: The repository's folder.
        n: Of each kind; a small repository gives fewer.
        seed: Draws others.
        kinds: Which are wanted.

    Raises:
        RootError: `root` is missing, not a folder, or not readable.
    """
    walked = list(walk(root))
    paths = [file.path for file in walked]
    files = RepoFiles(paths, read_js_aliases(root, paths))
    random.Random(seed).shuffle(walked)  # noqa: S311 - to be repeated, not to be secret
    wanted = [kind for kind in DRAWN_KINDS if kind in kinds]
    rounds: dict[DrawnKind, list[list[Case]]] = {
        kind: [[] for _ in range(_CASES_PER_FILE)] for kind in wanted
    }
    for file in walked:
        if all(len(rounds[kind][0]) >= n for kind in wanted):
            break
        opened = open_source(root, file, files)
        if opened is None:
            continue
        for kind in wanted:
            generator = random.Random(f"{seed} {kind} {file.path}")  # noqa: S311
            for cases, cut in zip(rounds[kind], CUTTERS[kind](opened, generator), strict=False):
                cases.append(opened.case(kind, cut))
    return [case for kind in wanted for case in [case for cases in rounds[kind] for case in cases][:n]]


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """A file that cases can be drawn from."""

    root: Path
    data: bytes
    """UTF-8."""
    parsed: ParsedFile
    lexemes: list[Lexeme]
    comments: list[int]
    """Where they start, in order."""
    foreign_names: frozenset[bytes]
    """What it imports from other files of the repository."""

    def case(self, kind: DrawnKind, cut: Cut) -> Case:
        """Return the case of a cut."""
        start, end = cut
        prefix, target, suffix = (
            part.decode() for part in (self.data[:start], self.data[start:end], self.data[end:])
        )
        return Case(self.root, self.parsed.path, prefix, suffix, target, kind)

    def line_end(self, at: int) -> int:
        """Return where the line around a byte ends, white space at its end left out."""
        end = self.data.find(b"\n", at)
        return at + len(self.data[at : end if end >= 0 else len(self.data)].rstrip())

    def is_import(self, at: int) -> bool:
        """Return whether the line around a byte looks like an import."""
        return _IMPORT.match(self.data, self.data.rfind(b"\n", 0, at) + 1) is not None

    def rest_of_line(self, start: int) -> Cut | None:
        """Return the rest of the line as a target, None where that would tell nothing."""
        end = self.line_end(start)
        target = self.data[start:end].decode("utf-8", "replace").strip()
        after = bisect_left(self.comments, start)
        is_comment = after < len(self.comments) and self.comments[after] < end
        tells = len(target) in _TARGET_CHARACTERS and any(map(str.isalpha, target))
        return (start, end) if tells and not is_comment else None


def open_source(root: Path, file: WalkedFile, files: RepoFiles) -> OpenedSource | None:
    """Return a file if cases can be drawn from it."""
    spec = language_of(file.path)
    if spec is None or spec.wheel is None or file.path.endswith(_DECLARATIONS):
        return None
    source = read_source(file, WalkReport())
    if source is None:
        return None
    try:
        parsed = parse_file(file.path, source)
    except TooSlowError:
        return None
    if parsed.has_errors or parsed.role != "source":
        return None
    data = decode_source(source).encode("utf-8", "replace")
    names = {
        imp.local_name.encode()
        for imp in parsed.imports
        if imp.local_name != "*"
        and resolve_import(imp, path=file.path, language=parsed.language, files=files)
    }
    found = lexemes(parsed.language, data)
    comments = sorted(one.start for one in found if one.kind == "comment")
    return OpenedSource(root, data, parsed, found, comments, frozenset(names))


def _cross_file(source: OpenedSource, generator: random.Random) -> Iterator[Cut]:
    found: list[Cut] = []
    previous = b""
    for one, after in pairwise(source.lexemes):
        is_name = one.kind == "code" and one.text in source.foreign_names and previous not in {b".", b"?."}
        follows = after.text in {b"(", b"."} and after.start == one.start + len(one.text)
        previous = one.text
        if is_name and follows and not source.is_import(one.start):
            cut = source.rest_of_line(after.start + 1)
            found += [cut] if cut else []
    generator.shuffle(found)
    yield from found


def _line(source: OpenedSource, generator: random.Random) -> Iterator[Cut]:
    lines = [
        one.start
        for one in source.lexemes
        if one.kind == "code"
        and not source.data[source.data.rfind(b"\n", 0, one.start) + 1 : one.start].strip()
        and not source.is_import(one.start)
    ]
    generator.shuffle(lines)
    for start in lines:
        characters = source.data[start : source.line_end(start)].decode("utf-8", "replace")
        for _ in range(_TRIES_PER_LINE):
            column = generator.randrange(max(1, len(characters)))
            if cut := source.rest_of_line(start + len(characters[:column].encode())):
                yield cut
                break


def _block(source: OpenedSource, generator: random.Random) -> Iterator[Cut]:
    try:
        bodies = function_bodies(source.parsed.language, source.data)
    except TooSlowError:
        return
    found = [
        (start, end)
        for start, end in bodies
        if source.data.count(b"\n", start, end) + 1 in _BLOCK_LINES and end - start <= _MAX_BLOCK_BYTES
    ]
    generator.shuffle(found)
    yield from found


CUTTERS: Mapping[DrawnKind, Callable[[OpenedSource, random.Random], Iterator[Cut]]] = {
    "cross-file": _cross_file,
    "line": _line,
    "block": _block,
}
"""What gives the cuts of each kind in a file, in random order."""
