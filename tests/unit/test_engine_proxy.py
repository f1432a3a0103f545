"""An editor, a proxy, and engines that do as they are told, in one process."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from lsp_server.engine.errors import GoneError
from lsp_server.engine.greeting import ALIVE
from lsp_server.engine.jsonrpc import encode
from lsp_server.engine.proxy import EngineLink, Patience, Proxy

PATIENCE_S = 30.0
HASTE = Patience(first_s=0.001, most_s=0.001, ending_s=0.001, look_s=0.005, max_silent_looks=3)


class Box:
    """A channel in memory: one side's end of it, with what the other side got."""

    def __init__(self) -> None:
        self.incoming: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.sent: list[dict[str, Any]] = []
        self.changed = threading.Condition()
        self.on_send: Callable[[dict[str, Any]], object] = lambda _: None

    def receive(self) -> bytes | None:
        return self.incoming.get()

    def send(self, body: bytes) -> None:
        message = json.loads(body)
        with self.changed:
            self.sent.append(message)
            self.changed.notify_all()
        self.on_send(message)

    def close(self) -> None:
        self.incoming.put(None)

    def say(self, **message: Any) -> None:
        self.incoming.put(encode({"jsonrpc": "2.0", **message}))

    def until(self, wanted: Callable[[dict[str, Any]], object], n: int = 1) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [message for message in self.sent if wanted(message)]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= n, PATIENCE_S), self.sent
            return found()[-1]

    def named(self, method: str) -> list[dict[str, Any]]:
        with self.changed:
            return [message for message in self.sent if message.get("method") == method]


class Engine(Box):
    """Answers `initialize`, and what else it is told to."""

    def __init__(self, *answered: str) -> None:
        super().__init__()
        self.answered = {"initialize", *answered}
        self.n_killed = 0
        self.on_send = self._answer

    def _answer(self, message: dict[str, Any]) -> None:
        if message.get("method") in self.answered:
            self.say(id=message["id"], result={"capabilities": {}})

    def link(self) -> EngineLink:
        return EngineLink(self, kill=self._kill)

    def _kill(self) -> None:
        self.n_killed += 1


class Source:
    """Has engines, or reasons why not, one after the other."""

    def __init__(self, *engines: Engine | Exception) -> None:
        self._engines = iter(engines)

    def connect(self) -> EngineLink:
        engine = next(self._engines)
        if isinstance(engine, Exception):
            raise engine
        return engine.link()

    def last_words(self) -> str:
        return "it ended"


@pytest.fixture
def start() -> Iterator[Callable[..., Box]]:
    """Starts a proxy with some engines, and returns its editor, which has said hello."""
    running = []

    def make(*engines: Engine | Exception, patience: Patience = HASTE) -> Box:
        editor = Box()
        proxy = Proxy(editor, Source(*engines), patience=patience)
        thread = threading.Thread(target=proxy.run)
        thread.start()
        running.append((proxy, thread))
        editor.say(id=1, method="initialize", params={"capabilities": {}})
        editor.until(lambda m: m.get("id") == 1)
        editor.say(method="initialized", params={})
        return editor

    yield make
    for proxy, thread in running:
        proxy.close()
        thread.join(PATIENCE_S)


def ask(editor: Box, id_: int, method: str = "textDocument/inlineCompletion") -> None:
    editor.say(id=id_, method=method, params={"textDocument": {"uri": "file:///a"}})


def test_an_engine_that_hangs_is_killed_and_replaced(start: Callable[..., Box]) -> None:
    hung, fresh = Engine(), Engine("textDocument/inlineCompletion")
    editor = start(hung, fresh)
    ask(editor, 2)
    assert editor.until(lambda m: m.get("id") == 2)["result"] == {"items": []}
    assert hung.n_killed == 1
    assert len(hung.named(ALIVE)) == 1
    told = editor.until(lambda m: m.get("method") == "window/logMessage")
    assert "did not answer for" in told["params"]["message"]
    ask(editor, 3)
    assert editor.until(lambda m: m.get("id") == 3)["result"]
    assert fresh.n_killed == 0
    assert editor.named("window/showMessage") == []


def test_an_engine_that_is_busy_for_long_is_left_alone(start: Callable[..., Box]) -> None:
    busy = Engine(ALIVE)
    editor = start(busy, patience=replace(HASTE, max_silent_looks=1000))  # this process may be busy, too
    ask(editor, 2)
    busy.until(lambda m: m.get("method") == ALIVE, n=10)
    assert busy.n_killed == 0
    busy.say(id=2, result={"items": []})
    assert editor.until(lambda m: m.get("id") == 2)["result"] == {"items": []}
    assert all(m.get("id") != "crosslight-alive" for m in editor.sent)


def test_an_editor_that_does_not_read_is_no_fault_of_the_engines(start: Callable[..., Box]) -> None:
    engine, may_read, is_held_back = Engine(), threading.Event(), threading.Event()
    editor = start(engine)

    def hold_back(message: dict[str, Any]) -> None:
        if message.get("method") == "x/y":
            is_held_back.set()
            may_read.wait(PATIENCE_S)

    editor.on_send = hold_back
    engine.say(method="x/y")
    assert is_held_back.wait(PATIENCE_S)
    ask(editor, 2)
    editor_of_another = start(hung := Engine(), Engine())
    ask(editor_of_another, 2)
    editor_of_another.until(lambda m: m.get("id") == 2)  # as long as it takes to find that out
    assert (engine.n_killed, hung.n_killed) == (0, 1)
    assert engine.named(ALIVE) == []
    may_read.set()


def test_an_engine_that_is_still_ending_is_no_failure_of_the_next(start: Callable[..., Box]) -> None:
    first, second = Engine(), Engine("fake/ask")
    editor = start(first, *[GoneError("ending")] * 20, second)
    first.close()
    editor.until(lambda m: m.get("method") == "window/logMessage")
    ask(editor, 2, "fake/ask")
    assert editor.until(lambda m: m.get("id") == 2)["result"]
    assert editor.named("window/showMessage") == []


def test_engines_that_hang_again_and_again_are_said_once_with_the_cause(start: Callable[..., Box]) -> None:
    editor = start(Engine(), Engine(), patience=replace(HASTE, max_failures=2))
    for id_ in (2, 3):
        ask(editor, id_, "fake/ask")
        editor.until(lambda m, id_=id_: m.get("id") == id_)
    told = editor.until(lambda m: m.get("method") == "window/showMessage")
    assert "did not answer for 0 s, several times in a row" in told["params"]["message"]
