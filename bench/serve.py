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
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from latency.resources import pss_mb
from latency.session import ASK_AFTER_MS, Session, read_sessions
from latency.sources import where
from rich.console import Console
from rich.table import Table
from serve_client import Client, Pulse, Status
from serve_typist import Sample, replay, storm

from lsp_server.config import Settings
from lsp_server.paths import Folders

N_LINES = 200_000
FEWEST_REQUESTS = 4
"""Fewer are not worth the start of a server."""
OPTIONS = {"statistics": False}
CROSSLIGHT = str(Path(sys.executable).with_name("crosslight"))
_SUFFIXES = frozenset({".py", ".ts", ".tsx", ".js"})
_N_RESAMPLES = 4000
_BLOCKED_MS = 50.0


@dataclass(slots=True)
class Round:
    """What was measured under one condition."""

    samples: list[Sample] = field(default_factory=list)
    pulse: Pulse = field(default_factory=Pulse)
    letting_go_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Home:
    """Folders of nobody else, in which servers are started."""

    folder: Path
    root: Path
    """The repository."""
    serve: tuple[str, ...]
    """The command."""

    @property
    def environment(self) -> dict[str, str]:
        """What the processes in this home are told."""
        places = {
            "XDG_RUNTIME_DIR": "run",
            "XDG_CACHE_HOME": "cache",
            "XDG_CONFIG_HOME": "config",
            "XDG_DATA_HOME": "data",
        }
        return os.environ | {name: str(self.folder / place) for name, place in places.items()}

    def run(self, *arguments: str) -> str:
        """Run a command, and return what it prints."""
        command = [CROSSLIGHT, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout

    def facts(self) -> dict[str, Any]:
        """Return what `crosslight engine status` tells."""
        facts: dict[str, Any] = json.loads(self.run("engine", "status", "--json"))
        return facts

    async def open(self) -> Client:
        """Start an editor window on the repository."""
        client = await Client.start(self.serve, self.environment)
        await client.initialize(self.root, OPTIONS)
        return client

    def end(self, *, forget: Sequence[str]) -> None:
        """End whatever runs, and delete parts of the cache."""
        self.run("engine", "stop")
        self.run("index-worker", "--stop")
        for name in forget:
            shutil.rmtree(self.folder / "cache" / "crosslight" / name, ignore_errors=True)


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
    memory = await _windows(home, sessions[:2])
    figures: dict[str, Any] = {
        **where(),
        "serve": " ".join(home.serve[1:]),
        "indexing_took_s": [round(one, 1) for one in seconds],
        "idle": of_round(idle),
        "indexing": of_round(indexing),
        "ratio": ratios(idle.samples, indexing.samples),
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

    async with round_.pulse.beating(client):
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
    """Return what one editor window takes of the memory, and two, each with a file that was typed in."""
    home.end(forget=("memories",))
    clients: list[Client] = []
    taken: dict[str, Any] = {}
    for n, session in enumerate(sessions, start=1):
        client = await home.open()
        clients.append(client)
        await client.until_ready()
        await replay(client, home.root, session, 0, lambda n_typed, _: n_typed < 60)
        taken[f"{n}_window{'s' if n > 1 else ''}"] = _taken_by(home, clients)
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
        "total": _rounded(pss_mb([*windows, *shared])),
        "windows": [_rounded(pss_mb([pid])) for pid in windows],
        "engine_and_index": [_rounded(pss_mb([pid])) for pid in shared],
    }


def of_round(round_: Round) -> dict[str, Any]:
    """Return the figures of one condition."""
    samples = round_.samples
    kinds, sources = ({getattr(one, name) for one in samples} for name in ("kind", "source"))
    excess_ms = list(round_.pulse.excess_ms())
    return {
        **times([one.ms for one in samples]),
        "without_cold": times([one.ms for one in samples if one.kind != "cold"]),
        "shown_share": _share([one.reason is None for one in samples]),
        "late_share": _share([one.is_late for one in samples]),
        "reasons": _counts([one.reason for one in samples if one.reason is not None]),
        "by_kind": {kind: times([one.ms for one in samples if one.kind == kind]) for kind in sorted(kinds)},
        "by_source": {
            source: times([one.ms for one in samples if one.source == source]) for source in sorted(sources)
        },
        "loop": times(round_.pulse.loop_ms),
        "machine": times(round_.pulse.machine_ms),
        "loop_beyond_machine": times(excess_ms),
        "letting_go": times(round_.letting_go_ms),
    }


def times(values_ms: Sequence[float]) -> dict[str, Any]:
    """Return a distribution's figures; `n_blocked` is how many exceed 50 ms."""
    if not values_ms:
        return {"n": 0}
    p50, p95, p99 = np.percentile(values_ms, [50, 95, 99])
    return {
        "n": len(values_ms),
        "p50_ms": _rounded(p50),
        "p95_ms": _rounded(p95),
        "p99_ms": _rounded(p99),
        "max_ms": _rounded(max(values_ms)),
        "n_over_50_ms": sum(one > _BLOCKED_MS for one in values_ms),
    }


def ratios(idle: Sequence[Sample], indexing: Sequence[Sample]) -> dict[str, Any]:
    """Return the times while indexing over those of the idle server, with 95 % intervals.

    The percentile bootstrap over pairs of like requests (Efron 1979), seeded.
    """
    pairs = np.array([(one.ms, other.ms) for one, other in zip(idle, indexing, strict=True)])
    resampled = pairs[np.random.default_rng(0).integers(0, len(pairs), (_N_RESAMPLES, len(pairs)))]
    found: dict[str, Any] = {"n": len(pairs)}
    for percent in (50, 95):
        whole, drawn = (np.percentile(one, percent, axis=-2) for one in (pairs, resampled))
        low, high = np.percentile(drawn[:, 1] / drawn[:, 0], [2.5, 97.5])
        figures = {"ratio": whole[1] / whole[0], "low": low, "high": high}
        found[f"p{percent}"] = {name: round(float(value), 2) for name, value in figures.items()}
    return found


@contextmanager
def new_home(sources: Path, sessions: Sequence[Session], *, standalone: bool) -> Iterator[Home]:
    """Make a home with the model and a repository of so many lines; end and delete all of it afterwards."""
    with tempfile.TemporaryDirectory(prefix="crosslight-", ignore_cleanup_errors=True) as name:
        folder = Path(name)  # a short path: sockets lie in it
        models = folder / "data" / "crosslight" / "models"
        models.mkdir(parents=True)
        model = Settings().model.name
        (models / model).symlink_to(Folders.of_user().models / model)
        (folder / "run").mkdir(mode=0o700)
        serve = (CROSSLIGHT, "serve", "--standalone" if standalone else "--stdio")
        home = Home(folder, folder / "workspace", serve)
        _write_repository(home.root, sources, sessions)
        try:
            yield home
        finally:
            home.end(forget=())


def _write_repository(root: Path, sources: Path, sessions: Sequence[Session]) -> None:
    """Copy packages, those of the sessions first, until there are enough lines; not what will be typed."""
    (root / ".git").mkdir(parents=True)
    used = {session.package for session in sessions}
    n_lines = 0
    for package in sorted(sources.iterdir(), key=lambda one: (one.name not in used, one.name)):
        if n_lines >= N_LINES and package.name not in used:
            break
        shutil.copytree(package, root / package.name, ignore=shutil.ignore_patterns(".git"))
        files = (file for file in (root / package.name).rglob("*") if file.suffix in _SUFFIXES)
        n_lines += sum(file.read_bytes().count(b"\n") for file in files)
    if n_lines < N_LINES:
        sys.exit(
            f"there are only {n_lines} lines in {sources}; run bench/latency/run.py and bench/quality first"
        )
    for session in sessions:
        (root / session.package / session.path).write_text(session.initial, "utf-8")


def print_tables(figures: Mapping[str, Any]) -> None:
    """Print what people read."""
    console = Console(stderr=True, width=120)
    table = Table("ms", "n", "p50", "p95", "p99", "most", "over 50 ms", title=figures["serve"])
    for condition in ("idle", "indexing"):
        found = figures[condition]
        rows = {condition: found, "  without cold": found["without_cold"]}
        rows |= {f"  {name}": found["by_kind"][name] for name in found["by_kind"]}
        rows |= {f"  {name}": found["by_source"][name] for name in found["by_source"]}
        rows |= {f"  {name.replace('_', ' ')}": found[name] for name in _PULSES}
        for name, row in rows.items():
            columns = ("n", "p50_ms", "p95_ms", "p99_ms", "max_ms", "n_over_50_ms")
            table.add_row(name, *(str(row.get(column, "")) for column in columns))
    console.print(table)
    console.print(figures["ratio"], figures["memory_mb"])


_PULSES = ("loop", "machine", "loop_beyond_machine", "letting_go")


def _n_requests(session: Session, first: int) -> int:
    return sum(edit.pause_ms >= ASK_AFTER_MS for edit in session.edits[first:])


def _share(values: Sequence[bool]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


def _counts(values: Sequence[str]) -> dict[str, int]:
    return {value: values.count(value) for value in sorted(set(values))}


def _rounded(value: float | None) -> float | None:
    return None if value is None else math.floor(float(value) * 10 + 0.5) / 10


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
