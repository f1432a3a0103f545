"""The shared engine with the real model: one for all editors, and survived by them."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import psutil
from editor import editing, run

TEXT = "from billing import Invoice\n\n\ndef bill(name: str) -> Invoice:\n    invoice = Invoice("


def engine_of(command):
    return json.loads(command.ok("engine", "status", "--json"))["engine"]


async def suggestion(editor, uri):
    result = await editor.ask(uri, 4, len("    invoice = Invoice("))
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
                assert (await first_suggestion(editor, uris[-1])).startswith("name, ")
            engine = engine_of(crosslight)
            assert engine["n_editors"] == 2
            assert engine["model"]["state"] == "ready"

            asked = one.ask(uris[0], 4, 8)
            os.kill(engine["pid"], signal.SIGKILL)
            await asyncio.wait_for(asked, 60)  # whoever was first, it is answered, and not by an error
            for editor, uri in zip((one, other), uris, strict=True):
                assert (await first_suggestion(editor, uri)).startswith("name, ")
            again = engine_of(crosslight)
            assert again["pid"] != engine["pid"]
            assert again["n_editors"] == 2
            for editor in (one, other):
                assert [m for m in editor.client.messages if "ended" in m.message] == []
                logged = [m.message for m in editor.client.log_messages if "ended unexpectedly" in m.message]
                assert len(logged) == 1
        assert engine_of(crosslight)["n_editors"] == 0
        crosslight.ok("engine", "stop")
        assert not psutil.pid_exists(again["pid"])
        assert crosslight("engine", "status").stderr.startswith("crosslight: no engine runs")

    run(test())


def test_what_an_editor_starts_is_small(crosslight, repository):
    async def test():
        async with editing(crosslight, "--stdio") as editor:
            await editor.initialize(repository)
            assert editor.client._server is not None
            libraries = {part.path for part in psutil.Process(editor.client._server.pid).memory_maps()}
            assert not [path for path in libraries if "onnxruntime" in path or "numpy" in path]

    run(test())
