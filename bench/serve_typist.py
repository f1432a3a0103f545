"""Types recorded editing sessions into a language server, in real time, and notes what each request took.

The writer waits for an answer that comes late, so that slow ones are counted and not overtaken; how many the
next keystroke would have overtaken is told. A storm of requests that are given up tells how soon a server
lets go.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from latency.session import ASK_AFTER_MS, Kind, Session, moments
from serve_client import Asked, Client, Status

__all__ = ["Sample", "Source", "replay", "storm"]

READING_S = 1.0
"""Between opening a file and the first keystroke."""
_N_STORM = 40
_GIVEN_UP_AFTER_S = (0.002, 0.06)
"""From before the model begins into its passes."""

Source = Literal["model", "known", "foreseen", "rule"]
"""known: left of a suggestion that is being typed, or found empty before. foreseen: computed ahead. rule:
nothing is shown at such a place."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request, as the client saw it."""

    kind: Kind
    ms: float
    """From the request to the answer."""
    source: Source
    reason: str | None
    """Why nothing was shown; None when something was."""
    is_late: bool
    """Whether the next keystroke was due before the answer."""


class OpenText:
    """A document that is open in an editor window."""

    def __init__(self, client: Client, uri: str, language: str, text: str) -> None:
        """Open it."""
        self._client = client
        self._uri = uri
        self._version = 1
        self.text = text
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        client.notify("textDocument/didOpen", {"textDocument": item})

    def type(self, at: int, added: str) -> None:
        """Insert text at a place, in characters."""
        position = self._position(at)
        change = {"range": {"start": position, "end": position}, "text": added}
        self._version += 1
        document = {"uri": self._uri, "version": self._version}
        self._client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        self.text = self.text[:at] + added + self.text[at:]

    def ask(self, at: int, *, invoked: bool) -> Asked:
        """Request a completion."""
        params = {
            "textDocument": {"uri": self._uri},
            "position": self._position(at),
            "context": {"triggerKind": 1 if invoked else 2},
        }
        return self._client.request("textDocument/inlineCompletion", params)

    def close(self) -> None:
        """Close it."""
        self._client.notify("textDocument/didClose", {"textDocument": {"uri": self._uri}})

    def _position(self, at: int) -> dict[str, int]:
        start = self.text.rfind("\n", 0, at) + 1
        column = len(self.text[start:at].encode("utf-16-le")) // 2
        return {"line": self.text.count("\n", 0, at), "character": column}


async def replay(
    client: Client, root: Path, session: Session, first: int, go_on: Callable[[int, Status], bool]
) -> list[Sample]:
    """Write a function again from a keystroke on, and ask wherever its writer pauses.

    Args:
        client: To a server whose folder is `root`.
        root: Holds the session's package.
        session: What is typed.
        first: The number of the first keystroke; what comes before is in the file when it is opened.
        go_on: Told after each request how many keystrokes were typed and the server's status; whether to go
            on.
    """
    document = OpenText(client, uri_in(root, session), session.language, text_before(session, first))
    await asyncio.sleep(READING_S)
    samples: list[Sample] = []
    kinds = _kinds(session, first)
    for number, edit in enumerate(session.edits[first:], start=first):
        typed_s = time.monotonic()
        document.type(edit.position, edit.text)
        if edit.pause_ms >= ASK_AFTER_MS:
            await asyncio.sleep(ASK_AFTER_MS / 1e3)
            ms = await document.ask(edit.position + len(edit.text), invoked=False).ms()
            status = await client.status()
            is_late = ms > edit.pause_ms - ASK_AFTER_MS
            samples.append(_sample(kinds[number], ms, status["last"], is_late=is_late))
            if not go_on(number + 1, status):
                break
        await asyncio.sleep(max(0.0, typed_s + edit.pause_ms / 1e3 - time.monotonic()))
    document.close()
    return samples


async def storm(client: Client, uri: str) -> list[float]:
    """Ask many times in a new document, giving each request up soon; return how long letting go took, in ms.

    What was answered before it was given up is not counted.
    """
    dice = random.Random(0)
    text = "import json\nimport os\n\n\ndef read_settings(path):\n    return json."
    document = OpenText(client, uri, "python", text)
    took_ms = []
    for _ in range(_N_STORM):
        document.type(len(document.text), dice.choice("abcdefghijklmnopqrstuvwxyz_"))
        asked = document.ask(len(document.text), invoked=True)
        await asyncio.sleep(dice.uniform(*_GIVEN_UP_AFTER_S))
        if not asked.answer.done():
            given_up_s = time.monotonic()
            client.cancel(asked)
            took_ms.append(((await asked.answer).at_s - given_up_s) * 1e3)
    document.close()
    return took_ms


def uri_in(root: Path, session: Session) -> str:
    """Return the URI of the file that a session writes."""
    return (root / session.package / session.path).as_uri()


def text_before(session: Session, first: int) -> str:
    """Return the file as it is before a keystroke."""
    return replace(session, edits=session.edits[:first]).final


def _sample(kind: Kind, ms: float, last: Status, *, is_late: bool) -> Sample:
    source: Source = last["source"] or "rule"
    return Sample(kind, ms, source, last["reason"], is_late)


def _kinds(session: Session, first: int) -> dict[int, Kind]:
    """The kind of each request by its keystroke's number, the first one's being cold."""
    asking = [number for number, edit in enumerate(session.edits) if edit.pause_ms >= ASK_AFTER_MS]
    kinds: dict[int, Kind] = {
        number: moment.kind for number, moment in zip(asking, moments(session), strict=True)
    }
    kinds[next(number for number in asking if number >= first)] = "cold"
    return kinds
