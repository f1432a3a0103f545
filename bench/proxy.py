"""What stands between an editor and the engine costs: time for each message, time to start, memory.

    python bench/proxy.py [--n 500] [--json FILE]

An engine whose language server answers at once is asked the same requests directly and through `crosslight
serve`, alternately; the difference is what forwarding costs. Starting is from the process's start to the
answer to `initialize`, with the engine running already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil

from lsp_server.engine.channels import Channel, FdChannel
from lsp_server.engine.finder import EngineFinder, engine_meeting
from lsp_server.engine.framing import FrameDecoder, header_of
from lsp_server.engine.hosting import BoundedSender
from lsp_server.engine.jsonrpc import encode, parse, request, response
from lsp_server.engine.process import run_engine
from lsp_server.engine.status import stop_engine
from lsp_server.paths import Folders

SIZES = (100, 10_000, 1_000_000)
"""Characters that a request carries; a keystroke is the first, a whole file the second."""


class Echo:
    """Answers every request with what it carries."""

    async def run(self, reader: asyncio.StreamReader, sender: BoundedSender) -> None:
        """Serve one connection."""
        decoder = FrameDecoder()
        while data := await reader.read(1 << 18):
            for body in decoder.feed(data):
                message = parse(body)
                if message.id is not None:
                    result = {"capabilities": {}} if message.method == "initialize" else message.params
                    answer = response(message.id, result)
                    sender.write(header_of(answer) + answer)

    def facts(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """End nothing."""


def folders_in(folder: Path) -> Folders:
    """Return folders of nobody else."""
    return Folders(folder / "config", folder / "models", folder / "cache" / "index", folder / "run")


def start_serve(folder: Path) -> tuple[subprocess.Popen[bytes], Channel]:
    """Start what an editor starts, as an editor does."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _SERVE.format(paths=sys.path[:1], folder=str(folder))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return process, FdChannel(process.stdout.fileno(), process.stdin.fileno())


_SERVE = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from lsp_server.engine.finder import EngineFinder, engine_meeting
from lsp_server.engine.serve import run_serve
from lsp_server.paths import Folders
folder = Path({folder!r})
folders = Folders(folder / "config", folder / "models", folder / "cache" / "index", folder / "run")
sys.exit(run_serve([], lambda: EngineFinder(engine_meeting(folders))))
"""


def ask(channel: Channel, id_: int, text: str) -> float:
    """Return for how many seconds one request was under way."""
    body = request(id_, "bench/echo", {"text": text})
    began = time.perf_counter()
    channel.send(body)
    while (answer := channel.receive()) is not None and parse(answer).id != id_:
        pass
    return time.perf_counter() - began


def begin(channel: Channel) -> None:
    """Do what comes before the first request."""
    channel.send(request("begin", "initialize", {"processId": None, "capabilities": {}}))
    while (answer := channel.receive()) is not None and parse(answer).id != "begin":
        pass
    channel.send(encode({"jsonrpc": "2.0", "method": "initialized", "params": {}}))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=500, help="Requests of the smaller sizes, each way.")
    parser.add_argument("--json", type=Path, help="Write the figures there too.")
    parser.add_argument("--engine", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine is not None:
        meeting = engine_meeting(folders_in(options.engine))
        run_engine(meeting, make_service=Echo, idle_s=60)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.n)
    show(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(folder: Path, n: int) -> dict[str, Any]:
    """Return all figures."""
    folders = folders_in(folder)
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--engine", str(folder)]
    with ExitStack() as stack:
        stack.callback(stop_engine, folders)
        engine = EngineFinder(engine_meeting(folders), command=command).connect().channel
        stack.enter_context(closing(engine))
        begin(engine)
        starts = []
        for _ in range(10):
            began = time.perf_counter()
            process, serve = start_serve(folder)
            begin(serve)
            starts.append((time.perf_counter() - began) * 1000)
            if len(starts) < 10:
                process.terminate()
                process.communicate()
        stack.callback(process.communicate)
        stack.callback(process.terminate)
        info = psutil.Process(process.pid).memory_full_info()
        trips = {}
        for size in SIZES:
            n_here = max(20, n * SIZES[0] // size) if size > SIZES[0] * 100 else n
            trips[size] = compare(engine, serve, "x" * size, n_here)
        memory = {"pss_mb": info.pss / 1e6, "rss_mb": info.rss / 1e6}
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "start_ms": spread(starts),
        "trips": trips,
        "memory": memory,
    }


def compare(direct: Channel, through: Channel, text: str, n: int) -> dict[str, Any]:
    """Ask the same alternately both ways."""
    times: dict[str, list[float]] = {"direct": [], "through": []}
    for i in range(n):
        times["direct"].append(ask(direct, i, text) * 1e6)
        times["through"].append(ask(through, i, text) * 1e6)
    result: dict[str, Any] = {f"{way}_us": spread(values[n // 10 :]) for way, values in times.items()}
    differences = [b - a for a, b in zip(times["direct"], times["through"], strict=True)]
    return {"n": n, **result, "added_us": spread(differences[n // 10 :])}


def spread(values: list[float]) -> dict[str, float]:
    """Return the middle, and what one in twenty exceeds."""
    return {"p50": round(median(values), 1), "p95": round(quantiles(values, n=20)[-1], 1)}


def show(figures: dict[str, Any]) -> None:
    """Print a table."""
    print(figures["machine"])
    start, memory = figures["start_ms"], figures["memory"]
    print(f"serve starts in {start['p50']:.0f} ms (p95 {start['p95']:.0f}), the engine running already")
    print(f"serve takes {memory['pss_mb']:.1f} MB (PSS), {memory['rss_mb']:.1f} MB (RSS)")
    print("| characters there and back | direct, us | through serve, us | added, us: p50 | p95 |")
    print("| --- | --- | --- | --- | --- |")
    for size, trip in figures["trips"].items():
        print(
            f"| {size} | {trip['direct_us']['p50']:.0f} | {trip['through_us']['p50']:.0f} "
            f"| {trip['added_us']['p50']:.0f} | {trip['added_us']['p95']:.0f} |"
        )


if __name__ == "__main__":
    main()
