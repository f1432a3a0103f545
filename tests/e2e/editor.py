"""An editor for the real server: pytest-lsp's client over pipes to a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from command import Command
from lsprotocol import types
from pytest_lsp import LanguageClient, make_test_lsp_client

T = TypeVar("T")

PATIENCE_S = 120.0
ACCEPT = "crosslight.didAcceptCompletion"
_ENCODINGS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
_UNIT_BYTES = {"utf-8": 1, "utf-16": 2, "utf-32": 4}


class Editor:
    """One editor window: what it sends, what it shows."""

    def __init__(self, client: LanguageClient) -> None:
        self.client = client
        self.statuses: list[Any] = []
        self.registered: list[Any] = []
        self.encoding = "utf-16"
        self._versions: dict[str, int] = {}

        @client.feature("didChangeStatus")
        def note_status(params: Any) -> None:
            self.statuses.append(params)

        @client.feature(types.CLIENT_REGISTER_CAPABILITY)
        def register(params: Any) -> None:
            self.registered.append(params)

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self.client._server is not None
        return self.client._server

    async def initialize(self, *folders: Path, options: Any = None, encodings: Sequence[str] = ()) -> Any:
        params = types.InitializeParams(
            capabilities=types.ClientCapabilities(
                general=types.GeneralClientCapabilities(position_encodings=list(encodings) or None),
                window=types.WindowClientCapabilities(work_done_progress=True),
                text_document=types.TextDocumentClientCapabilities(
                    inline_completion=types.InlineCompletionClientCapabilities()
                ),
            ),
            workspace_folders=[types.WorkspaceFolder(one.as_uri(), one.name) for one in folders],
            initialization_options=options,
        )
        result = await self.client.initialize_session(params)
        self.encoding = str(result.capabilities.position_encoding)
        return result

    def open(self, uri: str, text: str, language: str = "python") -> str:
        self._versions[uri] = 1
        item = types.TextDocumentItem(uri, language, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def save(self, uri: str) -> None:
        document = types.TextDocumentIdentifier(uri)
        self.client.text_document_did_save(types.DidSaveTextDocumentParams(document))

    def close(self, uri: str) -> None:
        document = types.TextDocumentIdentifier(uri)
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(document))

    def edit(self, uri: str, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        self._versions[uri] += 1
        range_ = types.Range(types.Position(*start), types.Position(*end))
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(self._versions[uri], uri),
                [types.TextDocumentContentChangePartial(range_, text)],
            )
        )

    def type(self, uri: str, line: int, character: int, text: str) -> None:
        self.edit(uri, (line, character), (line, character), text)

    def ask(self, uri: str, line: int, character: int, *, invoked: bool = True) -> asyncio.Future[Any]:
        """Send a request now, and return what its answer will be."""
        kind = types.InlineCompletionTriggerKind
        params = types.InlineCompletionParams(
            types.InlineCompletionContext(kind.Invoked if invoked else kind.Automatic),
            types.TextDocumentIdentifier(uri),
            types.Position(line, character),
        )
        # `send_request_async` would send when it is awaited
        return asyncio.wrap_future(
            self.client.protocol.send_request(types.TEXT_DOCUMENT_INLINE_COMPLETION, params)
        )

    async def suggest(self, *where: Any, **how: Any) -> types.InlineCompletionItem | None:
        result = await self.ask(*where, **how)
        return next(iter(result.items), None) if result is not None else None

    def run(self, command: str, *arguments: Any) -> asyncio.Future[Any]:
        """Send a command now, and return what its answer will be."""
        params = types.ExecuteCommandParams(command, list(arguments))
        return asyncio.wrap_future(self.client.protocol.send_request(types.WORKSPACE_EXECUTE_COMMAND, params))

    def status(self) -> asyncio.Future[Any]:
        return self.run("crosslight.status")

    async def until(self, condition: Callable[[Any], Any]) -> Any:
        """Wait until a status is as it should be, and return it."""

        async def look() -> Any:
            while not condition(status := await self.status()):  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.02)
            return status

        return await asyncio.wait_for(look(), PATIENCE_S)

    async def until_ready(self) -> Any:
        return await self.until(
            lambda status: (
                status["model"]["kind"] == "ready"
                and all(one["kind"] == "ready" for one in status["repositories"])
            )
        )

    def progress(self, kind: str) -> list[tuple[Any, Any]]:
        """What progress bars were told so far, with their tokens."""
        reports = self.client.progress_reports.items()
        return [(token, value) for token, values in reports for value in values if value.kind == kind]


def n_units(text: str, encoding: str) -> int:
    """The length of a text in units of an encoding."""
    return len(text.encode(_ENCODINGS[encoding])) // _UNIT_BYTES[encoding]


@asynccontextmanager
async def editing(command: Command, *arguments: str) -> AsyncIterator[Editor]:
    """Start a server, and an editor for it; end both."""
    client = make_test_lsp_client()
    argv = command.argv("serve", *(arguments or ("--standalone",)))
    await client.start_io(argv[0], *argv[1:], env=command.environment, cwd=str(command.home))
    editor = Editor(client)
    try:
        yield editor
    finally:
        if editor.process.returncode is None:
            try:
                await asyncio.wait_for(client.shutdown_session(), 30)
            except Exception:
                editor.process.kill()
                raise
        await client.stop()


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a test in a loop of its own."""
    return asyncio.run(test)
