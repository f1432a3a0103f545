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
