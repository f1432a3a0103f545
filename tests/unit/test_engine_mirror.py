import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.engine.jsonrpc import Message, encode, parse
from lsp_server.engine.mirror import Mirror
from lsp_server.server.buffer import Encoding, n_units

URI = "file:///a.py"
ALPHABET = "ab \t\n\r\u2028\x0c\u00e4\u00df\u20ac\U0001d4b3\U0001f600"


def message(method: str, id_: int | None = None, **params: Any) -> Message:
    values: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    return parse(encode(values if id_ is None else values | {"id": id_}))


def begun(encoding: str = "utf-16", clock: Callable[[], float] = time.time, **params: Any) -> Mirror:
    mirror = Mirror(clock)
    mirror.begin(message("initialize", 1, **({"processId": 7, "capabilities": {}} | params)))
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"capabilities": {"positionEncoding": encoding}}}
    mirror.answered(parse(encode(answer)))
    mirror.observe(message("initialized"))
    return mirror


def opened(text: str, uri: str = URI, version: int = 1) -> Message:
    item = {"uri": uri, "languageId": "python", "version": version, "text": text}
    return message("textDocument/didOpen", textDocument=item)


def changed(version: int, *changes: dict[str, Any], uri: str = URI) -> Message:
    document = {"uri": uri, "version": version}
    return message("textDocument/didChange", textDocument=document, contentChanges=list(changes))


def replayed(mirror: Mirror) -> list[tuple[str, Any]]:
    return [(m["method"], m["params"]) for m in map(json.loads, mirror.replay())]


def texts(mirror: Mirror) -> dict[str, tuple[int, str]]:
    items = [p["textDocument"] for method, p in replayed(mirror) if method == "textDocument/didOpen"]
    return {item["uri"]: (item["version"], item["text"]) for item in items}


class Client:
    """An editor's own document, kept as one string, whose lines end as the protocol says."""

    def __init__(self, text: str, encoding: Encoding) -> None:
        self.text, self.encoding = text, encoding

    def position(self, offset: int) -> dict[str, int]:
        lines = self.text[:offset].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return {"line": len(lines) - 1, "character": n_units(lines[-1], self.encoding)}

    def edit(self, start: int, end: int, text: str) -> dict[str, Any]:
        change = {"range": {"start": self.position(start), "end": self.position(end)}, "text": text}
        self.text = self.text[:start] + text + self.text[end:]
        return change

    def places(self) -> list[int]:
        """Where a cursor can be: never between a CR and its LF."""
        return [i for i in range(len(self.text) + 1) if self.text[max(0, i - 1) : i + 1] != "\r\n"]


@given(
    st.integers(0, 2**32),
    st.text(ALPHABET, max_size=60),
    st.sampled_from(["utf-8", "utf-16", "utf-32"]),
    st.integers(1, 150),
)
def test_the_mirrors_text_equals_the_clients_after_random_edits(
    seed: int, text: str, encoding: Encoding, n_edits: int
) -> None:
    chance = random.Random(seed)
    mirror = begun(encoding)
    client = Client(text, encoding)
    mirror.observe(opened(text))
    for version in range(2, n_edits + 2):
        changes = []
        for _ in range(chance.randint(1, 3)):
            start, end = sorted(chance.choices(client.places(), k=2))
            typed = "".join(chance.choices(ALPHABET, k=chance.choice((0, 1, 1, 4))))
            if chance.random() < 0.03:
                client.text = typed
                changes.append({"text": typed})
            else:
                changes.append(client.edit(start, end, typed))
        mirror.observe(changed(version, *changes))
        if chance.random() < 0.05:
            assert texts(mirror) == {URI: (version, client.text)}
    assert texts(mirror) == {URI: (n_edits + 1, client.text)}


def test_many_edits_do_not_pile_up() -> None:
    mirror = begun()
    mirror.observe(opened("x" * 1000))
    client = Client("x" * 1000, "utf-16")
    for version in range(2, 1000):
        mirror.observe(changed(version, client.edit(0, 0, "y")))
    kept = mirror._documents._texts[URI]
    assert len(kept.edits) < 100
    assert texts(mirror) == {URI: (999, client.text)}


def test_another_engine_is_told_what_still_holds_in_the_order_of_the_protocol() -> None:
    mirror = begun(workspaceFolders=[{"uri": "file:///one", "name": "one"}], trace="off", workDoneToken="t")
    for one in (
        message("workspace/didChangeConfiguration", settings={"a": 1}),
        opened("first", "file:///1"),
        message("workspace/didChangeConfiguration", settings={"a": 2}),
        opened("second", "file:///2"),
        message("textDocument/didClose", textDocument={"uri": "file:///1"}),
        message("$/setTrace", value="verbose"),
        message(
            "workspace/didChangeWorkspaceFolders",
            event={
                "added": [{"uri": "file:///two", "name": "two"}],
                "removed": [{"uri": "file:///one", "name": "one"}],
            },
        ),
        changed(9, {"text": "third"}, uri="file:///2"),
    ):
        mirror.observe(one)
    again = json.loads(mirror.initialize_again("again"))
    assert again["id"] == "again"
    assert again["params"] == {
        "processId": None,
        "capabilities": {},
        "trace": "off",
        "workspaceFolders": [{"uri": "file:///two", "name": "two"}],
    }
    assert replayed(mirror) == [
        ("initialized", {}),
        ("workspace/didChangeConfiguration", {"settings": {"a": 2}}),
        ("$/setTrace", {"value": "verbose"}),
        (
            "textDocument/didOpen",
            {
                "textDocument": {
                    "uri": "file:///2",
                    "languageId": "python",
                    "version": 9,
                    "text": "third",
                }
            },
        ),
    ]


def test_an_engine_that_serves_others_too_never_learns_of_the_editors_process() -> None:
    mirror = Mirror()
    mirror.begin(message("initialize", 1, processId=4711))
    assert json.loads(mirror.initialize_again(1))["params"]["processId"] is None


def test_an_initialize_that_was_refused_can_be_tried_again() -> None:
    mirror = Mirror()
    mirror.begin(message("initialize", 1))
    mirror.answered(parse(encode({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}})))
    assert not mirror.is_begun


def cell(n: int, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    uri = f"cell:{n}"
    item = {"uri": uri, "languageId": "python", "version": 1, "text": text}
    return {"kind": 2, "document": uri}, item


def test_a_notebook_is_told_with_its_cells_as_they_are_now() -> None:
    mirror = begun()
    cells = [cell(n, f"text {n}") for n in range(3)]
    notebook = {
        "uri": "nb",
        "notebookType": "jupyter",
        "version": 1,
        "cells": [reference for reference, _ in cells],
    }
    mirror.observe(
        message(
            "notebookDocument/didOpen",
            notebookDocument=notebook,
            cellTextDocuments=[text for _, text in cells],
        )
    )
    reference, item = cell(9, "new")
    mirror.observe(
        message(
            "notebookDocument/didChange",
            notebookDocument={"uri": "nb", "version": 5},
            change={
                "metadata": {"kernel": "x"},
                "cells": {
                    "structure": {
                        "array": {"start": 1, "deleteCount": 1, "cells": [reference]},
                        "didOpen": [item],
                        "didClose": [{"uri": "cell:1"}],
                    },
                    "data": [{"kind": 2, "document": "cell:2", "executionSummary": {"executionOrder": 3}}],
                    "textContent": [
                        {
                            "document": {"uri": "cell:9", "version": 2},
                            "changes": [
                                {
                                    "range": {
                                        "start": {"line": 0, "character": 3},
                                        "end": {"line": 0, "character": 3},
                                    },
                                    "text": "er",
                                }
                            ],
                        }
                    ],
                },
            },
        )
    )
    (_, opened_again) = replayed(mirror)[-1]
    assert opened_again["notebookDocument"]["version"] == 5
    assert opened_again["notebookDocument"]["metadata"] == {"kernel": "x"}
    assert [one["document"] for one in opened_again["notebookDocument"]["cells"]] == [
        "cell:0",
        "cell:9",
        "cell:2",
    ]
    assert opened_again["notebookDocument"]["cells"][2]["executionSummary"] == {"executionOrder": 3}
    assert [(one["uri"], one["version"], one["text"]) for one in opened_again["cellTextDocuments"]] == [
        ("cell:0", 1, "text 0"),
        ("cell:9", 2, "newer"),
        ("cell:2", 1, "text 2"),
    ]
    mirror.observe(
        message(
            "notebookDocument/didClose",
            notebookDocument={"uri": "nb"},
            cellTextDocuments=[{"uri": f"cell:{n}"} for n in (0, 9, 2)],
        )
    )
    assert replayed(mirror) == [("initialized", {})]


@pytest.mark.parametrize(
    "odd",
    [
        message("textDocument/didOpen"),
        message("textDocument/didOpen", textDocument={"uri": ["a"], "text": "x"}),
        message("textDocument/didChange", textDocument={"uri": URI, "version": 2}, contentChanges=[{}]),
        message("textDocument/didChange", textDocument={"uri": URI, "version": 2}, contentChanges=[7]),
        message("textDocument/didClose", textDocument=None),
        changed(2, {"range": {"start": 1}, "text": "x"}),
        changed(2, {"range": {"start": {"line": "x"}}, "text": "x"}),
        changed(2, {"text": "other"}, uri="file:///never-opened"),
        message("workspace/didChangeWorkspaceFolders", event={}),
        message("notebookDocument/didChange", notebookDocument={"uri": "never opened"}),
        message("notebookDocument/didOpen", notebookDocument={}),
    ],
)
def test_what_is_not_as_the_protocol_says_does_no_harm(odd: Message) -> None:
    mirror = begun()
    mirror.observe(opened("text"))
    mirror.observe(odd)
    assert [text for _, text in texts(mirror).values()] == ["text"]


def test_half_a_character_passes_as_it_came() -> None:
    mirror = begun()
    mirror.observe(opened("\ud83d"))
    assert texts(mirror) == {URI: (1, "\ud83d")}


@pytest.mark.parametrize(
    ("answers", "minutes_later", "arguments"),
    [
        ([], 0, None),
        ([{"paused": True, "minutesLeft": None}], 60, [True]),
        ([{"paused": True, "minutesLeft": 30}], 10, [True, 20]),
        ([{"paused": True, "minutesLeft": 30}], 31, None),
        ([{"paused": True, "minutesLeft": 30}, {"paused": True, "minutesLeft": None}], 60, [True]),
        ([{"paused": True, "minutesLeft": None}, {"paused": False, "minutesLeft": None}], 0, None),
        ([{"paused": True, "minutesLeft": None}, None], 0, [True]),
    ],
)
def test_a_pause_goes_on_with_the_next_engine(
    answers: list[Any], minutes_later: float, arguments: list[Any] | None
) -> None:
    now_s = 1000.0
    mirror = begun(clock=lambda: now_s)
    for answer in answers:
        mirror.paused(answer)
    now_s += 60 * minutes_later
    sent = [p["arguments"] for method, p in replayed(mirror) if method == "workspace/executeCommand"]
    assert sent == ([] if arguments is None else [arguments])
