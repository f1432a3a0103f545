"""What a status bar says."""

import math
from pathlib import Path

import pytest

from lsp_server.server.indexing import IndexState
from lsp_server.server.model_thread import ModelState
from lsp_server.server.options import SessionOptions
from lsp_server.server.pause import Pause
from lsp_server.server.show import why_inactive
from lsp_server.server.status import Status, status_of

READY = ModelState("ready", "model on cpu")
LOADING = ModelState("loading", "the model is being loaded")
MISSING = ModelState("missing", "run `crosslight model pull`")


def index(kind, name="shop", **more):
    return IndexState(Path("/code") / name, kind, **more)


CANCELLED = ModelState("cancelled", "loading the model was cancelled")
PARSING = index("indexing", phase="parse", n_done=300, n_total=1000)
CASES = {
    "ready": (READY, [index("ready", message="5 definitions")], "", Status("Normal", False, "")),
    "loading": (LOADING, [], "", Status("Normal", True, "loading the model")),
    "missing": (MISSING, [PARSING], "paused", Status("Error", True, MISSING.message)),
    "paused": (READY, [PARSING], "paused", Status("Inactive", True, "paused")),
    "paused and loading": (LOADING, [], "paused", Status("Inactive", True, "paused")),
    "not loaded": (CANCELLED, [], "", Status("Inactive", False, CANCELLED.message)),
    "paused and not loaded": (CANCELLED, [], "paused", Status("Inactive", False, "paused")),
    "indexing": (READY, [PARSING], "", Status("Normal", True, "indexing shop: 21 %")),
    "looking": (READY, [index("indexing", phase="scan")], "", Status("Normal", True, "indexing shop")),
    "two": (
        READY, [PARSING, index("indexing", "app", phase="embed", n_done=1, n_total=2)], "",
        Status("Normal", True, "indexing app: 85 %, shop: 21 %"),
    ),
    "no index": (
        READY, [index("cancelled"), index("failed", message="the disk is full")], "",
        Status("Warning", False, "shop cannot be indexed: the disk is full"),
    ),
    "given up": (READY, [index("cancelled")], "", Status("Normal", False, "indexing shop was cancelled")),
}  # fmt: skip


@pytest.mark.parametrize(("model", "indexes", "inactive", "status"), CASES.values(), ids=CASES.keys())
def test_what_explains_best_why_nothing_comes_is_said(model, indexes, inactive, status):
    assert status_of(model, indexes, inactive=inactive) == status


def test_a_completion_in_progress_is_busy():
    assert status_of(READY, [], is_completing=True) == Status("Normal", True, "")


def test_a_runs_percentage_never_falls_from_phase_to_phase():
    run = [("wait", 0), ("scan", 0), ("parse", 4), ("embed", 4), ("compact", 0)]
    told = [
        index("indexing", phase=phase, n_done=n, n_total=total).percentage
        for phase, total in run
        for n in range(total + 1)
    ]
    known = [one for one in told if one is not None]
    assert known == sorted(known)
    assert (known[0], known[-1]) == (0, 100)


PAUSES = {
    "none": (None, 0, False, None, ""),
    "until resumed": (math.inf, 10_000, True, None, "paused"),
    "just begun": (5, 0, True, 5, "paused, 5 min left"),
    "four and a half": (5, 30, True, 5, "paused, 5 min left"),
    "the last minute": (5, 290, True, 1, "paused, 1 min left"),
    "over": (5, 300, False, None, ""),
}


@pytest.mark.parametrize(("minutes", "passed_s", "is_on", "left", "text"), PAUSES.values(), ids=PAUSES.keys())
def test_a_pause_ends_by_itself_or_when_it_is_told_to(minutes, passed_s, is_on, left, text):
    now = [1e9]
    pause = Pause(lambda: now[0])
    if minutes is not None:
        pause.begin(minutes)
    now[0] += passed_s
    assert (pause.is_on, pause.minutes_left) == (is_on, left)
    assert why_inactive(SessionOptions(), pause) == text
    pause.end()
    assert not pause.is_on


def test_switched_off_is_inactive_paused_or_not():
    assert why_inactive(SessionOptions(enabled=False), Pause()) == "switched off in the editor's settings"
