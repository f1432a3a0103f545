"""The server as a process: how it begins and ends, what it says when something is missing or wrong."""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal

import psutil
import pytest
from command import write_repository
from editor import editing, n_units, run
from lsprotocol import types

PIECES = ["a", "bc", " ", "\n", "\r\n", "\r", "\t", "é", "語", "\U0001f600", "\f", "\u2028", "def f():\n"]
N_EDITS = 3_400


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_after_every_edit_the_servers_text_is_the_editors(without_model, encoding):
    dice = random.Random(encoding)

    def some_text(n):
        return "".join(dice.choices(PIECES, k=dice.randrange(n)))

    async def test():
        async with editing(without_model) as editor:
            await editor.initialize(encodings=[encoding])
            assert editor.encoding == encoding
            text = some_text(80)
            uri = editor.open("untitled:a", text)
            for _ in range(N_EDITS // 100):
                expected, told = [], []
                for _ in range(100):
                    first, last = sorted(dice.randrange(len(text) + 1) for _ in range(2))
                    # an editor never puts its cursor between the two halves of a line end
                    first, last = (at - (text[at - 1 : at + 1] == "\r\n") for at in (first, last))
                    last = min(last, first + 12)
                    last -= text[last - 1 : last + 1] == "\r\n"
                    added = some_text(6)
                    start, end = (position(text, at, encoding) for at in (first, max(first, last)))
                    editor.edit(uri, start, end, added)
                    text = text[:first] + added + text[max(first, last) :]
                    expected.append(hashlib.sha256(text.encode()).hexdigest())
                    told.append(editor.status())
                statuses = await asyncio.gather(*told)
                assert [one["documents"][0]["sha256"] for one in statuses] == expected

    run(test())


def position(text, at, encoding):
    lines = text[:at].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines) - 1, n_units(lines[-1], encoding)


def test_without_a_model_the_status_says_how_to_get_one_and_all_else_works(without_model, repository):
    async def test():
        async with editing(without_model) as editor:
            await editor.initialize(repository)
            uri = editor.open((repository / "app.py").as_uri(), "x = ")
            assert await editor.suggest(uri, 0, 4) is None
            status = await editor.until(lambda status: status["repositories"][0]["kind"] == "ready")
            assert status["model"]["kind"] == "missing"
            assert "crosslight model pull" in status["model"]["message"]
            assert status["last"]["reason"] == "model_missing"
            assert "definitions in 2 files" in status["repositories"][0]["message"]
            (message,) = editor.client.messages
            assert "crosslight model pull" in message.message
            assert editor.statuses[-1].kind == "Error"

    run(test())


def test_wrong_settings_are_named_once_and_nothing_else_breaks(without_model):
    async def test():
        async with editing(without_model) as editor:
            await editor.initialize(options={"debounceMs": "fast", "typo": 1})
            status = await editor.status()
            assert status["options"]["debounceMs"] == -1
            texts = [one.message for one in editor.client.messages if "crosslight.typo" in one.message]
            assert len(texts) == 1
            assert "`crosslight.debounceMs` must be a whole number" in texts[0]

    run(test())


def test_indexing_has_progress_and_can_be_cancelled(without_model, large_repository):
    async def test():
        async with editing(without_model) as editor:
            await editor.initialize(large_repository)

            async def begun():
                while not (bars := [one for one in editor.progress("begin") if "indexing" in one[1].title]):
                    await editor.status()
                return bars[0]

            token, bar = await asyncio.wait_for(begun(), 60)
            assert bar.cancellable
            editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
            status = await editor.until(
                lambda status: status["repositories"][0]["kind"] in {"cancelled", "ready"}
            )
            assert status["repositories"][0]["kind"] == "cancelled"
            await editor.run("crosslight.reindex")
            status = await editor.until(lambda status: status["repositories"][0]["kind"] == "ready")
            assert "4500 definitions" in status["repositories"][0]["message"]

    run(test())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(with_model, repository, number):
    async def test():
        async with editing(with_model) as editor:
            await editor.initialize(repository)
            uri = editor.open((repository / "app.py").as_uri(), "import os\n\nx = os.pa\n")
            asking = editor.ask(uri, 2, 9)
            await editor.status()
            editor.process.send_signal(number)
            assert await asyncio.wait_for(editor.process.wait(), 60) == 128 + number
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    run(test())


@pytest.mark.parametrize(("says_shutdown", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_tells_whether_the_editor_shut_it_down(without_model, says_shutdown, code):
    async def test():
        async with editing(without_model) as editor:
            await editor.initialize()
            if says_shutdown:
                await editor.client.shutdown_async(None)
            editor.client.exit(None)
            assert await asyncio.wait_for(editor.process.wait(), 60) == code

    run(test())


def test_a_client_that_dies_takes_its_server_with_it(with_model, repository):
    async def test():
        async with editing(with_model) as editor:
            await editor.initialize(repository)
            uri = editor.open((repository / "app.py").as_uri(), "x = ")
            asking = editor.ask(uri, 0, 4)
            await editor.status()
            process = psutil.Process(editor.process.pid)
            editor.process._transport.get_pipe_transport(0).abort()  # its end of the pipe, as if killed
            assert await asyncio.wait_for(editor.process.wait(), 60) == 1
            assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    run(test())


def test_what_is_no_protocol_ends_in_a_line_and_no_traceback(without_model):
    with without_model.start("serve", "--standalone", stdin=-1) as process:
        out, err = process.communicate("GET / HTTP/1.1\r\nHost: x\r\n\r\n", timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert "does not speak this protocol" in err
    assert "Traceback" not in err


def test_no_code_stands_in_the_log(with_model, tmp_path):
    root = write_repository(tmp_path / "r", {"a.py": "secret_name = 1\n"})

    async def test():
        async with editing(with_model) as editor:
            await editor.initialize(root, options={"minProbability": 0})
            await editor.until_ready()
            uri = editor.open((root / "a.py").as_uri(), "secret_name = 1\nprint(secr\n")
            await editor.suggest(uri, 1, 10)
            logged = " ".join(one.message for one in editor.client.log_messages)
            assert "secr" not in logged
            return await editor.suggest(uri, 1, 3, invoked=False)

    run(test())
