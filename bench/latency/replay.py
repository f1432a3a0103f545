"""Replays editing sessions through contenders, each request through all of them before the next one.

So whatever slows the machine down for a while slows all of them, and their ratios stand. Who goes first takes
turns. This file does not know who the contenders are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from latency.contenders import Contender, OpenedFile, Request, Timing
from latency.session import Kind, Moment, Session, moments

__all__ = ["READING_MS", "Sample", "replay"]

READING_MS = 5_000
"""For how long the file is open before the writer begins; what is prepared ahead has this time at first."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request, and what it took each contender."""

    session: str
    kind: Kind
    timings: Mapping[str, Timing]
    """By the contender's name."""


def replay(
    session: Session,
    file: OpenedFile,
    contenders: Sequence[Contender],
    request_at: Callable[[Moment], Request],
    *,
    after_request: Callable[[], None] = lambda: None,
) -> Iterator[Sample]:
    """Yield each request of a session, begun with cold caches.

    Args:
        session: What is typed.
        file: What it is typed into.
        contenders: All of them get every request.
        request_at: Makes a request of a moment.
        after_request: Called, untimed, after each request.
    """
    for contender in contenders:
        contender.open(file)
        contender.idle(READING_MS)
    for number, moment in enumerate(moments(session)):
        request = request_at(moment)
        in_turn = contenders if number % 2 == 0 else contenders[::-1]
        timings = {contender.name: contender.complete(request) for contender in in_turn}
        after_request()
        for contender in contenders:
            contender.idle(moment.pause_ms)
        yield Sample(f"{session.package}:{session.path}:{session.name}", moment.kind, timings)
