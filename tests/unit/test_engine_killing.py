import os
import subprocess
import sys
import time

import pytest

from lsp_server.engine.killing import effort_of, is_at_work

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these stop processes by signals")


def test_effort_grows_with_what_a_process_does() -> None:
    before = effort_of(os.getpid())
    assert before is not None
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    after = effort_of(os.getpid())
    assert after is not None
    assert after - before > 0.05


def test_of_a_process_that_is_gone_or_not_known_nothing_is_told() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert effort_of(process.pid) is None
    assert effort_of(None) is None
    assert not is_at_work(None)


@pytest.mark.parametrize(("program", "works"), [("while True: pass", True), ("input()", False)])
def test_a_process_that_computes_is_told_from_one_that_waits(program: str, works: bool) -> None:
    command = [sys.executable, "-c", f"print(flush=True)\n{program}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            assert is_at_work(process.pid) is works
        finally:
            process.kill()
