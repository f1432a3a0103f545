"""The language server and the files around a document: repositories, changes on the disk, notebooks."""

from lsp_harness import FakeIndex, FakeModel, serve, span

from indexer.types import RetrievalQuery


def test_repositories_are_indexed_with_progress_that_can_be_cancelled(tmp_path):
    index = FakeIndex()
    index.go_on.clear()

    async def test(client):
        await client.initialize(tmp_path, capabilities={"window": {"workDoneProgress": True}})
        begun = await client.until(
            lambda: [one for one in client.told("$/progress") if one["value"]["kind"] == "report"]
        )
        assert "of 1000 files" in begun[0]["value"]["message"]
        client.notify("window/workDoneProgress/cancel", {"token": begun[0]["token"]})
        await client.until(lambda: client.told("$/progress")[-1]["value"]["kind"] == "end")
        (state,) = (await client.command("crosslight.status"))["repositories"]
        assert state["kind"] == "cancelled"
        index.go_on.set()
        await client.command("crosslight.reindex", True)
        await client.until(lambda: index.runs == [(tmp_path, False), (tmp_path, True)])

    serve(test, index=index)


def test_the_clients_watcher_is_asked_for_and_believed(tmp_path):
    index = FakeIndex()

    async def test(client):
        dynamic = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
        await client.initialize(tmp_path, capabilities=dynamic)
        await client.until(lambda: client.asked)
        assert client.asked[0][0] == "client/registerCapability"
        await client.until(lambda: index.runs)
        changes = [{"uri": (tmp_path / name).as_uri(), "type": 2} for name in ("a.py", "b.txt.bin", "c/d.go")]
        client.notify("workspace/didChangeWatchedFiles", {"changes": changes})
        await client.until(lambda: index.updates)
        assert index.updates == [{"a.py", "c/d.go"}]

    serve(test, index=index)


def test_a_branch_switch_is_one_more_run_and_loses_nothing(tmp_path):
    index = FakeIndex()

    async def test(client):
        dynamic = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
        await client.initialize(tmp_path, capabilities=dynamic)
        await client.until(lambda: index.runs)
        changes = [{"uri": (tmp_path / f"{n}.py").as_uri(), "type": 2} for n in range(5_000)]
        client.notify("workspace/didChangeWatchedFiles", {"changes": changes})
        await client.until(lambda: len(index.runs) == 2)
        assert index.updates == []

    serve(test, index=index)


def test_without_the_clients_watcher_files_are_followed_all_the_same(tmp_path):
    index = FakeIndex()

    async def test(client):
        await client.initialize(tmp_path)
        await client.until(lambda: index.runs)
        n = 0

        def write_until_seen():
            nonlocal n
            n += 1
            (tmp_path / "new.py").write_text(f"x = {n}")  # the watch may begin a moment later
            return index.updates

        await client.until(write_until_seen)
        assert index.updates[0] == {"new.py"}

    serve(test, index=index)


def test_a_saved_file_is_indexed(tmp_path):
    index, model = FakeIndex(), FakeModel()

    async def test(client):
        await client.initialize(tmp_path, capabilities={})
        await client.until(lambda: index.runs)
        uri = (tmp_path / "a.py").as_uri()
        client.open(uri, "x = 1")
        client.notify("textDocument/didSave", {"textDocument": {"uri": uri}})
        await client.until(lambda: index.updates)
        assert index.updates[0] == {"a.py"}
        await client.until(lambda: model.n_changes)  # what was foreseen with other definitions is void

    serve(test, index=index, model=model)


def test_folders_come_and_go(tmp_path):
    index = FakeIndex()
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()

    async def test(client):
        await client.initialize(one)
        event = {
            "added": [{"uri": two.as_uri(), "name": "two"}],
            "removed": [{"uri": one.as_uri(), "name": "one"}],
        }
        client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
        await client.until(lambda: two in [root for root, _ in index.runs])
        status = await client.command("crosslight.status")
        assert [row["root"] for row in status["repositories"]] == [str(two)]

    serve(test, index=index)


def test_the_index_is_asked_for_each_completion_of_its_repository(tmp_path):
    index, model = FakeIndex(), FakeModel()

    async def test(client):
        await client.initialize(tmp_path)
        await client.until(lambda: index.runs)
        uri = (tmp_path / "a.py").as_uri()
        client.open(uri, "x = ")
        await client.suggest(uri, 0, 4)
        assert model.requests[0].retrieve is not None

    serve(test, index=index, model=model)


def test_a_repository_is_given_up_with_the_last_notebook_in_it(tmp_path):
    shop, other = tmp_path / "shop", tmp_path / "other"
    shop.mkdir()
    (other / ".git").mkdir(parents=True)

    async def test(client):
        await client.initialize(shop)
        notebook, cell = (other / "n.ipynb").as_uri(), f"vscode-notebook-cell:{other}/n.ipynb#0"
        client.notify("notebookDocument/didOpen", {
            "notebookDocument": {
                "uri": notebook, "notebookType": "jupyter-notebook", "version": 1,
                "cells": [{"kind": 2, "document": cell}],
            },
            "cellTextDocuments": [{"uri": cell, "languageId": "python", "version": 1, "text": ""}],
        })  # fmt: skip
        for is_open in (True, False):
            status = await client.command("crosslight.status")
            roots = [str(other)] if is_open else []
            assert [row["root"] for row in status["repositories"]] == [*roots, str(shop)]
            client.notify(
                "notebookDocument/didClose",
                {"notebookDocument": {"uri": notebook}, "cellTextDocuments": [{"uri": cell}]},
            )

    serve(test, index=FakeIndex())


def test_cells_are_documents_that_see_what_stands_before_them(tmp_path):
    model = FakeModel()

    async def test(client):
        await client.initialize(tmp_path)
        notebook = (tmp_path / "n.ipynb").as_uri()
        cells = [f"vscode-notebook-cell:{tmp_path}/n.ipynb#{n}" for n in range(2)]
        items = [
            {"uri": uri, "languageId": "python", "version": 1, "text": text}
            for uri, text in zip(cells, ("import os\n", "os."), strict=True)
        ]
        client.notify("notebookDocument/didOpen", {
            "notebookDocument": {
                "uri": notebook, "notebookType": "jupyter-notebook", "version": 1,
                "cells": [{"kind": 2, "document": uri} for uri in cells],
            },
            "cellTextDocuments": items,
        })  # fmt: skip
        await client.suggest(cells[1], 0, 3)
        assert (model.requests[0].prefix, model.requests[0].path) == ("import os\n\nos.", "n.py")
        client.notify("notebookDocument/didChange", {
            "notebookDocument": {"uri": notebook, "version": 2},
            "change": {"cells": {"textContent": [{
                "document": {"uri": cells[1], "version": 2},
                "changes": [{"range": span(0, 3, 0, 3), "text": "path"}],
            }]}},
        })  # fmt: skip
        await client.suggest(cells[1], 0, 7)
        assert model.requests[1].prefix == "import os\n\nos.path"

    serve(test, model=model)


def test_other_buffers_overlay_the_disk_until_they_are_saved(tmp_path):
    index, model = FakeIndex(), FakeModel()

    async def test(client):
        await client.initialize(tmp_path)
        await client.until(lambda: index.runs)
        (tmp_path / "two.py").touch()
        one, two = ((tmp_path / name).as_uri() for name in ("one.py", "two.py"))
        client.open(one, "x = ")
        client.open(two, "")
        await client.suggest(one, 0, 4)
        assert index.overlays == []
        client.insert(two, 0, 0, "def added(): ...")
        for column in (4, 5):
            client.insert(one, 0, column, "1")
            await client.suggest(one, 0, column + 1)
        await client.until(lambda: index.overlays)
        assert index.overlays == [("two.py", "def added(): ...")]
        client.notify("textDocument/didSave", {"textDocument": {"uri": two}})
        await client.until(lambda: len(index.overlays) == 2)
        assert index.overlays[1] == ("two.py", None)

    serve(test, index=index, model=model)


def test_an_edit_of_another_buffer_is_a_reason_to_ask_anew_and_one_of_the_own_is_not(tmp_path):
    index, model = FakeIndex(), FakeModel()

    async def test(client):
        await client.initialize(tmp_path)
        await client.until(lambda: index.runs)
        (tmp_path / "two.py").touch()
        one, two, three = ((tmp_path / name).as_uri() for name in ("one.py", "two.py", "three.log"))
        client.open(one, "x = ")
        client.open(two, "")
        client.open(three, "", language="log")
        await client.suggest(one, 0, 4)
        client.insert(three, 0, 0, "1 request")
        client.insert(one, 0, 4, "d")
        assert (await client.suggest(one, 0, 5))["insertText"] == "one()"
        assert len(model.requests) == 1
        client.insert(two, 0, 0, "def added(): ...")
        assert (await client.suggest(one, 0, 5))["insertText"] == "one()"
        assert len(model.requests) == 1, "what is typed through stays"
        client.change(one, {"range": span(0, 4, 0, 5), "text": ""})
        for _ in range(2):
            await client.suggest(one, 0, 4)
        assert [request.n_edits_elsewhere for request in model.requests] == [0, 1]

    serve(test, index=index, model=model)


def test_a_buffer_that_says_something_else_than_its_file_overlays_it_from_the_start(tmp_path):
    index = FakeIndex()

    async def test(client):
        await client.initialize(tmp_path)
        await client.until(lambda: index.runs)
        (tmp_path / "two.py").write_text("def saved(): ...")
        one, two, three = ((tmp_path / name).as_uri() for name in ("one.py", "two.py", "three.py"))
        client.open(one, "x = ")
        client.open(two, "def unsaved(): ...")
        client.open(three, "def never_saved(): ...")
        await client.suggest(one, 0, 4)
        await client.until(lambda: len(index.overlays) == 2)
        assert index.overlays == [("two.py", "def unsaved(): ..."), ("three.py", "def never_saved(): ...")]

    serve(test, index=index)


def test_files_that_were_worked_in_lately_are_told_to_the_index(tmp_path):
    index = FakeIndex()

    def write(request):
        request.retrieve(RetrievalQuery("one.py", request.prefix, request.suffix, 5, 100.0))
        return "1"

    async def test(client):
        await client.initialize(tmp_path)
        await client.until(lambda: index.runs)
        uris = [(tmp_path / name).as_uri() for name in ("one.py", "two.py", "three.py")]
        for uri in uris:
            client.open(uri, "")
        client.insert(uris[1], 0, 0, "total = price_of(item)")
        client.insert(uris[0], 0, 0, "x")
        await client.suggest(uris[0], 0, 1)
        assert index.queries[0].recent_paths == ("two.py", "three.py")
        assert index.queries[0].recent_names == ("total", "price_of", "item")
        assert model.requests[0].recent_edits == ("total = price_of(item)",)

    model = FakeModel(write)
    serve(test, index=index, model=model)


def test_the_status_tells_how_far_indexing_is_and_forgets_a_folder_that_was_closed(tmp_path):
    index = FakeIndex()
    index.go_on.clear()
    shop = tmp_path / "shop"
    shop.mkdir()

    async def test(client):
        await client.initialize(shop, capabilities={"window": {"workDoneProgress": True}})

        def said(message):
            return [one for one in client.told("didChangeStatus") if one["message"] == message]

        await client.until(lambda: said("indexing shop: 35 %"))
        await client.until(
            lambda: [one for one in client.told("$/progress") if one["value"].get("percentage") == 35]
        )
        event = {"added": [], "removed": [{"uri": shop.as_uri(), "name": "shop"}]}
        client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
        await client.until(lambda: client.told("didChangeStatus")[-1]["busy"] is False)
        assert client.told("didChangeStatus")[-1]["message"] == ""
        await client.until(lambda: client.told("$/progress")[-1]["value"]["kind"] == "end")

    serve(test, index=index)


def test_what_was_suggested_while_the_repository_was_being_indexed_is_asked_for_again(tmp_path):
    index, model = FakeIndex(), FakeModel()
    index.go_on.clear()
    model.probability = 0.1  # nothing is shown, and that is remembered, too
    uri = (tmp_path / "a.py").as_uri()

    async def test(client):
        progress = {"window": {"workDoneProgress": True}}
        await client.initialize(tmp_path, options={"debounceMs": 0}, capabilities=progress)
        await client.until(lambda: client.told("$/progress"))
        client.open(uri, "x = ")
        assert await client.suggestion(uri, 0, 4, invoked=False) == {"items": []}
        client.notify("window/workDoneProgress/cancel", {"token": client.told("$/progress")[0]["token"]})
        await client.until(lambda: "cancelled" in client.told("didChangeStatus")[-1]["message"])
        assert await client.suggestion(uri, 0, 4, invoked=False) == {"items": []}
        index.go_on.set()
        await client.command("crosslight.reindex")
        await client.until(lambda: client.told("didChangeStatus")[-1]["message"] == "")
        model.probability = 0.9
        assert (await client.suggest(uri, 0, 4, invoked=False))["insertText"] == "done()"

    serve(test, index=index, model=model)
