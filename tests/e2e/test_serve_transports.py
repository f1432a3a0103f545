"""Editors that connect by TCP or WebSocket: real completions, and who is let in."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from command import Command
from editor import Editor, run
from pygls.io_ import run_websocket
from pytest_lsp import LanguageClient, make_test_lsp_client
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

TEXT = "from billing import Invoice\n\n\ndef bill(name: str) -> Invoice:\n    invoice = Invoice("
PAGE = "https://editor.example"


@asynccontextmanager
async def listening(command: Command, *arguments: str) -> AsyncIterator[str]:
    """Start a server that listens, and yield the address that it prints."""
    process = await asyncio.create_subprocess_exec(
        *command.argv("serve", *arguments),
        env=command.environment,
        cwd=command.home,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 128 + signal.SIGTERM
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def by_tcp(client: LanguageClient, address: str) -> None:
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    await client.start_tcp(host, int(port))


async def by_websocket(client: LanguageClient, address: str) -> None:
    """Connect as the page that may; pygls's own way knows neither token nor origin."""
    talking = run_websocket(
        stop_event=client._stop_event,
        websocket=await connect(address, origin=PAGE),
        protocol=client.protocol,
        logger=logging.getLogger(__name__),
        error_handler=client.report_server_error,
    )
    client._async_tasks.append(asyncio.create_task(talking))
    await asyncio.sleep(0)  # it takes the connection over


@pytest.mark.parametrize(
    ("arguments", "join"),
    [
        (("--tcp", "127.0.0.1:0"), by_tcp),
        (("--websocket", "0", "--origin", PAGE), by_websocket),
    ],
    ids=["tcp", "websocket"],
)
def test_editors_that_connect_complete_one_after_another(crosslight, repository, arguments, join):
    async def complete(address):
        client = make_test_lsp_client()
        await join(client, address)
        editor = Editor(client)
        await editor.initialize(repository)
        uri = editor.open((repository / "new.py").as_uri(), TEXT)
        await editor.until_ready()
        item = await editor.suggest(uri, 4, len("    invoice = Invoice("))
        assert "name" in item.insert_text
        assert (await editor.status())["last"]["reason"] is None
        await client.shutdown_session()
        await client.stop()

    async def test():
        async with listening(crosslight, *arguments) as address:
            for _ in range(2):
                await complete(address)

    run(test())


@pytest.mark.parametrize(
    ("change", "origin"),
    [
        (lambda address: address, "https://evil.example"),
        (lambda address: address, "null"),
        (lambda address: address.partition("?")[0], None),
        (lambda address: address[:-1] + ("a" if address[-1] != "a" else "b"), PAGE),
    ],
    ids=["another page", "a page without origin", "no token", "a wrong token"],
)
def test_a_websocket_that_may_not_be_is_refused(without_model, change, origin):
    async def test():
        async with listening(without_model, "--websocket", "0", "--origin", PAGE) as address:
            assert address.startswith("ws://127.0.0.1:")
            with pytest.raises(InvalidStatus) as refused:
                await connect(change(address), origin=origin)
            assert refused.value.response.status_code == 403
        assert without_model("engine", "status").stderr.startswith("crosslight: no engine runs")

    run(test())
