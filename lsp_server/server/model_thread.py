"""The one thread in which a model is loaded and asked, for all connections of a process.

A model call takes as long as it takes, so none is ever made in the event loop. Jobs run one after the other;
what is computed ahead of the user runs only while nobody waits, and gives way at once. Knows neither what is
completed nor who asks.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, TypeVar

from lsp_server.server.completing import CompletingModel
from model.errors import Cancelled, NotInstalledError

__all__ = ["Job", "ModelState", "ModelThread", "ModelUnavailableError"]

_T = TypeVar("_T")

_LOAD_AGAIN_S: Final = 5.0
"""After a model could not be loaded, it is not tried again for so long; whoever asks is told at once."""
_ASK_AGAIN_S: Final = 0.004
"""Between two tries to end a run, which may just be about to begin or lie between two passes."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """Whether the model can be asked."""

    kind: Literal["loading", "ready", "missing", "failed", "cancelled"]
    """`cancelled`: the user did not want it to be loaded; it is when they ask for it."""
    message: str
    """For people: the model's name and provider, or what went wrong and its cure."""


_LOADING: Final = ModelState("loading", "the model is being loaded")
_CANCELLED: Final = ModelState(
    "cancelled", "loading the model was cancelled; resuming, or asking for a suggestion by hand, loads it"
)


class ModelUnavailableError(Exception):
    """The model could not be loaded; the state says why."""


@dataclass(slots=True, eq=False)
class Job(Generic[_T]):
    """One question to the model."""

    work: Callable[[CompletingModel], _T]
    is_ahead: bool
    """Whether nobody waits for it."""
    future: Future[_T] = field(default_factory=Future)
    is_cancelled: threading.Event = field(default_factory=threading.Event)


class ModelThread:
    """Loads a model in the background and asks it; its methods may be called from any thread."""

    def __init__(
        self,
        load: Callable[[], CompletingModel],
        on_change: Callable[[ModelState], None] = lambda _: None,
        *,
        load_again_s: float = _LOAD_AGAIN_S,
    ) -> None:
        """Make the thread; `start` starts it.

        Args:
            load: Called in the thread; again after it failed, when somebody asks again.
            on_change: Told each new state, in the thread or in that of who cancels or loads again.
            load_again_s: How long after a failure nobody's asking loads it again.
        """
        self._load_again_s = load_again_s
        self._load = load
        self._on_change = on_change
        self._changed = threading.Condition()
        self._jobs: deque[Job[object]] = deque()
        self._current: Job[object] | None = None
        self._model: CompletingModel | None = None
        self._state = _LOADING
        self._is_stopping = False
        self._tried_at = 0.0
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    @property
    def state(self) -> ModelState:
        """Whether the model can be asked."""
        return self._state

    def cancel_loading(self) -> None:
        """Have a model that is being loaded dropped as soon as it is; who waits for it goes without now.

        Of no effect at any other time.
        """
        with self._changed:
            if self._state is _LOADING:
                self._become(_CANCELLED)
                while self._jobs:
                    self._refuse(self._jobs.popleft())
                self._changed.notify_all()

    def load_again(self, *, after_failure: bool = False) -> None:
        """Load the model after all, if that was cancelled, or failed and is said to be mended."""
        with self._changed:
            if self._state is _CANCELLED or (after_failure and self._state.kind in {"missing", "failed"}):
                self._become(_LOADING)
                self._changed.notify_all()

    @property
    def n_jobs(self) -> int:
        """How many questions wait or are being answered."""
        with self._changed:
            return len(self._jobs) + (self._current is not None)

    def submit(self, work: Callable[[CompletingModel], _T], *, ahead: bool = False) -> Job[_T]:
        """Ask the model as soon as it is loaded and free.

        Args:
            work: Called in the thread.
            ahead: Nobody waits for it: it comes after all others, and is cancelled by them.

        Returns:
            The job; its future fails with ModelUnavailableError where there is no model, and with Cancelled
            if it was cancelled.
        """
        job: Job[_T] = Job(work, ahead)
        with self._changed:
            for other in [one for one in (*self._jobs, self._current) if one is not None and one.is_ahead]:
                self._cancel(other)  # the newest one ahead is the only one that is still of use
            if self._state is _CANCELLED:
                self._refuse(job)  # type: ignore[arg-type]  # its future only fails
                return job
            self._jobs.append(job)  # type: ignore[arg-type]  # it is only run
            self._changed.notify_all()
        return job

    def cancel(self, job: Job[_T]) -> None:
        """Give up a job: it is not begun, or ends in the middle of a run."""
        with self._changed:
            self._cancel(job)  # type: ignore[arg-type]

    def wait_until_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing runs or waits; return whether it is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs and self._current is None, timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Cancel everything, close the model and end the thread; a model that is being loaded is left."""
        with self._changed:
            self._is_stopping = True
            for job in (*self._jobs, self._current):
                if job is not None:
                    self._cancel(job)
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _cancel(self, job: Job[object]) -> None:
        if job.is_cancelled.is_set():
            return  # each keystroke may try that again
        job.is_cancelled.set()
        if job in self._jobs:
            self._jobs.remove(job)
            if not job.future.cancel():
                job.future.set_exception(Cancelled())
        elif job is self._current:
            threading.Thread(target=self._insist, args=(job,), name="cancel", daemon=True).start()

    def _insist(self, job: Job[object]) -> None:
        """Cancel the model's run until the job is over; never that of a later one."""
        with self._changed:
            while self._current is job and self._model is not None:
                self._model.cancel()
                self._changed.wait(_ASK_AGAIN_S)

    def _work(self) -> None:
        while True:
            if self._state is _LOADING and not self._is_stopping:
                self._try_to_load()
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._is_stopping or self._state is _LOADING)
                if self._is_stopping:
                    break
                if self._state is _LOADING:
                    continue
                job = self._next()
                self._current = job
            if self._model is None and time.monotonic() - self._tried_at > self._load_again_s:
                self._try_to_load()
            self._run(job)
            with self._changed:
                self._current = None
                self._changed.notify_all()
        if self._model is not None:
            self._model.close()

    def _next(self) -> Job[object]:
        """Return the first one that somebody waits for, or else one that nobody does."""
        job = next((one for one in self._jobs if not one.is_ahead), self._jobs[0])
        self._jobs.remove(job)
        return job

    def _run(self, job: Job[object]) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            if job.is_cancelled.is_set():
                raise Cancelled  # noqa: TRY301 - the same as if it had begun
            if self._model is None:
                raise ModelUnavailableError(self._state.message)  # noqa: TRY301
            result = job.work(self._model)
        except BaseException as error:  # noqa: BLE001 - whoever waits for it is told
            job.future.set_exception(error)
        else:
            job.future.set_result(result)

    def _refuse(self, job: Job[object]) -> None:
        if job.future.set_running_or_notify_cancel():
            job.future.set_exception(ModelUnavailableError(self._state.message))

    def _try_to_load(self) -> None:
        model: CompletingModel | None = None
        try:
            model = self._load()
        except NotInstalledError as error:
            state = ModelState("missing", str(error))
        except Exception as error:  # noqa: BLE001 - a damaged file, a missing driver: whoever asks is told
            state = ModelState("failed", f"the model cannot be loaded: {error}")
        else:
            state = ModelState("ready", f"{model.name} on {model.provider}")
        with self._changed:
            self._tried_at = time.monotonic()
            if self._state is not _CANCELLED:
                self._model = model
                self._become(state)
                return
        if model is not None:
            model.close()

    def _become(self, state: ModelState) -> None:
        if state != self._state:
            self._state = state
            self._on_change(state)
