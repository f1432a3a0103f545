"""What a change of the retrieved definitions costs, by how many tokens of them there are.

One line is typed on, keystroke by keystroke. At the first keystroke of each size all definitions are others
than before; at the next ones they stay. Real definitions of the package serve, whatever they have to do with
the line: the time depends on how many tokens they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from latency.contenders import Contender, Request, Timing, handing_out
from latency.ours import CoolableStore, OursWithMemories
from latency.session import Moment, Session

from indexer.types import Retrieved

__all__ = [
    "STATES",
    "Change",
    "DefinitionSet",
    "State",
    "ask_for_changes",
    "ask_of_cold_memories",
    "longest_line",
    "n_keystrokes",
]

State = Literal["kept", "changed", "changed, on disk", "changed, not encoded", "changed, encoded now"]
"""kept: as at the keystroke before. changed: all are others, with memories of them in RAM. on disk: they are
there alone. not encoded: there are none, and what cannot be encoded in the time that a completion has for it
while someone types is left out. encoded now: the same, but all are waited for."""

STATES: tuple[State, ...] = (
    "kept",
    "changed",
    "changed, on disk",
    "changed, not encoded",
    "changed, encoded now",
)

DefinitionSet = tuple[int, tuple[Retrieved, ...]]
"""How many tokens were asked for, and the definitions."""

N_KEPT = 4
"""Keystrokes with the same definitions after each change."""


@dataclass(frozen=True, slots=True)
class Change:
    """One request of one contender."""

    contender: str
    size: int
    """Tokens of definitions that were asked for; `Timing.definition_tokens` were attended to."""
    state: State
    timing: Timing


def longest_line(session: Session) -> list[Moment]:
    """Return a request at each keystroke of the longest line that a session writes, from its third on."""
    first = session.edits[0].position
    end = session.edits[-1].position + len(session.edits[-1].text)
    final = session.final
    lines, start = list[tuple[int, int]](), first
    for line in final[first:end].split("\n"):
        code_start = start + len(line) - len(line.lstrip())
        lines.append((code_start, start + len(line)))
        start += len(line) + 1
    code_start, line_end = max(lines, key=lambda ends: ends[1] - ends[0])
    columns = range(code_start + 2, line_end + 1)
    return [Moment("keystroke", final[:column], session.initial[first:], 0) for column in columns]


def n_keystrokes(n_sets: int) -> int:
    """Return how many keystrokes `ask_for_changes` asks for."""
    return 1 + n_sets * (1 + N_KEPT)


def ask_for_changes(
    contenders: Sequence[Contender], requests: Sequence[Request], sets: Sequence[DefinitionSet]
) -> Iterator[Change]:
    """Yield what each request took, each through all contenders before the next one.

    Args:
        contenders: With nothing in their caches of the file.
        requests: At successive keystrokes of a line; their definitions are replaced.
        sets: In the order in which they come; no two may share a definition.
    """
    keystrokes = itertools.cycle(requests)  # a line that is too short is begun again
    opening = _with(next(keystrokes), ())
    for contender in contenders:
        contender.complete(opening)
    for size, definitions in sets:
        for number in range(1 + N_KEPT):
            request = _with(next(keystrokes), definitions)
            state: State = "changed" if number == 0 and size else "kept"
            for contender in contenders if number % 2 == 0 else contenders[::-1]:
                if state == "changed":
                    contender.warm(definitions, request)
                yield Change(contender.name, size, state, contender.complete(request))


def ask_of_cold_memories(
    contender: OursWithMemories,
    store: CoolableStore,
    requests: Sequence[Request],
    sets: Sequence[DefinitionSet],
) -> Iterator[Change]:
    """Yield what changes cost where memories are not in RAM.

    Args:
        contender: Its bank takes memories from the store.
        store: Left with nothing.
        requests: At successive keystrokes of a line; their definitions are replaced.
        sets: At least two of equal size, changed to in turn.
    """
    keystrokes, in_turn = itertools.cycle(requests), itertools.cycle(sets)
    contender.complete(_with(next(keystrokes), ()))
    for state in STATES[2:]:
        for _ in sets:
            size, definitions = next(in_turn)
            request = _with(next(keystrokes), definitions)
            if state == "changed, on disk":
                contender.warm(definitions, request)
            store.cool("disk" if state == "changed, on disk" else "nothing")
            if state == "changed, encoded now":
                request = replace(request, encode_ms=None)
            yield Change(contender.name, size, state, contender.complete(request))


def _with(request: Request, definitions: tuple[Retrieved, ...]) -> Request:
    return replace(request, retrieve=handing_out(definitions), held=definitions)
