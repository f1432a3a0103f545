import pytest

from lsp_server.engine.pulse import Pulse, State

FINE, SILENT, HANGS = State.FINE, State.SILENT, State.HANGS


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        # w: somebody waits, n: nobody does, h: it was heard since
        ("n n n n n n", [FINE] * 6),  # an engine at rest is not asked
        ("w w w w w", [FINE, SILENT, FINE, FINE, HANGS]),
        ("w w wh w w", [FINE, SILENT, FINE, SILENT, FINE]),  # it answered: it is busy
        ("w w w n w w", [FINE, SILENT, FINE, FINE, SILENT, FINE]),
        ("wh wh wh wh wh wh", [FINE] * 6),
    ],
)
def test_only_who_is_waited_for_and_stays_silent_hangs(looks: str, found: list[State]) -> None:
    pulse = Pulse(3)
    seen = []
    for look in looks.split():
        if "h" in look:
            pulse.heard()
        seen.append(pulse.look(is_waited_for="w" in look))
    assert seen == found


@pytest.mark.parametrize(
    ("efforts", "found"),
    [
        ([None] * 5, [FINE, SILENT, FINE, FINE, HANGS]),  # not known
        ([0, None, 9.0, 9.0, 9.1], [FINE, SILENT, FINE, FINE, HANGS]),  # wakes up, and does nothing
        ([0, None, 1.0, 2.0, 3.0, 4.0, 4.0, 4.0], [FINE, SILENT, FINE, FINE, FINE, FINE, FINE, HANGS]),
    ],
)
def test_who_works_does_not_hang_yet(efforts: list[float | None], found: list[State]) -> None:
    pulse = Pulse(3)
    assert [pulse.look(is_waited_for=True, effort_s=effort) for effort in efforts] == found


def test_who_works_and_never_answers_hangs_at_last() -> None:
    pulse = Pulse(3)
    states = [pulse.look(is_waited_for=True, effort_s=float(n)) for n in range(38)]
    assert states.index(HANGS) == 37
