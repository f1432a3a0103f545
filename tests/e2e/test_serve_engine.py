"""The shared engine with the real model: one for all editors, and survived by them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import psutil
from editor import editing, run

TEXT = "from billing import Invoice\n\n\ndef bill(name: str) -> Invoice:\n    invoice = Invoice("


END = (4, len("    invoice = Invoice("))


def engine_of(command):
    return json.loads(command.ok("engine", "status", "--json"))["engine"]


async def suggestion(editor, uri):
    result = await editor.ask(uri, *END)
    return result.items[0].insert_text if result is not None and result.items else None


async def first_suggestion(editor, uri):
    """Wait until there is one: an engine without its model shows nothing."""
    while (text := await suggestion(editor, uri)) is None:
        await editor.until_ready()
    return text


def test_two_editors_hold_one_model_and_both_survive_its_engine(crosslight, repository):
    async def test():
        async with editing(crosslight, "--stdio") as one, editing(crosslight, "--stdio") as other:
            uris = []
            for editor in (one, other):
                await editor.initialize(repository)
                uris.append(editor.open((repository / "new.py").as_uri(), TEXT))
                await editor.until_ready()
                assert "name" in await first_suggestion(editor, uris[-1])
            engine = engine_of(crosslight)
            assert engine["n_editors"] == 2
            assert engine["model"]["state"] == "ready"

            asked = one.ask(uris[0], 4, 8)
            os.kill(engine["pid"], signal.SIGKILL)
            await asyncio.wait_for(asked, 60)  # whoever was first, it is answered, and not by an error
            for editor, uri in zip((one, other), uris, strict=True):
                assert "name" in await first_suggestion(editor, uri)
            again = engine_of(crosslight)
            assert again["pid"] != engine["pid"]
            assert again["n_editors"] == 2
            for editor in (one, other):
                assert [m for m in editor.client.messages if "ended" in m.message] == []
                logged = [m.message for m in editor.client.log_messages if "ended unexpectedly" in m.message]
                assert len(logged) == 1
        assert engine_of(crosslight)["n_editors"] == 0
        assert f"process {again['pid']}) has ended" in crosslight.ok("engine", "stop")
        assert not psutil.pid_exists(again["pid"])
        assert crosslight("engine", "status").stderr.startswith("crosslight: no engine runs")

    run(test())


def test_a_completion_that_a_crash_interrupted_has_its_reason(crosslight, repository):
    async def test():
        async with editing(crosslight, "--stdio") as editor:
            await editor.initialize(repository)
            uri = editor.open((repository / "new.py").as_uri(), TEXT)
            await first_suggestion(editor, uri)
            pid = engine_of(crosslight)["pid"]
            os.kill(pid, signal.SIGSTOP)  # so that it does not come to an answer before it dies
            asked = editor.ask(uri, *END)
            os.kill(pid, signal.SIGKILL)
            assert not (await asyncio.wait_for(asked, 60)).items
            last = (await editor.status())["last"]
            assert (last["uri"], last["reason"]) == (uri, "engine_restarting")
            assert "another one was taking its place" in last["explanation"]
            assert "name" in await first_suggestion(editor, uri)
            assert (await editor.status())["last"]["reason"] is None

    run(test())


HASTY = """
import sys
from functools import partial
from lsp_server.engine import proxy
proxy.Patience = partial(proxy.Patience, look_s=1.0)
from lsp_server.__main__ import main
sys.argv[0] = "crosslight"
main()
"""
"""`crosslight`, whose `serve` has five times less patience with an engine that is silent."""


def test_an_engine_that_is_stopped_for_good_is_replaced(crosslight, repository):
    hasty = crosslight.running(sys.executable, "-P", "-c", HASTY)

    async def test():
        async with editing(hasty, "--stdio") as editor:
            await editor.initialize(repository)
            uri = editor.open((repository / "new.py").as_uri(), TEXT)
            await first_suggestion(editor, uri)
            pid = engine_of(crosslight)["pid"]
            os.kill(pid, signal.SIGSTOP)
            assert not (await asyncio.wait_for(editor.ask(uri, *END), 60)).items
            assert "name" in await first_suggestion(editor, uri)
            assert engine_of(crosslight)["pid"] != pid
            (told,) = [m.message for m in editor.client.log_messages if "did not answer" in m.message]
            assert "another one goes on in its place" in told

    run(test())


def test_what_an_editor_starts_is_small(crosslight, repository):
    async def test():
        async with editing(crosslight, "--stdio") as editor:
            await editor.initialize(repository)
            assert editor.client._server is not None
            libraries = {part.path for part in psutil.Process(editor.client._server.pid).memory_maps()}
            assert not [path for path in libraries if "onnxruntime" in path or "numpy" in path]

    run(test())
