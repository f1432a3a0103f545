"""The thread that asks the model: in order, one at a time, given up at once."""

import threading

import pytest
from lsp_harness import FakeModel

from lsp_server.server.model_thread import ModelThread, ModelUnavailableError
from model.errors import Cancelled, NotInstalledError

PATIENCE_S = 20


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture
def thread(model):
    thread = ModelThread(lambda: model)
    thread.start()
    yield thread
    thread.close()


def test_jobs_run_one_after_the_other_in_order(thread):
    done = []
    jobs = [thread.submit(lambda _, n=n: done.append(n)) for n in range(20)]
    for job in jobs:
        job.future.result(PATIENCE_S)
    assert done == list(range(20))


def held(model, thread, **how):
    """Submit a completion that goes on until it is cancelled, and wait until it runs."""
    model.go_on.clear()
    model.began.clear()
    job = thread.submit(lambda model: model.complete(None), **how)
    assert model.began.wait(PATIENCE_S)
    return job


def test_a_running_job_is_cancelled_in_the_middle(model, thread):
    job = held(model, thread)
    thread.cancel(job)
    with pytest.raises(Cancelled):
        job.future.result(PATIENCE_S)
    assert thread.wait_until_idle(PATIENCE_S)


def test_a_waiting_job_is_never_begun(model, thread):
    first = held(model, thread)
    begun = threading.Event()
    second = thread.submit(lambda _: begun.set())
    thread.cancel(second)
    thread.cancel(first)
    assert second.future.cancelled()
    assert thread.wait_until_idle(PATIENCE_S)
    assert not begun.is_set()


def test_cancelling_one_job_leaves_the_next_alone(model, thread):
    first = held(model, thread)
    second = thread.submit(lambda model: model.name)
    thread.cancel(first)
    thread.cancel(first)
    assert second.future.result(PATIENCE_S) == "fake"


def test_a_job_that_does_not_end_at_once_is_cancelled_by_one_thread(thread):
    began, may_end = threading.Event(), threading.Event()

    def work(_):
        began.set()
        assert may_end.wait(PATIENCE_S)

    job = thread.submit(work)
    assert began.wait(PATIENCE_S)
    for _ in range(20):
        thread.cancel(job)
    n_cancelling = sum(one.name == "cancel" for one in threading.enumerate())
    may_end.set()
    assert n_cancelling == 1
    assert thread.wait_until_idle(PATIENCE_S)


def test_what_is_computed_ahead_gives_way_at_once(model, thread):
    ahead = held(model, thread, ahead=True)
    job = thread.submit(lambda model: model.name)
    assert job.future.result(PATIENCE_S) == "fake"
    with pytest.raises(Cancelled):
        ahead.future.result(PATIENCE_S)


def test_only_the_newest_is_computed_ahead(model, thread):
    first = held(model, thread, ahead=True)
    done = threading.Event()
    thread.submit(lambda _: done.set(), ahead=True)
    assert done.wait(PATIENCE_S)
    with pytest.raises(Cancelled):
        first.future.result(PATIENCE_S)


@pytest.mark.parametrize(
    ("error", "kind"), [(NotInstalledError("pull it"), "missing"), (OSError("no"), "failed")]
)
def test_a_model_that_cannot_be_loaded_is_told_of(error, kind):
    states = []

    def load():
        raise error

    thread = ModelThread(load, states.append)
    thread.start()
    with pytest.raises(ModelUnavailableError):
        thread.submit(lambda _: None).future.result(PATIENCE_S)
    thread.close()
    assert [state.kind for state in states] == [kind]
    assert str(error) in states[0].message


def test_a_model_that_was_fetched_meanwhile_is_loaded(model):
    found = [False]

    def load():
        if not found[0]:
            raise NotInstalledError("pull it")
        return model

    thread = ModelThread(load, load_again_s=0.0)
    thread.start()
    with pytest.raises(ModelUnavailableError):
        thread.submit(lambda _: None).future.result(PATIENCE_S)
    found[0] = True
    assert thread.submit(lambda model: model.name).future.result(PATIENCE_S) == "fake"
    assert thread.state.kind == "ready"
    thread.close()


def test_a_model_that_is_said_to_be_mended_is_loaded_without_anybody_asking_it(model):
    found, states = [], []

    def load():
        if not found:
            raise NotInstalledError("pull it")
        return model

    thread = ModelThread(load, states.append)
    thread.start()
    with pytest.raises(ModelUnavailableError):
        thread.submit(lambda _: None).future.result(PATIENCE_S)
    thread.load_again()
    found.append(True)
    thread.load_again(after_failure=True)
    assert thread.submit(lambda model: model.name).future.result(PATIENCE_S) == "fake"
    thread.close()
    assert [state.kind for state in states] == ["missing", "loading", "ready"]


def test_an_error_of_a_job_is_its_askers_alone(thread):
    def fail(_):
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        thread.submit(fail).future.result(PATIENCE_S)
    assert thread.submit(lambda model: model.name).future.result(PATIENCE_S) == "fake"


def test_the_end_cancels_everything_and_closes_the_model(model):
    thread = ModelThread(lambda: model)
    thread.start()
    running, waiting = held(model, thread), thread.submit(lambda _: None)
    thread.close()
    with pytest.raises(Cancelled):
        running.future.result(0)
    assert waiting.future.cancelled()
    assert model.is_closed


class Loading:
    """A thread whose model is loaded when that is told to go on."""

    def __init__(self):
        self.go_on = threading.Event()
        self.has_begun = threading.Semaphore(0)
        self.models = []
        self.states = []
        self.thread = ModelThread(self._load, self.states.append)

    def _load(self):
        self.has_begun.release()
        assert self.go_on.wait(PATIENCE_S)
        self.models.append(FakeModel())
        return self.models[-1]

    def __enter__(self):
        self.thread.start()
        assert self.has_begun.acquire(timeout=PATIENCE_S)
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self.thread.close()

    @property
    def kinds(self):
        return [state.kind for state in self.states]


def test_a_load_that_is_cancelled_leaves_no_model_and_nobody_waiting():
    with Loading() as loading:
        waiting = loading.thread.submit(lambda model: model.name)
        loading.thread.cancel_loading()
        later = loading.thread.submit(lambda model: model.name)
        for job in (waiting, later):
            with pytest.raises(ModelUnavailableError):
                job.future.result(0)
    assert loading.kinds == ["cancelled"]
    assert [model.is_closed for model in loading.models] == [True]


def test_what_was_cancelled_is_loaded_when_it_is_wanted():
    with Loading() as loading:
        loading.thread.cancel_loading()
        loading.go_on.set()
        loading.thread.load_again()
        assert loading.thread.submit(lambda model: model.name).future.result(PATIENCE_S) == "fake"
        loading.thread.cancel_loading()
        assert loading.thread.state.kind == "ready", "it is too late to cancel"
    assert loading.kinds == ["cancelled", "loading", "ready"]


def test_what_is_wanted_again_while_it_is_still_being_loaded_is_not_loaded_twice():
    with Loading() as loading:
        loading.thread.cancel_loading()
        loading.thread.load_again()
        job = loading.thread.submit(lambda model: model.name)
        loading.go_on.set()
        assert job.future.result(PATIENCE_S) == "fake"
        assert len(loading.models) == 1


def test_to_load_again_what_was_not_cancelled_does_nothing(thread):
    assert thread.submit(lambda model: model.name).future.result(PATIENCE_S) == "fake"
    thread.load_again()
    assert thread.state.kind == "ready"
