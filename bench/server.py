"""How fast the language server answers, as its client sees it: idle, and while it indexes 200,000 lines.

    python bench/server.py                 five minutes; needs the sources that bench/latency/run.py fetches
    python bench/server.py --seconds 30    a trial

Replays the same editing sessions twice, in real time: keystrokes as `didChange`, and a request wherever the
writer pauses for as long as editors wait. In the second round every file of the repository is parsed and
embedded anew, over and over. All the while a probe asks for nothing every 20 ms: what it waits for is the
server's event loop, and the machine. The last line of standard output is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from latency.session import ASK_AFTER_MS, Session, read_sessions

from lsp_server.config import Settings
from lsp_server.paths import Folders

PROBE_EVERY_S = 0.02
N_LINES = 200_000
Json = Any

NOTHING = "crosslight.didAcceptCompletion"
"""A command that does nothing without an argument."""


@dataclass
class Round:
    """What was measured in one round."""

    latencies_ms: list[float] = field(default_factory=list)
    shown: int = 0
    probes_ms: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return what is told."""
        return {
            "n": len(self.latencies_ms),
            "shown": self.shown,
            "p50_ms": _percentile(self.latencies_ms, 50),
            "p95_ms": _percentile(self.latencies_ms, 95),
            "loop_p99_ms": _percentile(self.probes_ms, 99),
            "loop_max_ms": _percentile(self.probes_ms, 100),
        }


class Client:
    """Speaks JSON-RPC over a process's pipes, and costs as little as possible."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    def notify(self, method: str, params: Json) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    async def ask(self, method: str, params: Json) -> Json:
        """Send a request, and return its result."""
        id_ = next(self._ids)
        future = self._waiting[id_] = asyncio.get_running_loop().create_future()
        self._send({"id": id_, "method": method, "params": params})
        return await future

    async def run(self, command: str, *arguments: Json) -> Json:
        """Run a command."""
        return await self.ask("workspace/executeCommand", {"command": command, "arguments": list(arguments)})

    async def end(self) -> None:
        """Say goodbye."""
        await self.ask("shutdown", None)
        self.notify("exit", None)
        await self._process.wait()
        self._reading.cancel()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := await stream.readuntil(b"\r\n\r\n"):
            length = int(header.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            message = json.loads(await stream.readexactly(length))
            if "method" in message:
                if "id" in message:
                    self._send({"id": message["id"], "result": None})
            elif "error" in message:
                self._waiting.pop(message["id"]).set_exception(RuntimeError(message["error"]["message"]))
            else:
                self._waiting.pop(message["id"]).set_result(message["result"])


async def replay(client: Client, root: Path, session: Session, round_: Round, until: float) -> None:
    """Write one function again, and ask wherever its writer pauses."""
    uri = (root / session.package / session.path).as_uri()
    item = {"uri": uri, "languageId": session.language, "version": 1, "text": session.initial}
    client.notify("textDocument/didOpen", {"textDocument": item})
    text = session.initial
    for version, edit in enumerate(session.edits, start=2):
        if time.monotonic() > until:
            break
        position = _position(text, edit.position)
        change = {"range": {"start": position, "end": position}, "text": edit.text}
        document = {"uri": uri, "version": version}
        client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        text = text[: edit.position] + edit.text + text[edit.position :]
        if edit.pause_ms < ASK_AFTER_MS:
            await asyncio.sleep(edit.pause_ms / 1e3)
            continue
        await asyncio.sleep(ASK_AFTER_MS / 1e3)
        started = time.monotonic()
        answer = await client.ask(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": uri},
                "position": _position(text, edit.position + len(edit.text)),
                "context": {"triggerKind": 2},
            },
        )
        took_s = time.monotonic() - started
        round_.latencies_ms.append(took_s * 1e3)
        round_.shown += answer is not None
        await asyncio.sleep(max(0.0, (edit.pause_ms - ASK_AFTER_MS) / 1e3 - took_s))
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


async def probe(client: Client, round_: Round) -> None:
    """Ask for nothing, again and again."""
    while True:
        started = time.monotonic()
        await client.run(NOTHING)
        round_.probes_ms.append((time.monotonic() - started) * 1e3)
        await asyncio.sleep(PROBE_EVERY_S)


async def index_on_and_on(client: Client) -> None:
    """Have every file parsed anew as soon as all were."""
    while True:
        (state,) = (await client.run("crosslight.status"))["repositories"]
        if state["kind"] == "ready":
            await client.run("crosslight.reindex", True)
        await asyncio.sleep(0.5)


async def measure(root: Path, sessions: Sequence[Session], seconds: float) -> dict[str, Any]:
    """Return the figures of both rounds."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("crosslight")), "serve", "--standalone",
        stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, limit=2**26,
    )  # fmt: skip
    client = Client(process)
    folder = {"uri": root.as_uri(), "name": root.name}
    options = {"debounceMs": 0, "statistics": False}  # the client waits, as it does in editors
    await client.ask(
        "initialize",
        {
            "processId": os.getpid(),
            "rootUri": None,
            "capabilities": {"textDocument": {"inlineCompletion": {}}},
            "workspaceFolders": [folder],
            "initializationOptions": options,
        },
    )
    client.notify("initialized", {})
    while True:
        status = await client.run("crosslight.status")
        if status["model"]["kind"] == "ready" and status["repositories"][0]["kind"] == "ready":
            break
        await asyncio.sleep(0.5)
    figures: dict[str, Any] = {"repository": status["repositories"][0]["message"]}
    await _round(client, root, sessions, 10.0, [])  # what is only ever slow once
    for name, beside in (("idle", []), ("indexing", [index_on_and_on(client)])):
        figures[name] = (await _round(client, root, sessions, seconds, beside)).figures()
    figures["p95_ratio"] = figures["indexing"]["p95_ms"] / figures["idle"]["p95_ms"]
    await client.end()
    return figures


async def _round(
    client: Client,
    root: Path,
    sessions: Sequence[Session],
    seconds: float,
    beside: Sequence[Coroutine[Any, Any, None]],
) -> Round:
    round_ = Round()
    tasks = [asyncio.create_task(one) for one in (*beside, probe(client, round_))]
    until = time.monotonic() + seconds
    for session in sessions:
        if time.monotonic() < until:
            await replay(client, root, session, round_, until)
    for task in tasks:
        task.cancel()
    await client.run("crosslight.clearCaches")
    return round_


def _position(text: str, at: int) -> dict[str, int]:
    start = text.rfind("\n", 0, at) + 1
    return {"line": text.count("\n", 0, at), "character": len(text[start:at].encode("utf-16-le")) // 2}


def _percentile(values: list[float], p: int) -> float:
    ordered = sorted(values)
    return round(ordered[max(0, -(-p * len(ordered) // 100) - 1)], 1)


def workspace_in(
    scratch: Path, sources: Path, sessions: Sequence[Session]
) -> tuple[Path, int, list[Session]]:
    """Copy packages until there are enough lines; return the folder, the lines, and the sessions in it."""
    root = scratch / "workspace"
    (root / ".git").mkdir(parents=True)
    packages = dict.fromkeys(
        [*(one.package for one in sessions), *sorted(one.name for one in sources.iterdir())]
    )
    n_lines = 0
    for package in packages:
        if n_lines < N_LINES and (sources / package).is_dir():
            shutil.copytree(sources / package, root / package, ignore=shutil.ignore_patterns(".git"))
            files = [
                one for one in (root / package).rglob("*") if one.suffix in {".py", ".ts", ".tsx", ".md"}
            ]
            n_lines += sum(file.read_bytes().count(b"\n") for file in files)
    return root, n_lines, [one for one in sessions if (root / one.package).is_dir()]


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folders = Folders.of_user()
    parser.add_argument("--seconds", type=float, default=90.0, help="of each round")
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    options = parser.parse_args()
    sessions = read_sessions(options.cache / "latency" / "sessions-0.jsonl")
    with tempfile.TemporaryDirectory(prefix="crosslight-server-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        models = scratch / "data" / "crosslight" / "models"
        models.mkdir(parents=True)
        (models / Settings().model.name).symlink_to(folders.models / Settings().model.name)
        (scratch / "run").mkdir(mode=0o700)
        for variable, folder in (("CACHE_HOME", "cache"), ("CONFIG_HOME", "config"), ("DATA_HOME", "data")):
            os.environ[f"XDG_{variable}"] = str(scratch / folder)
        os.environ["XDG_RUNTIME_DIR"] = str(scratch / "run")
        root, n_lines, sessions = workspace_in(scratch, options.cache / "sources", sessions)
        try:
            figures = asyncio.run(measure(root, sessions, options.seconds))
            print(json.dumps({"n_lines": n_lines, **figures}))
        finally:
            subprocess.run(
                [Path(sys.executable).with_name("crosslight"), "index-worker", "--stop"], check=False
            )


if __name__ == "__main__":
    main()
