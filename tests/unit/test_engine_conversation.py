import json
from typing import Any

import pytest

from lsp_server.engine.conversation import Conversation
from lsp_server.engine.greeting import ALIVE, GOODBYE, UNANSWERED
from lsp_server.engine.jsonrpc import CONTENT_MODIFIED, REQUEST_CANCELLED, REQUEST_FAILED, encode, parse
from lsp_server.engine.moves import Moves, Phase

EMPTY: dict[str, Any] = {"items": []}
WATCH = {"id": "w1", "method": "workspace/didChangeWatchedFiles", "registerOptions": {"watchers": ["*"]}}


class Talk:
    """An editor and engines around a conversation; what each got, decoded."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.editor: list[dict[str, Any]] = []
        self.engine: list[dict[str, Any]] = []
        self.is_wanted = False

    def _take(self, moves: Moves) -> Moves:
        self.editor += map(json.loads, moves.to_editor)
        self.engine += map(json.loads, moves.to_engine)
        self.is_wanted |= moves.is_wanted
        return moves

    def says(self, method: str | None = None, id_: Any = None, params: Any = None, **rest: Any) -> Moves:
        return self._take(self.conversation.from_editor(_message(method, id_, params, rest)))

    def engine_says(
        self, method: str | None = None, id_: Any = None, params: Any = None, **rest: Any
    ) -> Moves:
        return self._take(self.conversation.from_engine(_message(method, id_, params, rest)))

    def found(self) -> None:
        self.engine.clear()
        self._take(self.conversation.engine_found())

    def lost(self) -> None:
        self._take(self.conversation.engine_lost())

    def gave_up(self, cause: str = "it is broken") -> None:
        self._take(self.conversation.gave_up(cause))

    def begin(self) -> None:
        self.found()
        self.says("initialize", 1, {"processId": 1, "capabilities": {}})
        self.engine_says(id_=1, result={"capabilities": {}})
        self.says("initialized", params={})
        self.editor.clear()
        self.engine.clear()

    def find_another(self) -> None:
        self.found()
        assert [(m["method"], m["id"]) for m in self.engine] == [("initialize", "crosslight-replay")]
        self.engine.clear()
        self.engine_says(id_="crosslight-replay", result={"capabilities": {}})

    @property
    def phase(self) -> Phase:
        return self.conversation.phase

    def taken(self, who: str) -> list[dict[str, Any]]:
        """Return what one side got since the last time, without what is always the same."""
        box: list[dict[str, Any]] = getattr(self, who)
        found = [{key: value for key, value in m.items() if key != "jsonrpc"} for m in box]
        box.clear()
        return found


def _message(method: str | None, id_: Any, params: Any, rest: dict[str, Any]) -> Any:
    values = {"jsonrpc": "2.0", **rest}
    values |= {} if method is None else {"method": method}
    values |= {} if id_ is None else {"id": id_}
    values |= {} if params is None else {"params": params}
    return parse(encode(values))


@pytest.fixture
def talk() -> Talk:
    talk = Talk()
    talk.begin()
    return talk


def opened(uri: str = "file:///a") -> dict[str, Any]:
    return {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": "text"}}


def test_messages_pass_as_they_came(talk: Talk) -> None:
    body = b'{"id": 5,  "method":"x/y", "jsonrpc":"2.0"}'
    assert talk.conversation.from_editor(parse(body)).to_engine == [body]
    answer = b'{"id": 5,   "result":null, "jsonrpc":"2.0"}'
    assert talk.conversation.from_engine(parse(answer)).to_editor == [answer]


def test_an_initialize_that_came_before_the_engine_waits_for_it() -> None:
    talk = Talk()
    talk.says("initialize", 1, {"capabilities": {}})
    assert talk.taken("engine") == []
    talk.found()
    assert talk.taken("engine") == [
        {"id": 1, "method": "initialize", "params": {"capabilities": {}, "processId": None}}
    ]
    talk.engine_says(id_=1, result={"capabilities": {}})
    assert talk.taken("editor") == [{"id": 1, "result": {"capabilities": {}}}]
    assert talk.phase is Phase.LIVE


def test_an_initialize_that_an_engine_did_not_live_to_answer_is_answered_by_the_next() -> None:
    talk = Talk()
    talk.found()
    talk.says("initialize", 1, {"capabilities": {}})
    talk.lost()
    assert talk.taken("editor") == []
    talk.found()
    assert [(m["id"], m["method"]) for m in talk.taken("engine")] == [(1, "initialize")]
    talk.engine_says(id_=1, result={"capabilities": {}})
    assert next(m.get("id") for m in talk.taken("editor")) == 1


def test_every_pending_request_is_answered_when_the_engine_dies(talk: Talk) -> None:
    talk.says("textDocument/inlineCompletion", 2, {})
    talk.says("textDocument/completion", 3, {})
    talk.says("workspace/executeCommand", 4, {})
    talk.says("textDocument/hover", 5, {})
    talk.says("textDocument/hover", "six", {})
    talk.engine_says(id_=5, result=None)
    talk.taken("editor")
    talk.lost()
    answers = {m["id"]: m for m in talk.taken("editor")}
    assert answers[2]["result"] == EMPTY
    assert answers[3]["result"] == {"isIncomplete": True, "items": []}
    assert answers[4]["error"]["code"] == REQUEST_FAILED
    assert answers["six"]["error"]["code"] == CONTENT_MODIFIED
    assert set(answers) == {2, 3, 4, "six"}


def test_another_engine_goes_on_and_the_editor_sees_one_line(talk: Talk) -> None:
    talk.says("textDocument/didOpen", params=opened())
    talk.lost()
    talk.find_another()
    assert [m["method"] for m in talk.taken("engine")] == ["initialized", "textDocument/didOpen"]
    assert [(m["method"], m["params"]["type"]) for m in talk.taken("editor")] == [("window/logMessage", 2)]
    talk.says("textDocument/inlineCompletion", 9, {})
    talk.engine_says(id_=9, result={"items": [1]})
    assert talk.taken("editor") == [{"id": 9, "result": {"items": [1]}}]


def test_what_was_shown_is_not_shown_again_by_the_next_engine(talk: Talk) -> None:
    misspelt = {"type": 2, "message": "Crosslight: unknown setting"}
    talk.engine_says("window/showMessage", params=misspelt)
    talk.lost()
    talk.find_another()
    talk.taken("editor")
    talk.engine_says("window/showMessage", params=misspelt)
    assert talk.taken("editor") == []
    talk.engine_says("window/showMessage", params={**misspelt, "message": "another cause"})
    assert [m["params"]["message"] for m in talk.taken("editor")] == ["another cause"]


def test_while_there_is_no_engine_completions_are_empty_and_the_rest_waits(talk: Talk) -> None:
    talk.lost()
    talk.says("textDocument/inlineCompletion", 2, {})
    assert talk.taken("editor") == [{"id": 2, "result": EMPTY}]
    talk.says("textDocument/didOpen", params=opened())
    talk.says("textDocument/didSave", params={"textDocument": {"uri": "file:///a"}})
    talk.says("workspace/executeCommand", 3, {"command": "crosslight.status"})
    talk.says("textDocument/hover", 4, {})
    talk.says("$/cancelRequest", params={"id": 4})
    (cancelled,) = talk.taken("editor")
    assert (cancelled["id"], cancelled["error"]["code"]) == (4, REQUEST_CANCELLED)
    talk.find_another()
    assert [m["method"] for m in talk.taken("engine")] == [
        "initialized",
        "textDocument/didOpen",
        "textDocument/didSave",
        "workspace/executeCommand",
    ]
    talk.engine_says(id_=3, result="fine")
    assert {"id": 3, "result": "fine"} in talk.taken("editor")


def test_the_next_engine_is_told_of_the_last_completion_that_none_answered(talk: Talk) -> None:
    about = {name: {"textDocument": {"uri": f"file:///{name}"}} for name in "abc"}
    talk.says("textDocument/inlineCompletion", 2, about["a"])
    talk.says("textDocument/inlineCompletion", 3, about["b"])
    talk.says("textDocument/hover", 4, about["c"])
    talk.lost()
    talk.find_another()
    assert talk.taken("engine")[1:] == [{"method": UNANSWERED, "params": {"uri": "file:///b"}}]
    talk.says("textDocument/inlineCompletion", 5, about["b"])
    talk.engine_says(id_=5, result={"items": []})
    talk.lost()
    talk.says("textDocument/completion", 6, about["a"])  # while there is no engine
    talk.find_another()
    assert talk.taken("engine")[1:] == [{"method": UNANSWERED, "params": {"uri": "file:///a"}}]
    talk.lost()
    talk.find_another()
    assert [m["method"] for m in talk.taken("engine")] == ["initialized"]


def test_what_the_user_paused_stays_paused(talk: Talk) -> None:
    talk.says("workspace/executeCommand", 2, {"command": "crosslight.pause", "arguments": []})
    talk.engine_says(id_=2, result={"paused": True, "minutesLeft": None})
    talk.lost()
    talk.find_another()
    _, told = talk.taken("engine")
    assert told["params"] == {"command": "crosslight.pause", "arguments": [True]}
    talk.taken("editor")
    talk.engine_says(id_=told["id"], result={"paused": True, "minutesLeft": None})
    assert talk.taken("editor") == []


def test_what_waits_is_bounded_and_what_is_dropped_is_answered(talk: Talk) -> None:
    talk.lost()
    for n in range(300):
        talk.says("textDocument/hover", n + 10, {})
    assert [m["id"] for m in talk.taken("editor")] == [n + 10 for n in range(300 - 256)]


def test_an_engine_that_dies_before_it_was_told_everything_is_replaced_again(talk: Talk) -> None:
    talk.says("textDocument/didOpen", params=opened())
    talk.lost()
    talk.found()
    talk.lost()
    talk.find_another()
    assert [m["method"] for m in talk.taken("engine")] == ["initialized", "textDocument/didOpen"]


def test_an_edit_during_the_replay_is_told_once(talk: Talk) -> None:
    talk.says("textDocument/didOpen", params=opened())
    talk.lost()
    talk.found()
    change = {"textDocument": {"uri": "file:///a", "version": 2}, "contentChanges": [{"text": "new"}]}
    talk.says("textDocument/didChange", params=change)
    talk.engine.clear()
    talk.engine_says(id_="crosslight-replay", result={"capabilities": {}})
    (_, told) = talk.taken("engine")
    assert (told["method"], told["params"]["textDocument"]["text"]) == ("textDocument/didOpen", "new")


def test_the_editors_answer_to_a_dead_engine_is_dropped(talk: Talk) -> None:
    talk.engine_says("workspace/configuration", 1, {"items": []})
    (asked,) = talk.taken("editor")
    talk.lost()
    talk.find_another()
    talk.engine_says("workspace/configuration", 1, {"items": []})
    asked_again = talk.taken("editor")[-1]
    talk.taken("engine")
    talk.says(id_=asked["id"], result=["old"])
    assert talk.taken("engine") == []
    talk.says(id_=asked_again["id"], result=["new"])
    assert talk.taken("engine") == [{"id": 1, "result": ["new"]}]


def test_an_engines_cancellation_reaches_the_request_that_it_means(talk: Talk) -> None:
    talk.engine_says("window/showMessageRequest", 8, {})
    (asked,) = talk.taken("editor")
    talk.engine_says("$/cancelRequest", params={"id": 8})
    assert talk.taken("editor") == [{"method": "$/cancelRequest", "params": {"id": asked["id"]}}]
    talk.engine_says("$/cancelRequest", params={"id": 77})
    assert talk.taken("editor") == []


def test_what_is_registered_already_is_not_registered_again(talk: Talk) -> None:
    talk.engine_says("client/registerCapability", 1, {"registrations": [WATCH]})
    (asked,) = talk.taken("editor")
    talk.says(id_=asked["id"], result=None)
    talk.lost()
    talk.find_another()
    talk.taken("engine")
    talk.taken("editor")
    talk.engine_says("client/registerCapability", 1, {"registrations": [WATCH | {"id": "another"}]})
    assert talk.taken("editor") == []
    assert talk.taken("engine") == [{"id": 1, "result": None}]
    talk.engine_says(
        "client/unregisterCapability", 2, {"unregisterations": [{"id": "another", "method": WATCH["method"]}]}
    )
    (asked,) = talk.taken("editor")
    assert asked["params"] == {"unregisterations": [{"id": "w1", "method": WATCH["method"]}]}


def test_what_another_engine_registers_otherwise_takes_the_old_ones_place(talk: Talk) -> None:
    talk.engine_says("client/registerCapability", 1, {"registrations": [WATCH]})
    talk.says(id_=talk.taken("editor")[0]["id"], result=None)
    talk.lost()
    talk.find_another()
    talk.taken("editor")
    other = WATCH | {"registerOptions": {"watchers": ["*.py"]}}
    talk.engine_says("client/registerCapability", 1, {"registrations": [other]})
    taken_back, asked = talk.taken("editor")
    assert taken_back["method"] == "client/unregisterCapability"
    assert taken_back["params"] == {"unregisterations": [{"id": "w1", "method": WATCH["method"]}]}
    assert asked["params"] == {"registrations": [other]}
    talk.taken("engine")
    talk.says(id_=taken_back["id"], result=None)
    assert talk.taken("engine") == []  # the engine never asked for that
    talk.says(id_=asked["id"], result=None)
    assert talk.taken("engine") == [{"id": 1, "result": None}]


def test_what_the_editor_refused_to_register_is_asked_for_again(talk: Talk) -> None:
    talk.engine_says("client/registerCapability", 1, {"registrations": [WATCH]})
    talk.says(id_=talk.taken("editor")[0]["id"], error={"code": 1, "message": "no"})
    talk.lost()
    talk.find_another()
    talk.taken("editor")
    talk.engine_says("client/registerCapability", 1, {"registrations": [WATCH]})
    assert [m["method"] for m in talk.taken("editor")] == ["client/registerCapability"]


def test_progress_that_a_dead_engine_began_is_ended(talk: Talk) -> None:
    for token, kind in (("a", "begin"), ("b", "begin"), ("a", "report"), ("b", "end")):
        talk.engine_says("$/progress", params={"token": token, "value": {"kind": kind}})
    talk.engine_says("$/progress", params={"token": "c", "value": ["a partial result"]})
    talk.taken("editor")
    talk.lost()
    assert talk.taken("editor") == [
        {"method": "$/progress", "params": {"token": "a", "value": {"kind": "end"}}}
    ]


def test_an_engine_that_took_leave_is_followed_when_there_is_work(talk: Talk) -> None:
    talk.engine_says(GOODBYE, params={})
    talk.lost()
    assert talk.phase is Phase.RESTING
    assert talk.taken("editor") == []
    assert not talk.is_wanted
    talk.says("textDocument/inlineCompletion", 2, {})
    assert talk.is_wanted
    talk.taken("editor")
    talk.find_another()
    assert [m["params"]["type"] for m in talk.taken("editor")] == [3]


def test_a_status_that_the_editor_shows_is_true_without_an_engine_too(talk: Talk) -> None:
    talk.engine_says("didChangeStatus", params={"kind": "Normal", "busy": True, "message": "completing"})
    talk.engine_says(GOODBYE, params={})
    talk.taken("editor")
    talk.lost()
    (status,) = talk.taken("editor")
    assert (status["params"]["kind"], status["params"]["busy"]) == ("Inactive", False)
    talk.find_another()
    talk.taken("editor")
    talk.lost()
    (status,) = talk.taken("editor")
    assert (status["params"]["kind"], status["params"]["busy"]) == ("Normal", True)
    talk.gave_up("no memory")
    _, status = talk.taken("editor")
    assert status["params"] == {"kind": "Error", "busy": False, "message": "no memory"}


def test_a_cause_is_told_once(talk: Talk) -> None:
    talk.lost()
    talk.gave_up("no memory")
    (told,) = talk.taken("editor")
    assert told["method"] == "window/showMessage"
    assert "no memory" in told["params"]["message"]
    talk.gave_up("no memory")
    assert talk.taken("editor") == []
    talk.gave_up("no disk")
    assert len(talk.taken("editor")) == 1


def test_without_hope_completions_are_empty_and_a_document_or_a_command_tries_again(talk: Talk) -> None:
    talk.lost()
    talk.gave_up()
    talk.taken("editor")
    talk.is_wanted = False
    talk.says("textDocument/inlineCompletion", 2, {})
    talk.says("textDocument/hover", 3, {})
    talk.says("textDocument/didSave", params={})
    answers = talk.taken("editor")
    assert answers[0] == {"id": 2, "result": EMPTY}
    assert answers[1]["error"]["code"] == CONTENT_MODIFIED
    assert not talk.is_wanted
    talk.says("workspace/executeCommand", 4, {})
    assert talk.is_wanted
    talk.gave_up()
    (failed,) = talk.taken("editor")
    assert (failed["id"], failed["error"]["code"]) == (4, REQUEST_FAILED)
    talk.is_wanted = False
    talk.says("textDocument/didOpen", params=opened())
    assert talk.is_wanted
    talk.find_another()
    assert [m["method"] for m in talk.taken("engine")] == ["initialized", "textDocument/didOpen"]


def test_an_initialize_without_an_engine_is_answered_with_the_cause_and_may_be_tried_again() -> None:
    talk = Talk()
    talk.gave_up("no model")  # before the editor said anything: nobody to tell
    talk.says("initialize", 1, {})
    assert talk.is_wanted
    talk.gave_up("no model")
    (answer,) = talk.taken("editor")
    assert answer["id"] == 1
    assert "no model" in answer["error"]["message"]
    assert answer["error"]["data"] == {"retry": True}
    talk.says("initialize", 2, {})
    talk.found()
    assert [(m["id"], m["method"]) for m in talk.taken("engine")] == [(2, "initialize")]


@pytest.mark.parametrize("is_there", [True, False], ids=["engine", "no engine"])
def test_shutdown_is_answered_with_and_without_an_engine(talk: Talk, is_there: bool) -> None:
    if not is_there:
        talk.lost()
    talk.says("shutdown", 2)
    if is_there:
        assert not talk.conversation.is_shut_down
        talk.engine_says(id_=2, result=None)
    assert talk.taken("editor") == [{"id": 2, "result": None}]
    assert talk.conversation.is_shut_down


def test_an_engine_owes_an_answer_until_it_gave_it_or_was_shut_down(talk: Talk) -> None:
    owed = [talk.conversation.is_waiting]
    talk.says("textDocument/inlineCompletion", 2, {})
    owed.append(talk.conversation.is_waiting)
    talk.engine_says(id_=2, result=None)
    owed.append(talk.conversation.is_waiting)
    talk.says("shutdown", 3)
    owed.append(talk.conversation.is_waiting)
    talk.engine_says(id_=3, result=None)
    talk.says("textDocument/inlineCompletion", 4, {})  # which a server that is shut down does not answer
    assert [*owed, talk.conversation.is_waiting] == [False, True, False, True, False]


def test_what_asks_an_engine_whether_it_is_there_is_no_matter_of_the_editors(talk: Talk) -> None:
    asked = parse(talk.conversation.ask_alive())
    assert asked.method == ALIVE
    talk.engine_says(id_=asked.id, result=None)
    assert talk.taken("editor") == []


def test_a_shutdown_that_the_engine_did_not_survive_is_answered(talk: Talk) -> None:
    talk.says("shutdown", 2)
    talk.lost()
    assert talk.taken("editor") == [{"id": 2, "result": None}]
    assert talk.conversation.is_shut_down


def test_exit_ends_the_conversation_but_never_an_engine_that_others_use(talk: Talk) -> None:
    assert talk.says("exit").is_over
    assert talk.taken("engine") == []


def test_an_engine_that_counts_characters_otherwise_is_refused(talk: Talk) -> None:
    talk.lost()
    talk.found()
    moves = talk.engine_says(id_="crosslight-replay", result={"capabilities": {"positionEncoding": "utf-8"}})
    assert moves.is_refused is not None


def test_answers_that_nobody_waits_for_are_dropped(talk: Talk) -> None:
    talk.engine_says(id_=99, result=1)
    talk.says(id_=99, result=1)
    talk.says(id_="engine-1", result=1)
    assert talk.taken("editor") == talk.taken("engine") == []


def test_ids_that_look_alike_are_not_the_same(talk: Talk) -> None:
    talk.says("a/b", 7, {})
    talk.says("a/b", "7", {})
    talk.engine_says(id_="7", result="text")
    talk.lost()
    assert [m["id"] for m in talk.taken("editor")] == ["7", 7]
