"""How long to wait for the next keystroke."""

import pytest

from lsp_server.server.pace import Pace


def typed(interval_ms, latency_ms):
    pace = Pace()
    for n in range(200):
        pace.key(n * interval_ms - 199 * interval_ms)  # the last one at 0
        pace.answered(latency_ms)
    return pace


@pytest.mark.parametrize(
    ("interval_ms", "latency_ms", "wait_ms"),
    [
        (200, 50, 0),  # the answer is there long before the next key
        (200, 100, 0),
        (200, 200, 100),
        (200, 1_000, 180),  # hardly any run would end
        (900, 5_000, 250),  # nobody waits longer than this
    ],
)
def test_the_wait_follows_typing_and_latency(interval_ms, latency_ms, wait_ms):
    assert typed(interval_ms, latency_ms).wait_ms(0.0) == pytest.approx(wait_ms, abs=2)


def test_a_wait_is_never_longer_than_the_time_between_two_keys():
    for interval_ms in range(20, 900, 40):
        for latency_ms in range(10, 3_000, 170):
            pace = typed(interval_ms, latency_ms)
            assert 0 <= pace.wait_ms(0.0) <= interval_ms + 1


def test_a_pause_is_not_typing():
    pace = typed(100, 100)
    before = pace.interval_ms
    pace.key(1e9)
    assert pace.interval_ms == before


def test_what_an_editor_waited_itself_counts():
    pace = typed(200, 1_000)
    assert pace.wait_ms(100.0) == pytest.approx(80, abs=2)
    assert pace.wait_ms(200.0) == 0
    assert Pace().wait_ms(5.0) >= 0
