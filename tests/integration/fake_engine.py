"""A small language server behind a real engine, and an editor that talks to it through a real `serve`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from indexer.rendezvous import Rendezvous
from lsp_server.engine import proxy
from lsp_server.engine.finder import EngineFinder, engine_meeting
from lsp_server.engine.framing import FrameDecoder, header_of
from lsp_server.engine.hosting import BoundedSender
from lsp_server.engine.process import run_engine
from lsp_server.engine.serve import main
from lsp_server.paths import Folders
from lsp_server.server.buffer import Position, TextBuffer

HERE = Path(__file__).resolve()
PATIENCE_S = 120.0


class FakeService:
    """Answers what tests ask; each connection has documents of its own."""

    def __init__(self) -> None:
        self.n_running = 0

    async def run(self, reader: asyncio.StreamReader, sender: BoundedSender) -> None:
        self.n_running += 1
        try:
            await _FakeServer(sender).run(reader)
        finally:
            self.n_running -= 1

    def facts(self) -> dict[str, Any]:
        return {"model": {"state": "ready", "message": "fake"}}

    def close(self) -> None:
        pass


class _FakeServer:
    def __init__(self, sender: BoundedSender) -> None:
        self._sender = sender
        self._texts: dict[str, tuple[int, TextBuffer]] = {}
        self._seen: list[dict[str, Any]] = []
        self._encoding = "utf-16"

    async def run(self, reader: asyncio.StreamReader) -> None:
        decoder = FrameDecoder()
        while data := await reader.read(1 << 16):
            for body in decoder.feed(data):
                message = json.loads(body)
                self._seen.append({key: message[key] for key in message if key != "jsonrpc"})
                self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params") or {}
        document = params.get("textDocument") or {}
        match method:
            case "textDocument/didOpen":
                self._texts[document["uri"]] = (
                    document["version"],
                    TextBuffer(document["text"], self._encoding),
                )
            case "textDocument/didChange":
                _, buffer = self._texts[document["uri"]]
                for change in params["contentChanges"]:
                    edit(buffer, change)
                self._texts[document["uri"]] = (document["version"], buffer)
            case "textDocument/didClose":
                del self._texts[document["uri"]]
        if "id" in message and method is not None:
            self._answer(message["id"], method, params)

    def _answer(self, id_: object, method: str, params: dict[str, Any]) -> None:
        match method:
            case "initialize":
                wanted = params.get("capabilities", {}).get("general", {}).get("positionEncodings", [])
                self._encoding = wanted[0] if wanted else "utf-16"
                result: Any = {
                    "capabilities": {"textDocumentSync": 2, "positionEncoding": self._encoding},
                    "serverInfo": {"name": "fake"},
                }
            case "fake/hang" | "textDocument/inlineCompletion" if params.get("hang", True):
                return
            case "fake/stuck":  # its event loop, for ever
                threading.Event().wait()
            case "fake/die":
                os.kill(os.getpid(), 9)
                return
            case "fake/texts":
                result = {uri: [version, text.text] for uri, (version, text) in self._texts.items()}
            case "fake/seen":
                result = self._seen
            case "fake/pid":
                result = os.getpid()
            case "fake/big":
                result = "x" * params["n"]
            case "fake/send":
                for one in params["messages"]:
                    self._send(one)
                result = None
            case _:
                result = None
        self._send({"id": id_, "result": result})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._sender.write(header_of(body) + body)


def edit(buffer: TextBuffer, change: dict[str, Any]) -> None:
    if "range" not in change:
        buffer.replace_all(change["text"])
        return
    start, end = (
        Position(change["range"][key]["line"], change["range"][key]["character"]) for key in ("start", "end")
    )
    buffer.replace(start, end, change["text"])


_PROGRAM = """
import sys
sys.path[:0] = {paths!r}
import fake_engine
sys.exit(fake_engine.{function}({arguments}))
"""


def _command(function: str, *arguments: object) -> list[str]:
    paths = [str(HERE.parent), str(HERE.parents[2])]
    program = _PROGRAM.format(paths=paths, function=function, arguments=", ".join(map(repr, arguments)))
    return [sys.executable, "-P", "-c", program]


def engine_command(folder: Path, idle_s: float = 60.0) -> list[str]:
    """Return what becomes an engine whose folders lie in `folder`."""
    return _command("run_fake_engine", str(folder), idle_s)


def serve_command(
    folder: Path,
    arguments: Sequence[str] = (),
    engine: Sequence[str] | None = None,
    idle_s: float = 60.0,
    patience: tuple[float, float] = (5.0, 60.0),
) -> list[str]:
    """Return a `crosslight serve` whose engine has a fake language server.

    Its patience: seconds between two looks at an engine that is silent, and for one to answer its greeting.
    """
    engine = list(engine or engine_command(folder, idle_s))
    return _command("run_fake_serve", str(folder), list(arguments), engine, *patience)


def meeting_in(folder: Path) -> Rendezvous:
    return engine_meeting(folders_in(folder))


def folders_in(folder: Path) -> Folders:
    return Folders(folder / "config", folder / "models", folder / "cache" / "index", folder / "run")


def run_fake_engine(folder: str, idle_s: float) -> int:
    run_engine(
        meeting_in(Path(folder)),
        make_service=FakeService,
        idle_s=idle_s,
        is_outdated=Path(folder, "outdated").exists,
    )
    return 0


def run_fake_serve(
    folder: str, arguments: list[str], engine: list[str], look_s: float, silent_s: float
) -> NoReturn:
    proxy.Patience = partial(proxy.Patience, look_s=look_s)  # type: ignore[misc]
    finder = EngineFinder(meeting_in(Path(folder)), command=engine, silent_s=silent_s)
    main(arguments, lambda: finder)


class Editor:
    """A client over a process's standard streams; remembers all that it is sent."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )
        self.messages: list[dict[str, Any]] = []
        self._responses: dict[object, queue.Queue[dict[str, Any]]] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._n = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        decoder = FrameDecoder()
        assert self.process.stdout is not None
        while data := os.read(self.process.stdout.fileno(), 1 << 16):
            for body in decoder.feed(data):
                message = json.loads(body)
                with self._changed:
                    self.messages.append(message)
                    self._changed.notify_all()
                if "id" in message and "method" in message:
                    self.send({"id": message["id"], "result": None})
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(header_of(body) + body)
        self.process.stdin.flush()

    def notify(self, method: str, **params: Any) -> None:
        self.send({"method": method, "params": params})

    def ask(self, method: str, **params: Any) -> int:
        self._n += 1
        self.send({"id": self._n, "method": method, "params": params})
        return self._n

    def answer(self, id_: int) -> dict[str, Any]:
        return self.wait_for(lambda m: m.get("id") == id_ and "method" not in m)

    def request(self, method: str, **params: Any) -> Any:
        answer = self.answer(self.ask(method, **params))
        assert "error" not in answer, answer
        return answer["result"]

    def wait_for(self, wanted: Any) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((message for message in self.messages if wanted(message)), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() or self._ended, PATIENCE_S), "nothing came"
            message = found()
        assert message is not None, f"the server ended: {self.last_words()}"
        return message

    def named(self, method: str) -> list[dict[str, Any]]:
        with self._changed:
            return [message for message in self.messages if message.get("method") == method]

    def begin(self, **params: Any) -> Any:
        result = self.request(
            "initialize", **({"processId": None, "rootUri": None, "capabilities": {}} | params)
        )
        self.notify("initialized")
        return result

    def open(self, uri: str, text: str, version: int = 1) -> None:
        self.notify(
            "textDocument/didOpen",
            textDocument={"uri": uri, "languageId": "python", "version": version, "text": text},
        )

    def change(self, uri: str, version: int, *changes: dict[str, Any]) -> None:
        self.notify(
            "textDocument/didChange",
            textDocument={"uri": uri, "version": version},
            contentChanges=list(changes),
        )

    def end(self) -> int:
        self.request("shutdown")
        self.send({"method": "exit"})
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def last_words(self) -> str:
        self.process.wait(PATIENCE_S)
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
