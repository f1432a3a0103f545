"""What becomes of suggestions is counted."""

import asyncio

import pytest
from lsp_harness import FakeStatistics, serve

from lsp_server.server.documents import Change, Documents
from lsp_server.server.fates import Fates, Suggestion
from lsp_server.server.places import WorkspaceFolders

URI = "file:///nowhere/a.py"


@pytest.mark.parametrize("tells", [False, True])
def test_what_becomes_of_suggestions_is_counted(tells):
    statistics = FakeStatistics()

    async def test(client):
        await client.initialize(options={"debounceMs": 0})
        client.open(URI, "x = ")
        item = await client.suggest(URI, 0, 4)
        id_ = item["command"]["arguments"][0]
        if tells:
            client.notify("textDocument/didShowCompletion", {"item": item})
        partly = {"item": item, "acceptedLength": 3}
        client.notify("textDocument/didPartiallyAcceptCompletion", partly)
        client.insert(URI, 0, 4, "d")
        await client.suggest(URI, 0, 5, invoked=False)
        await client.command("crosslight.didAcceptCompletion", id_)
        for broken in ({}, {"item": None}, {"item": {"command": {"arguments": []}}}, None):
            client.notify("textDocument/didShowCompletion", broken)
            client.notify("textDocument/didPartiallyAcceptCompletion", broken)
        client.insert(URI, 0, 5, "x")
        await client.suggest(URI, 0, 6)
        first, *told, last = statistics.told
        assert first == ("offered", id_, "python", "model", 6, True)
        seen = [("shown", id_)] if tells else []
        assert told == [*seen, ("accepted", id_, 3), ("accepted", id_, 6)]
        assert (last[0], last[5]) == ("offered", not tells)

    serve(test, statistics=statistics)


def test_nothing_is_counted_if_the_user_does_not_want_it():
    statistics = FakeStatistics()

    async def test(client):
        await client.initialize(options={"statistics": False})
        client.open(URI, "x = ")
        item = await client.suggest(URI, 0, 4)
        await client.command("crosslight.didAcceptCompletion", *item["command"]["arguments"])
        assert statistics.told == []

    serve(test, statistics=statistics)


def test_whether_an_accepted_text_is_kept_is_looked_at_later():
    async def run():
        statistics = FakeStatistics()
        documents = Documents("utf-16", WorkspaceFolders())
        documents.open(URI, "python", 1, "x = done()\n")
        fates = Fates(statistics, documents, looks=(("30s", 0.0), ("5min", 0.0)))
        fates.offered(Suggestion("1", URI, "python", "done()", None, None), "python", "model", 1.0)
        fates.accepted("1", None)
        fates.accepted("unknown", None)
        await asyncio.sleep(0.01)
        assert statistics.told[2:] == [("kept", "1", "30s", True), ("kept", "1", "5min", True)]
        documents.change(URI, 2, [Change("x = other()")])
        fates.accepted("1", None)
        fates.close()
        await asyncio.sleep(0.01)
        assert statistics.told[5:] == []

    asyncio.run(run())
