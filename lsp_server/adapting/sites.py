"""Places in a repository to learn at: cursors near each other, which share most of what is retrieved.

A *site* is a stretch of lines in one file. Its cursors are those of `crosslight eval`: after `Name(` or
`Name.` of another file, anywhere in a line, at the beginning of a function's body. One of them stands in the
file as it is, with what follows its line below. The others stand in lines as if these were being written: all
that follows the cursor up to the end of the stretch is not there yet, and the stretch's earlier lines were
written since the frame was cut. So training sees both a frame that was just cut and one that was kept.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.imports import RepoFiles
from indexer.js_aliases import read_js_aliases
from indexer.walk import WalkedFile, WalkReport, read_source, walk
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.choices import DrawnKind
from lsp_server.evaluation.draw import CUTTERS, Cut, OpenedSource, open_source

__all__ = ["Cursor", "Site", "Survey", "draw_sites", "survey"]

_LINES_PER_SITE = 60
"""A file of so many lines gives two sites."""
_LINES_ABOVE = 16
_LINES_BELOW = 10
_MORE_CURSORS = 6
_MORE_IN_LINES = 2
"""Of these, at most so many that need not have anything to do with other files."""
_AROUND: tuple[DrawnKind, ...] = ("cross-file", "line")
_CROSS_FILE_FIRST: tuple[DrawnKind, ...] = ("cross-file", "block", "line")
_BLOCK_FIRST: tuple[DrawnKind, ...] = ("block", "cross-file", "line")
_LINE_FIRST: tuple[DrawnKind, ...] = ("line", "cross-file", "block")
_ANCHORS = (
    *[_CROSS_FILE_FIRST] * 4,
    *[_BLOCK_FIRST] * 2,
    _LINE_FIRST,
)
"""The kind of a site's first cursor: by turns, the first that a file still has."""
_MOST_OF_A_TARGET = 3
"""How often the same text is asked for in one repository: `self)` stands everywhere."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A case, and where the frame ended that was cut before its lines were written."""

    case: Case
    n_frame_characters: int | None
    """As in `PromptRequest`; None: the frame is cut at the cursor's line."""


@dataclass(frozen=True, slots=True)
class Site:
    """Cursors near each other in one file."""

    path: str
    cursors: tuple[Cursor, ...]


class _Seen:
    """Lines that were taken already, each with the line above it, and texts that were asked for."""

    def __init__(self) -> None:
        self._lines: set[bytes] = set()
        self._targets: Counter[bytes] = Counter()

    def is_new(self, data: bytes, cut: Cut) -> bool:
        """Return whether a cut's line and target are new enough, and remember them."""
        start = data.rfind(b"\n", 0, cut[0]) + 1
        end = data.find(b"\n", cut[0])
        above = data[:start].rstrip().rpartition(b"\n")[2].strip()
        line = above + b"\n" + data[start : end if end >= 0 else len(data)].strip()
        target = data[cut[0] : cut[1]].strip()
        self._targets[target] += 1
        if line in self._lines or self._targets[target] > _MOST_OF_A_TARGET:
            return False
        self._lines.add(line)
        return True


@dataclass(frozen=True, slots=True)
class Survey:
    """What some repositories hold."""

    doubles: Mapping[Path, frozenset[str]]
    """Of each, the paths of files that stand, the same, in an earlier one or earlier in it."""
    digest: str
    """Changes when a file's content does, wherever the repositories lie."""


def survey(roots: Sequence[Path]) -> Survey:
    """Read all files of some repositories once.

    Raises:
        RootError: One of them is missing, not a folder, or not readable.
    """
    seen: set[bytes] = set()
    found: dict[Path, frozenset[str]] = {}
    total = hashlib.sha256()
    for root in roots:
        paths = set()
        for file in walk(root):
            data = read_source(file, WalkReport()) or b""
            digest = hashlib.blake2b(b"".join(data.split()), digest_size=16).digest()
            if digest in seen:
                paths.add(file.path)
            seen.add(digest)
            total.update(f"{root.name}/{file.path}\0".encode("utf-8", "surrogateescape") + digest)
        found[root] = frozenset(paths)
    return Survey(found, total.hexdigest())


def draw_sites(root: Path, *, seed: int, without: Collection[str] = ()) -> Iterator[Site]:
    """Yield the sites of a repository, as evenly over its files as it goes, until there are no more.

    Args:
        root: The repository's folder.
        seed: Draws others.
        without: Paths of files that are left out.

    Raises:
        RootError: `root` is missing, not a folder, or not readable.
    """
    walked = list(walk(root))
    paths = [file.path for file in walked]
    files = RepoFiles(paths, read_js_aliases(root, paths))
    random.Random(f"{seed} {root.name}").shuffle(walked)  # noqa: S311 - to be repeated, not to be secret
    seen = _Seen()
    pending = [_sites_of(root, file, files, seed, seen) for file in walked if file.path not in without]
    while pending:
        left = []
        for sites in pending:
            if (site := next(sites, None)) is not None:
                left.append(sites)
                yield site
        pending = left


def _sites_of(root: Path, file: WalkedFile, files: RepoFiles, seed: int, seen: _Seen) -> Iterator[Site]:
    source = open_source(root, file, files)
    if source is None:
        return
    generator = random.Random(f"{seed} {root.name} {file.path}")  # noqa: S311
    cuts = {kind: list(cutter(source, generator)) for kind, cutter in CUTTERS.items()}
    for _ in range(1 + source.data.count(b"\n") // _LINES_PER_SITE):
        kind = next((kind for kind in generator.choice(_ANCHORS) if cuts[kind]), None)
        if kind is None:
            return
        cursors = list(_cursors(source, kind, cuts, generator, seen))
        if cursors:
            yield Site(file.path, tuple(cursors))


def _cursors(
    source: OpenedSource,
    kind: DrawnKind,
    cuts: dict[DrawnKind, list[Cut]],
    generator: random.Random,
    seen: _Seen,
) -> Iterator[Cursor]:
    """Yield the first cursor of a site and those around it, each taken out of `cuts`."""
    anchor = cuts[kind].pop()
    if seen.is_new(source.data, anchor):
        yield Cursor(source.case(kind, anchor), None)
    lines = _Lines.around(source.data, anchor[0], generator)
    around = [
        (other, cut)
        for other in _AROUND
        for cut in cuts[other]
        if lines.start <= cut[0] and cut[1] <= lines.end and cut[0] != anchor[0]
    ]
    generator.shuffle(around)
    around.sort(key=lambda one: one[0] != "cross-file")
    taken: dict[int, DrawnKind] = {}
    for other, cut in around:
        line = source.data.count(b"\n", 0, cut[0])
        is_full = other == "line" and list(taken.values()).count("line") == _MORE_IN_LINES
        if is_full or len(taken) == _MORE_CURSORS or line in taken:
            continue
        cuts[other].remove(cut)
        if seen.is_new(source.data, cut):
            taken[line] = other
            yield _while_written(source, other, cut, lines)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Whole lines, in bytes."""

    start: int
    end: int
    """Of the last line, before its line break."""

    @classmethod
    def around(cls, data: bytes, at: int, generator: random.Random) -> _Lines:
        start = data.rfind(b"\n", 0, at) + 1
        for _ in range(generator.randrange(_LINES_ABOVE + 1)):
            start = data.rfind(b"\n", 0, max(0, start - 1)) + 1
        end = at
        for _ in range(1 + generator.randrange(_LINES_BELOW + 1)):
            found = data.find(b"\n", end + 1)
            end = found if found >= 0 else len(data)
        return cls(start, end)


def _while_written(source: OpenedSource, kind: DrawnKind, cut: Cut, lines: _Lines) -> Cursor:
    """Return the case of a line that is being written, with nothing of the lines after it there yet."""
    case = source.case(kind, cut)
    suffix = source.data[lines.end :].decode()
    return Cursor(replace(case, suffix=suffix), len(source.data[: lines.start].decode()))
