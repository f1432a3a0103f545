"""Makes editing sessions: real functions, taken out of their files and written again keystroke by keystroke.

The writer types in bursts, stops to think at each new line and once inside most lines, mostly where a name or
an argument begins, and goes on from there with a few slow keystrokes. All of it is drawn by a seed. Lines are
indented by the editor; nothing is deleted.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from latency.session import ASK_AFTER_MS, Edit, Session

from indexer.languages import language_of
from indexer.parse import parse_file
from indexer.types import Definition
from indexer.walk import decode_source

N_LINES = (5, 9)
"""Of a function that is worth writing again, first and last of the range."""
_FILE_LINES = (120, 2500)
_LINES_BEFORE = 60
"""Above the function, at least: a prompt that is nearly empty would tell little."""
_LONGEST_LINE = 110
_SHORTEST_LINE = 12
"""Characters without indentation of a line in which the writer stops to think."""
_BURST_MS = (60, 180)
_NEW_LINE_MS = (300, 1500)
_THINKING_MS = (300, 1000)
_SLOW_MS = (ASK_AFTER_MS, 350)
_THINKING_SHARE = 0.75
"""Of the lines that are long enough."""
_SLOW_KEYSTROKES = (1, 2)
_WORD_START = re.compile(r"(?<=[\s(.,=\[])\w")


def draw_sessions(root: Path, n: int, seed: int) -> list[Session]:
    """Return sessions over `n` functions of a package, each of another file; fewer if there are not as many.

    Args:
        root: The folder of the package's sources.
        n: How many.
        seed: The same sources and seed give the same sessions.
    """
    rng = random.Random(f"{root.name} {seed}")
    files = sorted(file for file in root.rglob("*") if file.suffix in {".py", ".ts"})
    rng.shuffle(files)
    drawn = (session for file in files if (session := _of_file(root, file, rng)) is not None)
    return [session for session, _ in zip(drawn, range(n), strict=False)]


def write_again(root: str, path: str, text: str, definition: Definition, rng: random.Random) -> Session:
    """Return the session that writes one definition into its file, from which it was taken out.

    Args:
        root: The name of the package's folder.
        path: Of the file within it.
        text: The file's whole text, with line feeds only.
        definition: Of this text.
        rng: Draws the pauses.
    """
    lines = text.split("\n")
    first, last = definition.span.start_line, definition.span.end_line
    before = "".join(line + "\n" for line in lines[:first])
    initial = before + "\n" + "\n".join(lines[last:])
    edits, position = list[Edit](), len(before)
    for text_typed, pause_ms in _keystrokes(lines[first:last], rng):
        edits.append(Edit(position, text_typed, pause_ms))
        position += len(text_typed)
    return Session(root, path, definition.language, definition.qualified_name, initial, tuple(edits))


def _of_file(root: Path, file: Path, rng: random.Random) -> Session | None:
    path = file.relative_to(root).as_posix()
    source = file.read_bytes()
    text = decode_source(source)
    if "\r" in text or not _FILE_LINES[0] <= text.count("\n") <= _FILE_LINES[1] or not language_of(path, b""):
        return None
    parsed = parse_file(path, source)
    if parsed.role != "source":
        return None
    lines = text.split("\n")
    choices = [one for one in parsed.definitions if _is_worth_writing(one, lines)]
    return write_again(root.name, path, text, rng.choice(choices), rng) if choices else None


def _is_worth_writing(definition: Definition, lines: list[str]) -> bool:
    first, last = definition.span.start_line, definition.span.end_line
    written = lines[first:last]
    return (
        definition.kind in {"function", "method"}
        and N_LINES[0] <= len(written) <= N_LINES[1]
        and first >= _LINES_BEFORE
        and all(len(line) <= _LONGEST_LINE for line in written)
        and definition.name.strip("_") != "init"
    )


def _keystrokes(lines: list[str], rng: random.Random) -> Iterator[tuple[str, int]]:
    """(text, pause after it) of each keystroke; an indentation comes with the line break before it."""
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        lead = line[:indent] if number == 0 else "\n" + line[:indent]
        if lead:
            yield lead, rng.randint(*_NEW_LINE_MS)
        pauses = _pauses_in_line(line[indent:], rng)
        for column, character in enumerate(line[indent:]):
            yield character, pauses.get(column, rng.randint(*_BURST_MS))


def _pauses_in_line(code: str, rng: random.Random) -> dict[int, int]:
    """Column -> pause after its character, for those where the writer thinks or types slowly."""
    if len(code) < _SHORTEST_LINE or rng.random() > _THINKING_SHARE:
        return {}
    starts = [match.start() for match in _WORD_START.finditer(code) if 3 < match.start() < len(code) - 4]
    if not starts:
        return {}
    at = rng.choice(starts) - 1
    slow = range(at + 1, at + 1 + rng.randint(*_SLOW_KEYSTROKES))
    return {at: rng.randint(*_THINKING_MS)} | {column: rng.randint(*_SLOW_MS) for column in slow}
