"""A language server in this process: fakes of what a host loads, and a client over streams in memory."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from indexer.report import IndexProgress, IndexStatus, IndexSummary
from indexer.types import RetrievalResult
from lsp_server.config import Settings
from lsp_server.requests import CompletionRequest
from lsp_server.server.connection import run_connection
from lsp_server.server.host import Host
from lsp_server.trace import CompletionTrace, RequestTrace
from model.errors import Cancelled

PATIENCE_S = 20.0


class FakeModel:
    """Writes what a function says; can be held in the middle of a completion."""

    name, provider = "fake", "cpu"

    def __init__(self, write: Callable[[CompletionRequest], str] = lambda _: "done()") -> None:
        self.write = write
        self.requests: list[CompletionRequest] = []
        self.n_cancelled = self.n_running = self.most_running = 0
        self.probability: float | None = 0.9
        self.suppressed: str | None = None
        self.replaces = 0
        self.notes: tuple[str, ...] = ()
        self.is_stopgap = False
        self.go_on = threading.Event()
        self.go_on.set()
        self.began = threading.Event()
        self.files: list[str] = []
        self.ahead: list[tuple[CompletionRequest, CompletionTrace | None]] = []
        self.n_changes = 0
        self.is_closed = self.is_forgotten = False
        self._cancelled = threading.Event()
        self._last: CompletionTrace | None = None

    def complete(self, request: CompletionRequest) -> CompletionTrace:
        self._cancelled.clear()
        self.requests.append(request)
        self.n_running += 1
        self.most_running = max(self.most_running, self.n_running)
        self.began.set()
        try:
            while not self.go_on.wait(0.001):
                if self._cancelled.is_set():
                    self.n_cancelled += 1
                    raise Cancelled
        finally:
            self.n_running -= 1
        text = self.write(request)
        self._last = trace(
            text, self.probability, self.suppressed, self.replaces, self.notes, self.is_stopgap
        )
        return self._last

    def explain(self, trace):
        return trace if trace == self._last else None

    def work_ahead(self, request, shown):
        self.ahead.append((request, shown))

    def definitions_changed(self):
        self.n_changes += 1

    def expect(self, file, repo_name, related):
        self.files.append(file)

    def forget(self):
        self.is_forgotten = True

    def cancel(self):
        self._cancelled.set()

    def close(self):
        self.is_closed = True


def trace(text, probability=0.9, suppressed=None, replaces=0, notes=(), is_stopgap=False) -> CompletionTrace:
    return CompletionTrace(
        request=RequestTrace("a.py", 1, 1, "python", multi_line=False),
        text="" if suppressed else text, replaces=replaces, stop_reason="line_end",
        suppression_reason=suppressed, retrieved=(), retrieval_notes=notes, tokens={}, n_generated_tokens=1,
        first_token_probability=probability, drafts_offered=0, drafts_accepted=0, phases_ms={"total": 5.0},
        model="fake", provider="cpu", is_stopgap=is_stopgap,
    )  # fmt: skip


class FakeIndex:
    """Answers for all repositories; can be held in the middle of a run."""

    def __init__(self) -> None:
        self.runs: list[tuple[Path, bool]] = []
        self.updates: list[set[str]] = []
        self.queries: list[Any] = []
        self.overlays: list[tuple[str, str | None]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.failures: list[Exception] = []
        self.no_vectors: str | None = None

    def index(self, root, *, on_progress=None, force=False):
        self.runs.append((root, force))
        if self.failures:
            raise self.failures.pop(0)
        on_progress(IndexProgress("parse", 0, 1000, 10.0, 0))
        while not self.go_on.wait(0.01):
            on_progress(IndexProgress("parse", 500, 1000, 10.0, 9))
        return summary(root)

    def update(self, root, paths):
        if self.failures:
            raise self.failures.pop(0)
        self.updates.append(set(paths))

    def status(self, root):
        return IndexStatus(
            str(root), "", exists=True, n_files=2 + len(self.updates), n_definitions=5 + len(self.updates),
            no_vectors=self.no_vectors,
        )  # fmt: skip

    def retrieve(self, root, query):
        self.queries.append(query)
        return RetrievalResult((), (), {"vector": self.no_vectors} if self.no_vectors else {}, {})

    def related(self, root, query):
        return ()

    def overlay(self, root, path, text):
        self.overlays.append((path, text))


def summary(root) -> IndexSummary:
    return IndexSummary(
        root=str(root), is_complete=True, n_files=2, n_lines=10, n_definitions=5, n_embedded=5, embedder="x",
        files_by_language={}, left_out={}, left_out_examples={}, n_files_written=2, n_files_unchanged=0,
        n_files_removed=0, n_definitions_added=5, n_definitions_changed=0, n_definitions_moved=0,
        n_definitions_removed=0, seconds={}, disk_bytes=1,
    )  # fmt: skip


class FakeStatistics:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def offered(self, id_, language, **more):
        self.told.append(("offered", id_, language, more["source"], more["n_characters"], more["shown"]))

    def shown(self, id_):
        self.told.append(("shown", id_))

    def accepted(self, id_, n_characters):
        self.told.append(("accepted", id_, n_characters))

    def kept(self, id_, after, is_kept):
        self.told.append(("kept", id_, after, is_kept))

    def close(self):
        self.told.append(("closed",))


class ResponseError(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]


class Client:
    """Speaks JSON-RPC to a server in the same event loop."""

    def __init__(self, host: Host) -> None:
        self.reader = asyncio.StreamReader()
        self.notifications: list[tuple[str, Any]] = []
        self.asked: list[tuple[str, Any]] = []
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._changed = asyncio.Event()
        self._versions: dict[str, int] = {}
        self.serving = asyncio.create_task(run_connection(self.reader, self, host))

    def write(self, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        message = json.loads(body)
        if "method" in message and "id" in message:
            self.asked.append((message["method"], message.get("params")))
            answer = self.answers.get(message["method"], lambda _: None)(message.get("params"))
            self._send({"id": message["id"], "result": answer})
        elif "method" in message:
            self.notifications.append((message["method"], message.get("params")))
        elif (future := self._waiting.pop(message["id"], None)) and not future.done():
            if "error" in message:
                future.set_exception(ResponseError(message["error"]))
            else:
                future.set_result(message["result"])
        self._changed.set()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.reader.feed_data(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: Any = None) -> asyncio.Future[Any]:
        id_ = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.id = id_  # type: ignore[attr-defined]
        self._waiting[id_] = future
        self._send({"id": id_, "method": method, "params": params})
        return future

    async def ask(self, method: str, params: Any = None) -> Any:
        return await asyncio.wait_for(self.request(method, params), PATIENCE_S)

    def cancel(self, request: asyncio.Future[Any]) -> None:
        self.notify("$/cancelRequest", {"id": request.id})  # type: ignore[attr-defined]

    async def until(self, condition: Callable[[], Any]) -> Any:
        async def look():
            while not (found := condition()):
                self._changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.02)
            return found

        return await asyncio.wait_for(look(), PATIENCE_S)

    def told(self, method: str) -> list[Any]:
        return [params for name, params in self.notifications if name == method]

    async def initialize(self, *folders: Path, options: Any = None, capabilities: Any = None) -> Any:
        params = {
            "processId": None,
            "rootUri": None,
            "capabilities": {"textDocument": {"inlineCompletion": {}}}
            if capabilities is None
            else capabilities,
            "workspaceFolders": [{"uri": one.as_uri(), "name": one.name} for one in folders],
            "initializationOptions": options,
        }
        result = await self.ask("initialize", params)
        self.notify("initialized", {})
        return result

    def open(self, uri: str, text: str, language: str = "python") -> None:
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self._versions[uri] = 1
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(self, uri: str, *changes: Any) -> None:
        self._versions[uri] += 1
        document = {"uri": uri, "version": self._versions[uri]}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": list(changes)})

    def insert(self, uri: str, line: int, character: int, text: str) -> None:
        self.change(uri, {"range": span(line, character, line, character), "text": text})

    def suggestion(self, uri, line, character, *, invoked=True, selected=None) -> asyncio.Future[Any]:
        context: dict[str, Any] = {"triggerKind": 1 if invoked else 2}
        if selected is not None:
            context["selectedCompletionInfo"] = selected
        return self.request(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": uri},
                "position": {"line": line, "character": character},
                "context": context,
            },
        )

    async def suggest(self, *where: Any, **how: Any) -> Any:
        """Return the one item, or None."""
        result = await asyncio.wait_for(self.suggestion(*where, **how), PATIENCE_S)
        return next(iter(result["items"]), None) if result else None

    async def command(self, name: str, *arguments: Any) -> Any:
        return await self.ask("workspace/executeCommand", {"command": name, "arguments": list(arguments)})

    async def until_idle(self) -> None:
        """Wait until the model has nothing to do."""
        while (await self.command("crosslight.status"))["running"]:
            pass

    async def reason(self) -> str | None:
        return (await self.command("crosslight.status"))["last"]["reason"]


def span(line: int, character: int, end_line: int, end_character: int) -> dict[str, Any]:
    return {
        "start": {"line": line, "character": character},
        "end": {"line": end_line, "character": end_character},
    }


def make_host(
    model: Any = None,
    index: Any = None,
    settings: Settings | None = None,
    statistics: Any = None,
    problems: Sequence[str] = (),
) -> Host:
    model, index = model or FakeModel(), index or FakeIndex()

    def load(_):
        return model if hasattr(model, "complete") else model()

    statistics = statistics or FakeStatistics()
    return Host(settings or Settings(), load, lambda: index, statistics, problems=problems)


@asynccontextmanager
async def connected(host: Host):
    """A client of a host; the host is the caller's."""
    client = Client(host)
    try:
        yield client
    finally:
        client.reader.feed_eof()
        await asyncio.wait_for(client.serving, PATIENCE_S)


def serve(test: Callable[[Client], Awaitable[None]], **parts: Any) -> None:
    """Run a test with one client of a host of its own."""

    async def run() -> None:
        host = make_host(**parts)
        try:
            async with connected(host) as client:
                await test(client)
        finally:
            await asyncio.to_thread(host.close)

    asyncio.run(run())
