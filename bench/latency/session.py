"""An editing session as data: a file, the keystrokes that write one function into it, and the pauses between.

A completion is asked for at the start and wherever the writer pauses for as long as editors wait. What a
request finds in a completer's caches depends on what was asked before, so requests are named by what happened
since the last one. This file knows no completer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

ASK_AFTER_MS = 200
"""How long an editor waits after a keystroke before it asks; Neovim's own inline completion does the same."""

Kind = Literal["cold", "newline", "keystroke", "resumed"]
"""cold: nothing was asked in this file before. newline: a line break was typed since the last request.
keystroke: one keystroke in the same line. resumed: several keystrokes in the same line."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One keystroke: what it inserted, with what the editor adds by itself (an indentation)."""

    position: int
    """In the text as it is then, in characters."""
    text: str
    pause_ms: int
    """Until the next keystroke."""


@dataclass(frozen=True, slots=True)
class Session:
    """The writing of one function."""

    package: str
    """The folder of the package's sources."""
    path: str
    """Of the file within it, POSIX."""
    language: str
    name: str
    """What is written: the function's qualified name."""
    initial: str
    """The file without the function."""
    edits: tuple[Edit, ...]

    @property
    def final(self) -> str:
        """The file as its author left it."""
        text = self.initial
        for edit in self.edits:
            text = _applied(text, edit)
        return text


@dataclass(frozen=True, slots=True)
class Moment:
    """A request for a completion."""

    kind: Kind
    prefix: str
    suffix: str
    pause_ms: int
    """Until the next request; a completer may use it to prepare for that."""


def moments(session: Session) -> Iterator[Moment]:
    """Return where completions are asked for, in order."""
    text, since = session.initial, list[Edit]()
    asked: Moment | None = None
    for edit in session.edits:
        text = _applied(text, edit)
        since.append(edit)
        if edit.pause_ms < ASK_AFTER_MS:
            continue
        at = edit.position + len(edit.text)
        if asked is None:
            kind: Kind = "cold"
        else:
            kind = _kind(since)
            yield replace(asked, pause_ms=asked.pause_ms + sum(one.pause_ms for one in since[:-1]))
        asked = Moment(kind, text[:at], text[at:], edit.pause_ms)
        since = []
    if asked is not None:
        yield asked


def write_sessions(sessions: Iterable[Session], file: Path) -> None:
    """Write sessions as one JSON object a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(session), ensure_ascii=False) + "\n" for session in sessions]
    file.write_text("".join(lines), "utf-8")


def read_sessions(file: Path) -> list[Session]:
    """Return the sessions of a file that `write_sessions` wrote."""
    rows = [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
    return [Session(**{**row, "edits": tuple(Edit(**edit) for edit in row["edits"])}) for row in rows]


def _applied(text: str, edit: Edit) -> str:
    return text[: edit.position] + edit.text + text[edit.position :]


def _kind(since: list[Edit]) -> Kind:
    if any("\n" in edit.text for edit in since):
        return "newline"
    return "keystroke" if len(since) == 1 else "resumed"
