"""A session's way through what changes while it waits."""

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from lsp_server.server.documents import Documents
from lsp_server.server.indexing import IndexState
from lsp_server.server.language_server import CrosslightServer
from lsp_server.server.model_thread import ModelState, ModelUnavailableError
from lsp_server.server.options import read_options
from lsp_server.server.places import WorkspaceFolders
from lsp_server.server.session import Session


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("failed", "model_failed"), ("cancelled", "model_cancelled"), ("ready", "model_loading")],
)
def test_a_model_that_was_not_there_is_the_reason_also_when_it_is_there_by_now(kind, reason):
    refused = Future()
    refused.set_exception(ModelUnavailableError())
    model = SimpleNamespace(state=ModelState(kind, ""), submit=lambda _: SimpleNamespace(future=refused))
    host = SimpleNamespace(model=model, statistics=None)
    session = Session(host, Documents("utf-16", WorkspaceFolders()), read_options(None).options)
    with pytest.raises(Exception, match=f"^{reason}$"):
        asyncio.run(session._complete(None))


def test_what_was_told_of_a_repository_before_it_was_closed_here_is_not_shown(tmp_path):
    index = SimpleNamespace(cancel_run=lambda: None)
    server = CrosslightServer(SimpleNamespace(index_of=lambda _: index, statistics=None))
    shown = []
    server.editor = SimpleNamespace(on_index=lambda state, _: shown.append(state.kind))
    server._note_index(IndexState(tmp_path, "indexing"))
    server._roots.add(tmp_path)
    server._note_index(IndexState(tmp_path, "ready"))
    assert shown == ["ready"]
