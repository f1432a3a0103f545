import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from lsp_server.engine import parent
from lsp_server.engine.parent import watch_process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the other system's way")


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_the_end_of_a_process_is_told_once(has_pidfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_pidfd:
        monkeypatch.setattr(parent, "_pidfd", lambda _: None)
        monkeypatch.setattr(parent, "_LOOK_EVERY_S", 0.01)
    ended, calls = threading.Event(), []

    def on_end() -> None:
        calls.append(1)
        ended.set()

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        watch_process(process.pid, on_end)
        assert not ended.is_set()
        process.communicate(b"\n")
    assert ended.wait(60)
    assert calls == [1]


@pytest.mark.parametrize("pid", [None, "12", True, 0, 1, -5, 2.5])
def test_what_is_no_process_is_not_watched(pid: Any) -> None:
    n_threads = threading.active_count()
    watch_process(pid, pytest.fail)
    assert threading.active_count() == n_threads


def test_a_process_that_is_not_there_is_not_watched() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    watch_process(gone.pid, pytest.fail)
    assert "watch editor" not in {thread.name for thread in threading.enumerate()}


def test_another_users_process_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert parent._is_there(4711)
