import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import INVOICING, HashingEmbedder, wait_for, write_files

from indexer.open_index import EmbedderSource, OpenIndex
from indexer.repository import IndexFolder
from indexer.vectors import ChromaServer, VectorStore


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ChromaServer]:
    port = free_port()
    program = "from chromadb.cli.cli import app; app()"
    command = [sys.executable, "-c", program, "run", "--path", str(tmp_path / "server"), "--port", str(port)]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        wait_for(lambda: answers(port))
        yield ChromaServer("127.0.0.1", port)
    finally:
        process.kill()
        process.wait()


def test_vectors_can_live_on_a_server_without_any_source(tmp_path: Path, server: ChromaServer) -> None:
    root = write_files(tmp_path / "repository", INVOICING)
    index = IndexFolder.of(tmp_path / "index", root)
    with OpenIndex(index, EmbedderSource(HashingEmbedder), server) as opened:
        summary = opened.build(on_progress=lambda _: None, cancelled=lambda: False)
        assert summary.notes == ()
        assert summary.n_embedded == summary.n_definitions > 0
        assert opened.search("days an invoice is overdue", 3)[0].definition.name == "overdue_days"
        assert opened._vectors is not None
        held = opened._vectors.store._collection.get()
    assert held["documents"] is None or not any(held["documents"])
    assert not index.vectors_folder.exists()


def test_dropping_leaves_nothing_on_the_server(tmp_path: Path, server: ChromaServer) -> None:
    with VectorStore.open(server, collection="crosslight-a", embedder="e") as store:
        store.put(["one"], np.ones((1, 4), np.float32), ["a.py"])
    VectorStore.drop(server, "crosslight-a")
    VectorStore.drop(server, "crosslight-a")  # gone already
    with VectorStore.open(server, collection="crosslight-a", embedder="e") as store:
        assert store.was_emptied
        assert store.ids() == set()
