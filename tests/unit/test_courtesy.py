"""A run holds still for completions, and goes on all the same."""

import pytest

from indexer.courtesy import Courtesy


class Time:
    """A clock that waiting moves; some things happen while somebody waits."""

    def __init__(self):
        self.now = 0.0
        self.meanwhile = []
        self.is_stopped = False

    def wait(self, timeout):
        self.now += timeout
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return self.is_stopped


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def courtesy(time):
    return Courtesy(time, lambda: time.now)


def test_nobody_is_waited_for_where_nobody_asked(time, courtesy):
    courtesy.give_way()
    assert time.now == 0.0


def test_after_a_retrieval_it_holds_still_for_a_moment(time, courtesy):
    courtesy.asked()
    time.now = 0.1
    courtesy.give_way()
    assert time.now == pytest.approx(0.3)
    time.now = 2.0
    courtesy.give_way()
    assert time.now == 2.0


def test_somebody_who_never_pauses_only_makes_it_slower(time, courtesy):
    time.meanwhile = [courtesy.asked] * 100
    courtesy.asked()
    courtesy.give_way()
    assert time.now == pytest.approx(1.0)
    courtesy.give_way()  # it has to work before it holds still again
    assert time.now == pytest.approx(1.0)
    time.now += 0.25
    courtesy.asked()
    courtesy.give_way()
    assert time.now > 1.5


def test_the_end_is_not_waited_for(time, courtesy):
    time.is_stopped = True
    time.meanwhile = [courtesy.asked] * 100
    courtesy.asked()
    courtesy.give_way()
    assert time.now == pytest.approx(0.3)
