from types import SimpleNamespace

import psutil
import pytest

from lsp_server.power import PowerWatch, on_battery


@pytest.mark.parametrize(
    ("ahead", "is_on_battery", "may"),
    [
        ("always", True, True),
        ("always", False, True),
        ("plugged-in", True, False),
        ("plugged-in", False, True),
        ("never", True, False),
        ("never", False, False),
    ],
)
def test_setting_and_supply_decide(ahead, is_on_battery, may):
    assert PowerWatch(ahead, is_on_battery=lambda: is_on_battery).may_work_ahead() is may


def test_the_supply_is_looked_at_again_after_a_while():
    times, supplies = iter([0.0, 19.0, 20.0, 39.0]), iter([True, False])
    watch = PowerWatch("plugged-in", is_on_battery=lambda: next(supplies), clock=lambda: next(times))

    assert [watch.may_work_ahead() for _ in range(4)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("battery", "expected"),
    [
        (None, False),
        (SimpleNamespace(power_plugged=True), False),
        (SimpleNamespace(power_plugged=None), False),
        (SimpleNamespace(power_plugged=False), True),
    ],
)
def test_only_a_battery_that_is_known_to_be_in_use_counts(monkeypatch, battery, expected):
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)

    assert on_battery() is expected


def test_a_system_that_cannot_tell_counts_as_plugged_in(monkeypatch):
    def fail():
        raise RuntimeError("no power supply class")

    monkeypatch.setattr(psutil, "sensors_battery", fail, raising=False)

    assert on_battery() is False
