"""The language server over streams in memory, with a model and an index that do as they are told."""

import asyncio
import logging
import threading

import pytest
from lsp_harness import FakeIndex, FakeModel, ResponseError, connected, make_host, serve, span

from lsp_server.engine.greeting import ALIVE, UNANSWERED
from model.errors import NotInstalledError

URI = "file:///nowhere/a.py"


def opened(text="x = ", **options):
    """Decorate a test with a client that has one document open."""

    def decorate(test):
        def run():
            model = FakeModel()

            async def session(client):
                client.model = model
                await client.initialize(options={"debounceMs": 0, **options})
                client.open(URI, text)
                await test(client)

            serve(session, model=model)

        run.__name__ = test.__name__
        return run

    return decorate


@opened("x = \n")
async def test_a_suggestion_replaces_exactly_what_it_should(client):
    item = await client.suggest(URI, 0, 4)
    assert item["insertText"] == item["filterText"] == "done()"
    assert item["range"] == span(0, 4, 0, 4)
    assert item["command"]["command"] == "crosslight.didAcceptCompletion"
    (request,) = client.model.requests
    assert (request.prefix, request.suffix, request.language, request.path) == (
        "x = ",
        "\n",
        "python",
        "a.py",
    )


@opened("x = f()\n")
async def test_closers_after_the_cursor_are_in_the_range(client):
    client.model.replaces = 1
    item = await client.suggest(URI, 0, 6)
    assert item["range"] == span(0, 6, 0, 7)


@opened("x = \n")
async def test_an_unknown_trigger_is_typing(client):
    where = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 4}}
    for kind in (0, 7):
        assert await client.ask("textDocument/inlineCompletion", {**where, "context": {"triggerKind": kind}})


@opened("x = pri\n")
async def test_the_suggestion_continues_the_popups_selected_item(client):
    selected = {"range": span(0, 4, 0, 7), "text": "print"}
    item = await client.suggest(URI, 0, 7, selected=selected)
    assert item["insertText"] == "printdone()"
    assert item["range"] == span(0, 4, 0, 7)
    assert client.model.requests[0].prefix == "x = print"


@opened()
async def test_typing_a_suggestion_asks_no_model(client):
    await client.suggest(URI, 0, 4)
    for column, left in ((5, "one()"), (6, "ne()")):
        client.insert(URI, 0, column - 1, "done()"[column - 5])
        item = await client.suggest(URI, 0, column, invoked=False)
        assert item["insertText"] == left
    client.change(URI, {"range": span(0, 5, 0, 6), "text": ""})
    assert (await client.suggest(URI, 0, 5, invoked=False))["insertText"] == "one()"
    assert len(client.model.requests) == 1


@opened()
async def test_what_may_be_asked_for_next_is_computed_while_nobody_waits(client):
    await client.suggest(URI, 0, 4)
    ((request, shown),) = await client.until(lambda: client.model.ahead)
    assert (request.prefix, shown.text) == ("x = ", "done()")
    client.model.suppressed = "empty"
    client.insert(URI, 0, 4, "1")
    await client.suggest(URI, 0, 5)
    (_, (_, shown)) = await client.until(lambda: len(client.model.ahead) == 2 and client.model.ahead)
    assert shown is None


@opened()
async def test_what_serve_answered_in_a_former_engines_place_has_its_reason(client):
    client.notify(UNANSWERED, {"uri": URI})
    last = (await client.command("crosslight.status"))["last"]
    assert (last["uri"], last["reason"]) == (URI, "engine_restarting")
    assert "another one was taking its place" in last["explanation"]
    client.notify(UNANSWERED, None)
    assert await client.suggest(URI, 0, 4)
    assert await client.reason() is None


@opened()
async def test_serve_is_told_that_it_is_alive_in_the_middle_of_a_completion(client):
    client.model.go_on.clear()
    asked = client.suggestion(URI, 0, 4)
    await client.until(client.model.began.is_set)
    assert await client.ask(ALIVE) is None
    client.model.go_on.set()
    assert await asked


@opened()
async def test_the_newest_request_of_a_document_wins(client):
    client.model.go_on.clear()
    first = client.suggestion(URI, 0, 4)
    await client.until(client.model.began.is_set)
    client.insert(URI, 0, 4, "1")
    second = client.suggestion(URI, 0, 5)
    assert await client.until(lambda: client.model.n_cancelled)
    assert await first is None
    client.model.go_on.set()
    assert (await second)["items"][0]["insertText"] == "done()"
    assert client.model.most_running == 1


@opened()
async def test_a_cancelled_request_is_answered_and_its_run_ends(client):
    client.model.go_on.clear()
    request = client.suggestion(URI, 0, 4)
    await client.until(client.model.began.is_set)
    client.cancel(request)
    with pytest.raises(ResponseError) as error:
        await request
    assert error.value.code == -32800
    await client.until(lambda: client.model.n_cancelled == 1)
    await client.until_idle()
    assert await client.reason() == "cancelled"


@opened()
async def test_of_a_storm_of_requests_one_is_answered_and_nothing_runs_on(client):
    client.model.go_on.clear()
    requests = []
    for n in range(200):
        client.insert(URI, 0, 4 + n, "x")
        requests.append(client.suggestion(URI, 0, 5 + n, invoked=n % 2 == 0))
        if n % 20 == 0:
            await asyncio.sleep(0)
    client.model.go_on.set()
    answers = await asyncio.gather(*requests)
    assert [bool(answer and answer["items"]) for answer in answers] == [False] * 199 + [True]
    await client.until_idle()
    assert client.model.most_running == 1


@opened("total = 1\n", inStrings=False)
async def test_inside_of_a_word_only_an_invoked_request_is_answered(client):
    assert await client.suggest(URI, 0, 3, invoked=False) is None
    assert await client.reason() == "inside_word"
    assert await client.suggest(URI, 0, 3) is not None


@opened(disabledLanguages=["python"])
async def test_a_language_that_is_switched_off_is_answered_with_its_reason(client):
    assert await client.suggest(URI, 0, 4, invoked=False) is None
    assert await client.reason() == "language_disabled"
    assert client.model.requests == []


@opened("def f():\n        return 1\n")
async def test_before_a_line_that_is_written_already_no_model_is_asked(client):
    for invoked in (True, False):
        assert await client.suggest(URI, 1, 4, invoked=invoked) is None
        assert await client.reason() == "before_text"
    assert client.model.requests == []


@opened()
async def test_an_improbable_suggestion_is_not_shown_while_typing(client):
    client.model.probability = 0.01
    assert await client.suggest(URI, 0, 4, invoked=False) is None
    assert await client.reason() == "improbable"
    assert await client.suggest(URI, 0, 4) is not None


@opened()
async def test_what_the_model_holds_back_keeps_its_reason(client):
    client.model.suppressed = "repeats_suffix"
    assert await client.suggest(URI, 0, 4) is None
    assert await client.reason() == "repeats_suffix"


@pytest.mark.parametrize("uri", ["git:/a.py?HEAD", "output:log", "vscode-vfs://h/a.py"])
def test_what_is_no_file_is_refused_politely(uri):
    async def test(client):
        await client.initialize()
        client.open(uri, "x = ")
        assert await client.suggest(uri, 0, 4) is None
        assert await client.reason() == "virtual_document"

    serve(test)


def test_a_document_that_is_not_open_is_refused_politely():
    async def test(client):
        await client.initialize()
        assert await client.suggest(URI, 0, 0) is None
        assert await client.reason() == "not_open"
        client.notify("textDocument/didChange", {
            "textDocument": {"uri": URI, "version": 1}, "contentChanges": [{"text": ""}]
        })  # fmt: skip
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        assert await client.suggest(URI, 0, 0) is None

    serve(test)


@opened()
async def test_paused_means_no_suggestions_while_typing(client):
    assert await client.command("crosslight.pause") == {"paused": True, "minutesLeft": None}
    assert await client.suggest(URI, 0, 4, invoked=False) is None
    assert await client.reason() == "paused"
    assert client.told("didChangeStatus")[-1] == {"kind": "Inactive", "busy": False, "message": "paused"}
    assert await client.suggest(URI, 0, 4) is not None
    assert await client.command("crosslight.pause", False) == {"paused": False, "minutesLeft": None}
    assert client.told("didChangeStatus")[-1] == {"kind": "Normal", "busy": False, "message": ""}


def test_the_log_says_once_why_nothing_is_shown_in_a_row(caplog):
    caplog.set_level(logging.INFO, "lsp_server")

    async def test(client):
        await client.initialize(options={"debounceMs": 0})
        client.open(URI, "x = ")
        for _ in range(2):
            await client.command("crosslight.pause", True)
            for _ in range(3):
                assert await client.suggest(URI, 0, 4, invoked=False) is None
            await client.command("crosslight.pause", False)
            assert await client.suggest(URI, 0, 4) is not None
        said = [text for text in caplog.messages if "nothing is shown" in text]
        assert len(said) == 2
        assert all(text.endswith(": paused") for text in said)

    serve(test)


@opened()
async def test_a_pause_of_some_minutes_says_how_many_and_ends_by_itself(client):
    assert await client.command("crosslight.pause", True, 30) == {"paused": True, "minutesLeft": 30}
    status = await client.command("crosslight.status")
    assert status["status"] == {"kind": "Inactive", "busy": False, "message": "paused, 30 min left"}
    assert (status["paused"], status["minutesLeft"]) == (True, 30)
    await client.command("crosslight.pause", True, 1e-6)
    await client.until(lambda: client.told("didChangeStatus")[-1]["kind"] == "Normal")
    assert await client.suggest(URI, 0, 4, invoked=False) is not None


@opened()
async def test_a_pause_of_no_time_is_refused(client):
    for minutes in (0, -1, "5", True, 1e300):
        with pytest.raises(ResponseError, match="minutes"):
            await client.command("crosslight.pause", True, minutes)
    assert (await client.command("crosslight.status"))["paused"] is False


def test_the_status_is_told_at_the_start_and_with_each_change():
    may_load = threading.Event()

    def load():
        assert may_load.wait(20)
        return FakeModel()

    def said(client):
        return [(one["kind"], one["busy"], one["message"]) for one in client.told("didChangeStatus")]

    async def test(client):
        await client.initialize()
        assert await client.until(lambda: said(client)) == [("Normal", True, "loading the model")]
        may_load.set()
        await client.until(lambda: len(said(client)) == 2)
        for enabled in (False, True):
            settings = {"settings": {"crosslight": {"enabled": enabled}}}
            client.notify("workspace/didChangeConfiguration", settings)
        await client.until(lambda: len(said(client)) == 4)
        ready = ("Normal", False, "")
        assert said(client)[1:] == [
            ready,
            ("Inactive", False, "switched off in the editor's settings"),
            ready,
        ]

    serve(test, model=load)


def test_bad_settings_are_named_in_one_message_and_keep_their_defaults():
    async def test(client):
        await client.initialize(options={"enabeld": 1, "minProbability": 7})
        (message,) = await client.until(lambda: client.told("window/showMessage"))
        assert "crosslight.enabeld" in message["message"]
        assert "crosslight.minProbability" in message["message"]
        settings = {"settings": {"crosslight": {"enabeld": 1, "minProbability": 7}}}
        client.notify("workspace/didChangeConfiguration", settings)
        status = await client.command("crosslight.status")
        assert status["options"]["minProbability"] == 0.4
        assert len(client.told("window/showMessage")) == 1

    serve(test)


def test_what_is_wrong_with_the_settings_file_is_told_to_every_editor_once():
    async def run():
        host = make_host(problems=["config.toml: unknown setting `nope` is ignored"])
        async with connected(host) as one, connected(host) as two:
            for client in (one, two):
                await client.initialize()
                (message,) = await client.until(lambda client=client: client.told("window/showMessage"))
                assert "`nope`" in message["message"]
        await asyncio.to_thread(host.close)

    asyncio.run(run())


def test_settings_change_while_running():
    async def test(client):
        await client.initialize()
        client.notify("workspace/didChangeConfiguration", {"settings": {"crosslight": {"enabled": False}}})
        client.open(URI, "x = ")
        assert await client.suggest(URI, 0, 4, invoked=False) is None
        assert await client.reason() == "disabled"

    serve(test)


@opened()
async def test_new_settings_concern_what_was_held_back_already(client):
    client.model.probability = 0.1
    assert await client.suggest(URI, 0, 4, invoked=False) is None
    settings = {"crosslight": {"minProbability": 0.05, "debounceMs": 0}}
    client.notify("workspace/didChangeConfiguration", {"settings": settings})
    assert await client.suggest(URI, 0, 4, invoked=False) is not None


@opened()
async def test_nothing_to_show_is_known_but_too_little_time_is_tried_again(client):
    for reason, n_requests in (("empty", 1), ("deadline", 2)):
        client.model.requests.clear()
        client.model.suppressed = reason
        client.insert(URI, 0, 4, "1")
        for _ in range(2):
            assert await client.suggest(URI, 0, 5, invoked=False) is None
            assert await client.reason() == reason
        assert len(client.model.requests) == n_requests
        client.change(URI, {"range": span(0, 4, 0, 5), "text": ""})
        await client.command("crosslight.clearCaches")


def test_settings_are_asked_for_where_the_client_only_says_that_they_changed():
    async def test(client):
        client.answers["workspace/configuration"] = lambda _: [{"enabled": False}]
        await client.initialize(capabilities={"workspace": {"configuration": True}})
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        await client.until(lambda: client.asked)
        status = await client.command("crosslight.status")
        assert status["options"]["enabled"] is False

    serve(test)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(None, "utf-16"), (["utf-8", "utf-16"], "utf-8"), (["utf-32"], "utf-32"), (["utf-7"], "utf-16")],
)
def test_positions_are_counted_as_the_client_prefers(offered, chosen):
    async def test(client):
        result = await client.initialize(capabilities={"general": {"positionEncodings": offered}})
        assert result["capabilities"]["positionEncoding"] == chosen
        client.open(URI, "é = ")
        item = await client.suggest(URI, 0, {"utf-8": 5}.get(chosen, 4))
        assert item is not None
        assert client_model.requests[-1].prefix == "é = "

    client_model = FakeModel()
    serve(test, model=client_model)


def test_a_model_that_is_missing_is_told_once_and_breaks_nothing():
    def load():
        raise NotInstalledError("no model is installed; run `crosslight model pull`")

    async def test(client):
        await client.initialize(options={"debounceMs": 0})
        client.open(URI, "x = ")
        for invoked in (True, False, True):
            assert await client.suggest(URI, 0, 4, invoked=invoked) is None
        assert await client.reason() == "model_missing"
        assert (await client.command("crosslight.status"))["model"]["kind"] == "missing"
        (message,) = client.told("window/showMessage")
        assert "crosslight model pull" in message["message"]
        assert client.told("didChangeStatus")[-1]["kind"] == "Error"

    serve(test, model=load)


@pytest.mark.parametrize("how", ["by hand", "pause false", "toggle"])
def test_loading_the_model_can_be_cancelled_and_is_made_up_for_when_it_is_asked_for(how):
    may_load = threading.Event()

    def load():
        assert may_load.wait(20)
        return FakeModel()

    async def test(client):
        await client.initialize(
            options={"debounceMs": 0}, capabilities={"window": {"workDoneProgress": True}}
        )
        client.open(URI, "x = ")
        waiting = client.suggestion(URI, 0, 4)
        (bar,) = await client.until(lambda: client.told("$/progress"))
        assert (bar["value"]["kind"], bar["value"]["cancellable"]) == ("begin", True)
        client.notify("window/workDoneProgress/cancel", {"token": bar["token"]})
        assert await waiting == {"items": []}
        assert await client.suggest(URI, 0, 4, invoked=False) is None
        assert await client.reason() == "model_cancelled"
        await client.until(lambda: client.told("$/progress")[-1]["value"]["kind"] == "end")
        assert client.told("didChangeStatus")[-1]["kind"] == "Inactive"
        may_load.set()
        if how != "by hand":
            arguments = [False] if how == "pause false" else []
            assert (await client.command("crosslight.pause", *arguments))["paused"] is False
        assert await client.suggest(URI, 0, 4) is not None
        assert client.told("didChangeStatus")[-1]["kind"] == "Normal"

    serve(test, model=load)


def test_a_completion_that_fails_is_no_error_to_the_client():
    def write(_):
        raise RuntimeError("secret code")

    async def test(client):
        await client.initialize()
        client.open(URI, "x = ")
        assert await client.suggest(URI, 0, 4) is None
        assert await client.reason() == "failed"

    serve(test, model=FakeModel(write))


def test_without_inline_completion_the_first_line_is_an_item_if_that_is_wanted():
    async def test(client):
        result = await client.initialize(options={"completionItems": True}, capabilities={})
        assert "completionProvider" in result["capabilities"]
        client.open(URI, "x = pri")
        where = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 7}}
        (item,) = (await client.ask("textDocument/completion", where))["items"]
        assert item["label"] == "print(1)"
        assert item["textEdit"] == {"range": span(0, 4, 0, 7), "newText": "print(1)"}

    serve(test, model=FakeModel(lambda _: "nt(1)\nmore"))


@pytest.mark.parametrize("options", [None, {"completionItems": True}])
def test_with_inline_completion_no_items_are_offered(options):
    async def test(client):
        result = await client.initialize(options=options)
        assert "completionProvider" not in result["capabilities"]
        assert result["capabilities"]["inlineCompletionProvider"] == {}

    serve(test)


@pytest.mark.parametrize(
    ("capabilities", "why"), [(None, "shows suggestions inline"), ({}, "is read when the server starts")]
)
def test_items_that_are_asked_for_and_do_not_come_are_said_once_in_the_log(capabilities, why, caplog):
    caplog.set_level(logging.WARNING)

    def said():
        return [text for text in caplog.messages if "completionItems" in text]

    async def test(client):
        await client.initialize(options={"completionItems": capabilities is None}, capabilities=capabilities)
        for _ in range(2):
            settings = {"settings": {"crosslight": {"completionItems": True}}}
            client.notify("workspace/didChangeConfiguration", settings)
        await client.command("crosslight.status")
        (text,) = said()
        assert why in text

    serve(test)


def test_items_that_come_are_not_said_to_have_no_effect(caplog):
    caplog.set_level(logging.WARNING)

    async def test(client):
        await client.initialize(options={"completionItems": True}, capabilities={})
        await client.command("crosslight.status")
        assert not [text for text in caplog.messages if "completionItems" in text]

    serve(test)


@opened()
async def test_the_last_completion_is_explained(client):
    assert await client.command("crosslight.explainLast") is None
    await client.suggest(URI, 0, 4)
    assert (await client.command("crosslight.explainLast"))["text"] == "done()"


@opened()
async def test_a_suggestion_is_explained_also_when_nothing_was_found_behind_it(client):
    shown = await client.suggest(URI, 0, 4)
    client.insert(URI, 0, 4, "done()")
    client.model.suppressed = "empty"
    assert await client.suggest(URI, 0, 10) is None
    assert (await client.command("crosslight.explainLast"))["text"] == "done()"
    (id_,) = shown["command"]["arguments"]
    assert (await client.command("crosslight.explainLast", id_))["text"] == "done()"
    assert await client.command("crosslight.explainLast", "unknown") is None


@opened()
async def test_nothing_to_show_takes_away_what_was_shown_and_a_superseded_request_does_not(client):
    client.model.suppressed = "empty"
    assert await client.suggestion(URI, 0, 4) == {"items": []}
    client.model.go_on.clear()
    client.insert(URI, 0, 4, "1")
    first = client.suggestion(URI, 0, 5)
    client.insert(URI, 0, 5, "2")
    second = client.suggestion(URI, 0, 6)
    assert await first is None
    client.model.go_on.set()
    assert await second == {"items": []}


@opened()
async def test_a_suggestion_made_without_a_late_index_is_typed_through_but_not_given_again(client):
    note = "completed without retrieval: the index had not answered after 1000 ms"
    client.model.notes, client.model.is_stopgap = (note,), True
    await client.suggest(URI, 0, 4)
    assert (await client.command("crosslight.status"))["last"]["retrievalNotes"] == [note]
    client.model.notes, client.model.is_stopgap = (), False
    client.insert(URI, 0, 4, "d")
    assert (await client.suggest(URI, 0, 5, invoked=False))["insertText"] == "one()"
    assert len(client.model.requests) == 1
    client.change(URI, {"range": span(0, 4, 0, 5), "text": ""})
    await client.suggest(URI, 0, 4)
    assert len(client.model.requests) == 2
    assert (await client.command("crosslight.status"))["last"]["retrievalNotes"] == []


@opened()
async def test_cleared_caches_ask_the_model_anew(client):
    await client.suggest(URI, 0, 4)
    await client.command("crosslight.clearCaches")
    await client.suggest(URI, 0, 4)
    assert len(client.model.requests) == 2
    assert client.model.is_forgotten


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"1",
        b'{"id": 999}',
        b'"jsonrpc"',
        b'{"jsonrpc": "2.0", "id": 999, "method": "initialize", "params": 7}',
        b'{"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"x": 1}}',
        b'{"jsonrpc": "2.0", "method": "textDocument/didOpen"}',
        b'{"jsonrpc": "2.0"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_message_is_answered_with_an_error_and_the_connection_goes_on(body):
    async def test(client):
        client.reader.feed_data(b"Content-Length: %d\r\nContent-Type: x\r\n\r\n%s" % (len(body), body))
        await client.initialize()
        assert await client.suggest(URI, 0, 0) is None

    serve(test)


def test_an_unknown_method_is_an_error_and_an_unknown_notification_nothing():
    async def test(client):
        await client.initialize()
        client.notify("some/notification", {"x": 1})
        with pytest.raises(ResponseError) as error:
            await client.ask("some/request", {})
        assert error.value.code == -32601

    serve(test)


@pytest.mark.parametrize(("says", "code"), [(["shutdown", "exit"], 0), (["exit"], 1), ([], 1)])
def test_the_exit_code_tells_whether_the_client_shut_down(says, code):
    async def run():
        host = make_host()
        async with connected(host) as client:
            await client.initialize()
            if "shutdown" in says:
                await client.ask("shutdown")
            if "exit" in says:
                client.notify("exit", None)
            else:
                client.reader.feed_eof()
            assert await client.serving == code
        await asyncio.to_thread(host.close)

    asyncio.run(run())


def test_a_client_that_dies_leaves_nothing_running():
    async def run():
        model = FakeModel()
        model.go_on.clear()
        host = make_host(model)
        async with connected(host) as client:
            await client.initialize()
            client.open(URI, "x = ")
            client.suggestion(URI, 0, 4)
            await client.until(model.began.is_set)
        await asyncio.to_thread(host.model.wait_until_idle, 20)
        assert model.n_cancelled == 1
        await asyncio.to_thread(host.close)
        assert model.is_closed

    asyncio.run(run())


def test_what_is_logged_of_a_session_reaches_its_own_editor_alone(tmp_path, caplog):
    caplog.set_level(logging.INFO, "lsp_server")

    async def run():
        host = make_host()
        uri, where = (tmp_path / "a.py").as_uri(), {"line": 0, "character": 0}
        async with connected(host) as one, connected(host) as two:
            for client in (one, two):
                await client.initialize()
            with pytest.raises(ResponseError):
                await one.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": where})
            assert await one.suggest(uri, 0, 0) is None
            await one.until(lambda: len(one.told("window/logMessage")) > 1)
            await two.command("crosslight.status")
            lines = [line["message"] for line in one.told("window/logMessage")]
            assert any("textDocument/hover" in line for line in lines)
            assert any(f"{tmp_path / 'a.py'}: not_open" in line for line in lines)
            assert two.told("window/logMessage") == []
        await asyncio.to_thread(host.close)

    asyncio.run(run())


def test_two_clients_share_one_model_and_one_index(tmp_path):
    async def run():
        model, index = FakeModel(), FakeIndex()
        host = make_host(model, index)
        async with connected(host) as one, connected(host) as two:
            for client in (one, two):
                await client.initialize(tmp_path)
                client.open(URI, "x = ")
            first, second = await asyncio.gather(one.suggest(URI, 0, 4), two.suggest(URI, 0, 4))
            assert first["insertText"] == second["insertText"] == "done()"
            assert first["command"]["arguments"] != second["command"]["arguments"]
            assert len(index.runs) == 1
        await asyncio.to_thread(host.close)

    asyncio.run(run())
