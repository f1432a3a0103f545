import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.rendezvous import Rendezvous
from lsp_server.engine.errors import EngineError, GoneError, HangsError
from lsp_server.engine.finder import EngineFinder, engine_meeting, greet, is_answered
from lsp_server.engine.framing import header_of
from lsp_server.engine.one_at_a_time import one_at_a_time
from lsp_server.paths import Folders

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these look at Unix sockets")


@pytest.fixture
def meeting(tmp_path: Path) -> Rendezvous:
    return engine_meeting(folders_in(tmp_path))


def folders_in(folder: Path, models: str = "models") -> Folders:
    return Folders(folder / "config", folder / models, folder / "cache" / "index", folder / "run")


class Stranger:
    """Listens in an engine's place, and does as it is told with one connection."""

    def __init__(self, meeting: Rendezvous, behave: Callable[[socket.socket], object]) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(meeting.address)
        self._listener.listen()
        self._behave = behave
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connected, _ = self._listener.accept()
        with connected:
            self._behave(connected)

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


def answer(body: bytes) -> Callable[[socket.socket], object]:
    return lambda connected: (connected.recv(1000), connected.sendall(header_of(body) + body))


@pytest.mark.parametrize(
    ("behave", "error", "why"),
    [
        (answer(b'{"id": 0, "result": {"protocol": 0}}'), EngineError, "no engine"),
        (answer(b'{"id": 0, "result": null}'), EngineError, "no engine"),
        (answer(b"not json"), EngineError, "no engine"),
        # Reads before it closes: unread bytes make its end a reset, which may overtake what was said.
        (
            lambda connected: (connected.sendall(b"220 smtp ready\r\n"), connected.recv(1000)),
            EngineError,
            "no engine",
        ),
        (lambda connected: connected.recv(1000), GoneError, "ending"),
        (lambda _: None, GoneError, "ending"),
    ],
)
def test_what_is_no_engine_is_told_from_one_that_ends(
    meeting: Rendezvous, behave: Callable[[socket.socket], object], error: type[Exception], why: str
) -> None:
    stranger = Stranger(meeting, behave)
    with pytest.raises(error, match=why) as caught:
        greet(meeting, "editor")
    assert type(caught.value) is error
    stranger.close()


def test_what_does_not_answer_is_not_waited_for_for_ever(
    meeting: Rendezvous,
) -> None:
    done = threading.Event()
    stranger = Stranger(meeting, lambda _: done.wait(30))
    with pytest.raises(HangsError, match="did not answer") as caught:
        greet(meeting, "editor", 0.05)
    assert caught.value.pid == os.getpid()
    assert f"process {os.getpid()}" in str(caught.value)
    done.set()
    stranger.close()


def test_where_nobody_listens_there_is_no_engine(meeting: Rendezvous) -> None:
    assert greet(meeting, "status") is None
    assert not is_answered(meeting)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(meeting.address)
    assert greet(meeting, "status") is None


def test_a_start_that_takes_too_long_is_ended_and_said(meeting: Rendezvous) -> None:
    command = [sys.executable, "-c", "import signal; print('loading', flush=True); signal.pause()"]
    with pytest.raises(EngineError, match="did not answer within"):
        EngineFinder(meeting, command=command, start_s=0.3).connect()


@pytest.mark.parametrize(
    ("other_folders", "version"), [(True, None), (False, "99.0")], ids=["models", "version"]
)
def test_what_differs_has_an_engine_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_folders: bool, version: str | None
) -> None:
    here = engine_meeting(folders_in(tmp_path))
    assert engine_meeting(folders_in(tmp_path)) == here
    if version is not None:
        monkeypatch.setattr("lsp_server.__version__", version)
    other = engine_meeting(folders_in(tmp_path, "other" if other_folders else "models"))
    assert other.address != here.address
    assert other.lock_file != here.lock_file


def test_one_process_after_the_other_is_let_in(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with one_at_a_time(file, 1), pytest.raises(TimeoutError), one_at_a_time(file, 0.05):
        pass
    with one_at_a_time(file, 0):
        pass


def test_a_process_that_dies_inside_lets_the_next_one_in(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    program = (
        "import os; from pathlib import Path; from lsp_server.engine.one_at_a_time import one_at_a_time\n"
        f"with one_at_a_time(Path({str(file)!r}), 10):\n    print('inside', flush=True); os._exit(0)"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert ran.stdout == b"inside\n"
    with one_at_a_time(file, 0):
        pass


def test_an_engine_that_is_silent_but_works_is_not_killed(meeting: Rendezvous) -> None:
    program = (
        "import socket, sys\n"
        "listener = socket.socket(socket.AF_UNIX)\n"
        "listener.bind(sys.argv[1])\n"
        "listener.listen()\n"
        "print(flush=True)\n"
        "while True: pass\n"
    )
    command = [sys.executable, "-c", program, meeting.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        try:
            with pytest.raises(HangsError, match=f"process {busy.pid}"):
                EngineFinder(meeting, silent_s=0.05).connect()
            assert busy.poll() is None
        finally:
            busy.kill()
