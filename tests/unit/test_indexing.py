"""A repository's index in the background: nothing that changes is lost, whatever fails."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lsp_harness import FakeIndex

from indexer.errors import WorkerError
from indexer.report import VECTORS_TO_BE_MADE
from indexer.types import RelatedQuery, RetrievalQuery, RetrievalResult
from lsp_server.server.indexing import MOST_FILES_AT_ONCE, RepositoryIndex

ROOT = Path("/nowhere")
PATIENCE_S = 20
QUERY = RetrievalQuery("a.py", "", "", 1, 1.0)


class Started:
    def __init__(self, asker, connect=None):
        self.states = []
        self.index = RepositoryIndex(ROOT, connect or (lambda: asker), self.states.append, settle_s=0.0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.index.close()

    def until(self, condition):
        """Wait until something is so."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline
            self.index.wait_until_idle(0.01)

    def kinds(self):
        return list(dict.fromkeys(state.kind for state in self.states))


def test_it_begins_with_a_run_and_says_what_it_holds():
    asker = FakeIndex()
    with Started(asker) as started:
        assert started.index.wait_until_idle(PATIENCE_S)
        assert started.kinds() == ["indexing", "ready"]
        assert started.index.state.message == "5 definitions in 2 files"
        assert asker.runs == [(ROOT, False)]


def test_changed_files_are_read_and_what_changes_meanwhile_is_not_lost():
    asker = FakeIndex()
    with Started(asker) as started:
        assert started.index.wait_until_idle(PATIENCE_S)
        asker.go_on.clear()
        started.index.reindex()
        started.until(lambda: len(asker.runs) == 2)
        started.index.change(["a.py"])
        started.index.change(["b.py", "a.py"])
        asker.go_on.set()
        assert started.index.wait_until_idle(PATIENCE_S)
        assert asker.updates == [{"a.py", "b.py"}]


def test_the_state_says_what_the_index_holds_after_an_update_too():
    asker = FakeIndex()
    with Started(asker) as started:
        assert started.index.wait_until_idle(PATIENCE_S)
        n_told = len(started.states)
        started.index.change(["a.py"])
        assert started.index.wait_until_idle(PATIENCE_S)
        assert started.index.state.message == "6 definitions in 3 files"
        asker.no_vectors = "no model"
        started.index.change(["b.py"])
        assert started.index.wait_until_idle(PATIENCE_S)
        assert started.index.state.message == "7 definitions in 4 files; no vectors: no model"
        assert len(started.states) == n_told  # each keystroke's save is nothing to tell


@pytest.mark.parametrize(("why", "n_runs"), [(VECTORS_TO_BE_MADE, 2), ("no model is installed", 1)])
def test_a_retrieval_that_lacks_vectors_has_them_made_as_soon_as_they_can_be(why, n_runs):
    asker = FakeIndex()
    with Started(asker) as started:
        assert started.index.wait_until_idle(PATIENCE_S)
        asker.no_vectors = why
        started.index.retrieve(QUERY)
        assert started.index.wait_until_idle(PATIENCE_S)
        assert len(asker.runs) == n_runs


def test_many_changed_files_are_a_run():
    asker = FakeIndex()
    with Started(asker) as started:
        assert started.index.wait_until_idle(PATIENCE_S)
        started.index.change(f"{n}.py" for n in range(MOST_FILES_AT_ONCE + 1))
        assert started.index.wait_until_idle(PATIENCE_S)
        assert (len(asker.runs), asker.updates) == (2, [])


def test_a_failed_update_becomes_a_run():
    asker = FakeIndex()
    with Started(asker) as started:
        assert started.index.wait_until_idle(PATIENCE_S)
        asker.failures.append(WorkerError("it died"))
        started.index.change(["a.py"])
        started.until(lambda: started.index.state.kind == "failed")
        assert started.index.state.message == "it died"
        started.index.reindex()  # does not wait for the next try
        assert started.index.wait_until_idle(PATIENCE_S)
        assert started.index.state.kind == "ready"
        assert len(asker.runs) == 2


def test_a_run_is_cancelled_and_taken_up_again():
    asker = FakeIndex()
    asker.go_on.clear()
    with Started(asker) as started:
        started.until(lambda: started.index.state.n_total)
        started.index.cancel_run()
        assert started.index.wait_until_idle(PATIENCE_S)
        assert started.index.state.kind == "cancelled"
        asker.go_on.set()
        started.index.reindex(force=True)
        assert started.index.wait_until_idle(PATIENCE_S)
        assert asker.runs == [(ROOT, False), (ROOT, True)]


def test_before_it_is_open_nothing_is_retrieved_and_nothing_waits():
    def connect():
        raise WorkerError("no worker answers")

    with Started(None, connect) as started:
        with pytest.raises(WorkerError, match="not open yet"):
            started.index.retrieve(QUERY)
        with pytest.raises(WorkerError, match="not open yet"):
            started.index.related(RelatedQuery("a.py", 1))
        with ThreadPoolExecutor(1) as aside:
            started.index.buffers.put("a.py", "x", aside)


def test_buffers_that_were_edited_before_it_was_open_are_told_of_then():
    asker, may_connect, told = FakeIndex(), threading.Event(), []

    def connect():
        assert may_connect.wait(PATIENCE_S)
        return asker

    asker.overlay = lambda _, path, text: told.append((path, text))
    with Started(asker, connect) as started:
        with ThreadPoolExecutor(1) as aside:
            for path, text in (("a.py", "x"), ("b.py", "y"), ("a.py", "z")):
                started.index.buffers.put(path, text, aside)
        may_connect.set()
        assert started.index.wait_until_idle(PATIENCE_S)
    assert sorted(told) == [("a.py", "z"), ("b.py", "y")]


def test_a_buffer_that_was_just_edited_is_read_before_anything_is_retrieved():
    asker = FakeIndex()
    order = []
    asker.overlay = lambda *_: order.append("overlay")
    asker.retrieve = lambda *_: order.append("retrieve") or RetrievalResult((), (), {}, {})
    with Started(asker) as started, ThreadPoolExecutor(1) as aside:
        started.until(lambda: asker.runs)
        started.index.buffers.put("a.py", "x", aside)
        started.index.retrieve(QUERY)
    assert order == ["overlay", "retrieve"]


def test_retrieval_goes_past_a_run():
    asker = FakeIndex()
    asker.go_on.clear()
    with Started(asker) as started:
        started.until(lambda: asker.runs)
        started.index.retrieve(QUERY)
        assert asker.queries == [QUERY]
        asker.go_on.set()
