"""Who has the model, and who has to give it up."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from model.errors import Cancelled
from model.turns import ModelTurns, Turn, Urgency

TIMEOUT_S = 30
URGENCIES = list(Urgency)


class FakeModel:
    """Runs until its turn is cancelled."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_cancelled = False
        self.running = threading.Event()

    def cancel_turn(self) -> None:
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()

    def close_turn(self) -> None:
        with self._changed:
            self._is_cancelled = False
            self.running.clear()

    def run(self) -> None:
        """Run for ever."""
        with self._changed:
            self.running.set()
            assert self._changed.wait_for(lambda: self._is_cancelled, TIMEOUT_S)
            raise Cancelled

    def step(self) -> None:
        """Run to the end at once."""
        with self._changed:
            if self._is_cancelled:
                raise Cancelled


class Bench:
    """Turns at one model, taken in threads."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.model, self.turns = FakeModel(), ModelTurns()
        self._pool = pool

    def hold(self, turn: Turn) -> None:
        with self.turns.hold(turn, self.model):
            self.model.run()

    def start(self, urgency: Urgency) -> tuple[Turn, Future[None]]:
        """Return a turn that runs."""
        turn = Turn(urgency)
        future = self._pool.submit(self.hold, turn)
        assert self.model.running.wait(TIMEOUT_S)
        return turn, future


@pytest.fixture
def bench():
    with ThreadPoolExecutor(8) as pool:
        yield Bench(pool)


@pytest.mark.parametrize("held", URGENCIES)
@pytest.mark.parametrize("wanted", URGENCIES)
def test_the_more_urgent_ends_the_less_urgent_and_nobody_else(bench, held, wanted):
    running, future = bench.start(held)
    if wanted < held:
        with bench.turns.hold(Turn(wanted), bench.model):
            assert running.is_cancelled
            with pytest.raises(Cancelled):
                future.result(TIMEOUT_S)
        return
    waiting = Turn(wanted)
    waits = bench._pool.submit(bench.hold, waiting)
    bench.turns.cancel(waiting)
    with pytest.raises(Cancelled):
        waits.result(TIMEOUT_S)
    assert not running.is_cancelled
    bench.turns.cancel(running)
    with pytest.raises(Cancelled):
        future.result(TIMEOUT_S)


def test_a_turn_that_was_cancelled_before_it_began_does_not_begin(bench):
    turn = Turn(Urgency.REQUEST)
    bench.turns.cancel(turn)
    with pytest.raises(Cancelled), bench.turns.hold(turn, bench.model):
        pytest.fail("it began")


def test_cancelling_a_turn_that_is_over_concerns_nobody_else(bench):
    over = Turn(Urgency.REQUEST)
    with bench.turns.hold(over, bench.model):
        pass
    with bench.turns.hold(Turn(Urgency.REQUEST), bench.model):
        bench.turns.cancel(over)
        bench.model.step()


def test_a_cancelled_turn_ends_whatever_it_begins_later(bench):
    turn = Turn(Urgency.REQUEST)
    with bench.turns.hold(turn, bench.model):
        bench.turns.cancel(turn)
        for _ in range(2):
            with pytest.raises(Cancelled):
                bench.model.step()


def test_what_fails_in_its_turn_leaves_the_model_to_others(bench):
    with pytest.raises(ZeroDivisionError), bench.turns.hold(Turn(Urgency.REQUEST), bench.model):
        raise ZeroDivisionError
    with bench.turns.hold(Turn(Urgency.WARMING), bench.model):
        bench.model.step()


class ToldList(list[Turn]):
    """Tells when something is appended."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Semaphore(0)

    def append(self, one: Turn) -> None:
        super().append(one)
        self.told.release()


def test_the_most_urgent_comes_first_and_of_equals_the_first(bench):
    """Each waits before the next one comes; all are let go at once."""
    holder, _ = bench.start(Urgency.REQUEST)
    order: list[int] = []

    def take(number: int, urgency: Urgency) -> None:
        with bench.turns.hold(Turn(urgency), bench.model):
            order.append(number)

    asked = [Urgency.WARMING, Urgency.AHEAD, Urgency.REQUEST, Urgency.AHEAD, Urgency.REQUEST]
    futures = []
    bench.turns._waiting = waiting = ToldList()
    for number, urgency in enumerate(asked):
        futures.append(bench._pool.submit(take, number, urgency))
        waiting.told.acquire(timeout=TIMEOUT_S)
    bench.turns.cancel(holder)
    for future in futures:
        future.result(TIMEOUT_S)
    assert order == [2, 4, 1, 3, 0]


class Storm:
    """Requests, some of which are cancelled, while less urgent work is tried until it is done."""

    N_EACH = 150

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.asked: list[Turn] = []
        self.outcomes: list[str] = []
        self.alone = threading.Lock()

    def ask(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(self.N_EACH):
            turn = Turn(Urgency.REQUEST)
            self.asked.append(turn)
            try:
                self._run(turn, rng.randrange(4))
            except Cancelled:
                assert turn.is_cancelled
                self.outcomes.append("cancelled")
            else:
                self.outcomes.append("finished")

    def insist(self, urgency: Urgency) -> None:
        n_done = 0
        while n_done < self.N_EACH:
            with suppress(Cancelled):
                self._run(Turn(urgency), 20)
                n_done += 1

    def cancel(self) -> None:
        for _ in range(2 * self.N_EACH):
            if self.asked:
                self.bench.turns.cancel(random.choice(self.asked))

    def _run(self, turn: Turn, n_steps: int) -> None:
        with self.bench.turns.hold(turn, self.bench.model):
            assert self.alone.acquire(blocking=False), "two have the model"
            try:
                for _ in range(n_steps):
                    assert self.bench.turns._held is turn
                    self.bench.model.step()
            finally:
                self.alone.release()


def test_a_storm_of_turns_loses_none_and_ends(bench):
    storm, submit = Storm(bench), bench._pool.submit
    futures = [submit(storm.ask, seed) for seed in range(3)]
    futures += [submit(storm.insist, urgency) for urgency in (Urgency.AHEAD, Urgency.WARMING)]
    futures.append(submit(storm.cancel))
    for future in futures:
        future.result(TIMEOUT_S)
    assert len(storm.outcomes) == 3 * Storm.N_EACH
    assert not bench.turns._waiting
    assert bench.turns._held is None
