"""How fast the language server answers its client, idle and while it indexes 200,000 lines from nothing.

    python bench/serve.py                 eight minutes; takes what bench/latency/run.py fetched and drew
    python bench/serve.py --slices 1      a trial of two minutes

Each slice of an editing session is typed twice, in real time, into a server that was just started: while a
repository without an index is indexed, for as long as that lasts, and then, the same keystrokes, with the
index complete; so every request has its like. Encoded definitions are thrown away in between. All the while
the server's event loop is asked for nothing every 10 ms, and so is a process that does nothing else, which
tells what of the answer's delay is the machine's and the client's own. Before the typing begins, requests are
given up by the dozen; at the end a second editor window is opened. Tables go to standard error, one JSON
object to standard output. The server is what users have: `crosslight serve` with the shared engine and the
default settings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latency.resources import pss_mb
from latency.session import ASK_AFTER_MS, Session, read_sessions
from latency.sources import where
from serve_client import Client, Status
from serve_figures import Round, of_round, print_tables, ratios, rounded
from serve_home import Home, as_far_apart_as_users_are, new_home
from serve_typist import Sample, replay, storm

from lsp_server.paths import Folders

FEWEST_REQUESTS = 4
"""Fewer are not worth the start of a server."""
_FEW_KEYSTROKES = 60


async def measure(home: Home, sessions: Sequence[Session], n_slices: int) -> dict[str, Any]:
    """Return all figures."""
    indexing, idle = Round(), Round()
    seconds = []
    begun = dict.fromkeys(range(len(sessions)), 0)
    for number in range(n_slices):
        which = number % len(sessions)
        session, first = sessions[which], begun[which]
        if _n_requests(session, first) < FEWEST_REQUESTS:
            continue
        last, took_s = await _while_indexing(home, session, first, indexing)
        seconds.append(took_s)
        await _idle(home, session, first, last, idle)
        begun[which] = last
        _say(f"slice {number + 1}: {session.path}, {len(indexing.samples)} requests so far")
    memory = await _windows(home, (sessions[0], sessions[1], sessions[1]))
    figures: dict[str, Any] = {
        **where(),
        "serve": " ".join(home.serve[1:]),
        "indexing_took_s": [round(one, 1) for one in seconds],
        "idle": of_round(idle),
        "indexing": of_round(indexing),
        "ratio": ratios(idle.samples, indexing.samples),
        "ratio_without_cold": ratios(*(_without_cold(one.samples) for one in (idle, indexing))),
        "memory_mb": memory,
    }
    return figures


async def _while_indexing(home: Home, session: Session, first: int, round_: Round) -> tuple[int, float]:
    """Type until the index is complete; return at which keystroke that was, and after how many seconds."""
    home.end(forget=("index", "memories"))
    started = time.monotonic()
    client = await home.open()
    await client.until(lambda status: status["model"]["kind"] != "loading")
    reached = [first]

    def go_on(n_typed: int, status: Status) -> bool:
        reached[0] = n_typed
        return bool(status["repositories"][0]["kind"] == "indexing")

    async with round_.pulse.beating(client), as_far_apart_as_users_are(home):
        round_.letting_go_ms += await storm(client, (home.root / "storm.py").as_uri())
        round_.samples += await replay(client, home.root, session, first, go_on)
    await client.until_ready()
    took_s = time.monotonic() - started
    await client.end()
    return reached[0], took_s


async def _idle(home: Home, session: Session, first: int, last: int, round_: Round) -> None:
    """Type the same with the index complete."""
    home.end(forget=("memories",))
    client = await home.open()
    await client.until_ready()
    async with round_.pulse.beating(client):
        round_.letting_go_ms += await storm(client, (home.root / "storm.py").as_uri())
        round_.samples += await replay(client, home.root, session, first, lambda typed, _: typed < last)
    await client.end()


async def _windows(home: Home, sessions: Sequence[Session]) -> dict[str, Any]:
    """Return what an editor window takes of the memory: one with a file, with two files, and then two."""
    home.end(forget=("memories",))
    clients: list[Client] = []
    taken: dict[str, Any] = {}
    for name, session in zip(("1 window", "1 window, 2 files", "2 windows"), sessions, strict=True):
        if name != "1 window, 2 files":
            clients.append(await home.open())
            await clients[-1].until_ready()
        await replay(clients[-1], home.root, session, 0, lambda n_typed, _: n_typed < _FEW_KEYSTROKES)
        taken[name] = _taken_by(home, clients)
    for client in clients:
        await client.end()
    home.end(forget=())
    return taken


def _taken_by(home: Home, clients: Sequence[Client]) -> dict[str, Any]:
    facts = home.facts()
    windows = [client.process.pid for client in clients]
    shared = [one["pid"] for one in (facts["engine"], facts["index_worker"]) if one is not None]
    return {
        "n_engines": len({facts["engine"]["pid"]}) if facts["engine"] is not None else 0,
        "n_editors": facts["engine"]["n_editors"] if facts["engine"] is not None else len(clients),
        "total": rounded(pss_mb([*windows, *shared])),
        "windows": [rounded(pss_mb([pid])) for pid in windows],
        "engine_and_index": [rounded(pss_mb([pid])) for pid in shared],
    }


def _n_requests(session: Session, first: int) -> int:
    return sum(edit.pause_ms >= ASK_AFTER_MS for edit in session.edits[first:])


def _without_cold(samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.kind != "cold"]


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--standalone", action="store_true", help="without the shared engine")
    parser.add_argument("--cache", type=Path, default=Folders.of_user().index.parent / "bench")
    options = parser.parse_args()
    sessions = read_sessions(options.cache / "latency" / "sessions-0.jsonl")
    with new_home(options.cache / "sources", sessions, standalone=options.standalone) as home:
        figures = asyncio.run(measure(home, sessions, options.slices))
    print_tables(figures)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
