"""Editors, serves and engines as processes, over real sockets; only the language server is a fake."""

import contextlib
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
from fake_engine import PATIENCE_S, Editor, engine_command, folders_in, meeting_in, serve_command
from fakes import wait_for as wait_until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from lsp_server.engine.channels import SocketChannel
from lsp_server.engine.finder import greet
from lsp_server.engine.framing import header_of
from lsp_server.engine.status import Stopped, engine_status, stop_engine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these look at Unix sockets and signals")

URI = "file:///a.py"
BROKEN = [sys.executable, "-c", "raise SystemExit('the model is on fire')"]


def wait_for(condition: Callable[[], object]) -> None:
    wait_until(condition, PATIENCE_S)  # each may take a few processes' starts, on a busy machine


class Place:
    """The folders of one test, its editors and its engines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folders = folders_in(folder)
        self.editors: list[Editor] = []

    def start(self, *arguments: str, **options: Any) -> Editor:
        editor = Editor(serve_command(self.folder, arguments, **options))
        self.editors.append(editor)
        return editor

    def editor(self, *arguments: str, **options: Any) -> Editor:
        editor = self.start(*arguments, **options)
        editor.begin()
        return editor

    def engines(self) -> list[int]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                # a serve's command holds its engine's, but after its own
                called = re.search(r"fake_engine\.(\w+)\((.*)", "\n".join(process.cmdline()))
                if called and called[1] == "run_fake_engine" and str(self.folder) in called[2]:
                    found.append(process.pid)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for editor in place.editors:
        editor.close()
    for pid in place.engines():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not place.engines())


def test_an_editor_gets_an_engine_and_a_second_one_shares_it(place: Place) -> None:
    first, second = place.editor(), place.editor()
    first.open(URI, "first")
    second.open(URI, "second")
    assert first.request("fake/texts") == {URI: [1, "first"]}
    assert second.request("fake/texts") == {URI: [1, "second"]}
    assert first.request("fake/pid") == second.request("fake/pid")
    assert first.end() == 0
    assert second.request("fake/texts") == {URI: [1, "second"]}


def test_eight_serves_at_once_start_one_engine(place: Place) -> None:
    editors = [place.start() for _ in range(8)]
    for editor in editors:
        editor.begin()
    assert len({editor.request("fake/pid") for editor in editors}) == 1
    assert len(place.engines()) == 1


def test_an_engine_killed_in_the_middle_of_a_request_is_replaced_unseen(place: Place) -> None:
    editor, other = place.editor(), place.editor()
    editor.open(URI, "x = 1\n")
    change = {
        "range": {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 5}},
        "text": "😀",
    }
    editor.change(URI, 2, change)
    other.open(URI, "other")
    completion, hover = editor.ask("textDocument/inlineCompletion"), editor.ask("fake/hang")
    pid = editor.request("fake/pid")  # so it has both
    os.kill(pid, signal.SIGKILL)
    assert editor.answer(completion)["result"] == {"items": []}
    assert editor.answer(hover)["error"]["code"] == -32801
    assert editor.request("fake/texts") == {URI: [2, "x = 😀\n"]}
    assert other.request("fake/texts") == {URI: [1, "other"]}
    assert editor.request("fake/pid") == other.request("fake/pid") != pid
    shown = [message["method"] for message in editor.messages if "method" in message]
    assert shown == ["window/logMessage"]


@pytest.mark.parametrize("how", ["stopped", "stuck"])
def test_an_engine_that_hangs_is_replaced_for_all_its_editors(place: Place, how: str) -> None:
    editor, other = place.editor(patience=(0.2, 60.0)), place.editor()
    editor.open(URI, "text")
    pid = editor.request("fake/pid")
    if how == "stopped":
        os.kill(pid, signal.SIGSTOP)
    else:
        other.ask("fake/stuck")
    completion = editor.ask("textDocument/inlineCompletion")
    assert editor.answer(completion)["result"] == {"items": []}
    assert editor.request("fake/texts") == {URI: [1, "text"]}
    assert editor.request("fake/pid") == other.request("fake/pid") != pid
    (told,) = editor.named("window/logMessage")
    assert "did not answer for 1 s" in told["params"]["message"]
    if how == "stuck":
        assert "fake_engine.py" in meeting_in(place.folder).log_file.read_text()  # where it stood


def test_an_editor_that_finds_an_engine_that_hangs_starts_another(place: Place) -> None:
    pid = place.editor().request("fake/pid")
    os.kill(pid, signal.SIGSTOP)
    editor = place.editor(patience=(5.0, 4.0))
    assert editor.request("fake/pid") != pid
    assert not psutil.pid_exists(pid)


def test_stop_ends_an_engine_that_hangs_too(place: Place) -> None:
    pid = place.editor().request("fake/pid")
    os.kill(pid, signal.SIGSTOP)
    assert stop_engine(place.folders, patience_s=0.1) == Stopped(pid, hung=True)
    assert not psutil.pid_exists(pid)


def test_an_engines_text_equals_the_editors_whenever_engines_are_killed(place: Place) -> None:
    editor = place.editor()
    chance = random.Random(1)
    text = "def f(😀):\n    return 1\n"
    editor.open(URI, text)
    for version in range(2, 302):
        start, end = sorted(chance.choices(range(len(text) + 1), k=2))
        end = min(end, start + 5)
        typed = "".join(chance.choices("ab\n 😀ü", k=chance.randrange(6)))
        where = {"start": position(text, start), "end": position(text, end)}
        editor.change(URI, version, {"range": where, "text": typed})
        text = text[:start] + typed + text[end:]
        if version % 75 == 0:
            for pid in place.engines():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if version % 20 == 0:
            editor.ask("textDocument/inlineCompletion", hang=False)
    wait_for(lambda: "result" in editor.answer(editor.ask("fake/pid")))
    assert editor.request("fake/texts") == {URI: [301, text]}


def position(text: str, at: int) -> dict[str, int]:
    before = text[:at].split("\n")
    return {"line": len(before) - 1, "character": len(before[-1].encode("utf-16-le")) // 2}


def test_an_engine_that_dies_of_its_first_request_again_and_again_is_given_up_and_said_once(
    place: Place,
) -> None:
    editor = place.editor()
    for _ in range(5):
        editor.answer(editor.ask("fake/die"))
    told = editor.wait_for(lambda m: m.get("method") == "window/showMessage")
    assert "ended unexpectedly" in told["params"]["message"]
    assert editor.request("textDocument/inlineCompletion") == {"items": []}
    editor.open(URI, "text")  # tries again
    wait_for(lambda: editor.answer(editor.ask("fake/texts")).get("result") == {URI: [1, "text"]})
    assert len(editor.named("window/showMessage")) == 1


def test_an_engine_that_cannot_start_is_said_once_with_its_last_words(place: Place) -> None:
    editor = place.start(engine=BROKEN)
    answer = editor.answer(editor.ask("initialize", capabilities={}))
    assert "the model is on fire" in answer["error"]["message"]
    assert ".log" in answer["error"]["message"]
    assert answer["error"]["data"] == {"retry": True}
    assert editor.named("window/showMessage") == []
    again = editor.answer(editor.ask("initialize", capabilities={}))
    assert "the model is on fire" in again["error"]["message"]


def test_an_engine_program_that_is_not_there_is_said(place: Place) -> None:
    editor = place.start(engine=["/nowhere/python"])
    answer = editor.answer(editor.ask("initialize", capabilities={}))
    assert "/nowhere/python" in answer["error"]["message"]


def test_an_engine_that_cannot_start_any_more_is_said_once_and_found_when_it_can(place: Place) -> None:
    """A file stands for what is broken, such as an installation that is being replaced."""
    switch = place.folder / "broken"
    program = (
        f"import os, sys; os.path.exists({str(switch)!r}) and sys.exit('half an installation');"
        f"os.execv(sys.executable, {engine_command(place.folder)!r})"
    )
    editor = place.editor(engine=[sys.executable, "-c", program])
    editor.open(URI, "text")
    pid = editor.request("fake/pid")
    switch.touch()
    os.kill(pid, signal.SIGKILL)
    told = editor.wait_for(lambda m: m.get("method") == "window/showMessage")
    assert "half an installation" in told["params"]["message"]
    command = editor.answer(editor.ask("workspace/executeCommand", command="crosslight.status"))
    assert "half an installation" in command["error"]["message"]
    switch.unlink()
    assert editor.request("workspace/executeCommand", command="crosslight.status") is None
    assert editor.request("fake/texts") == {URI: [1, "text"]}
    assert len(editor.named("window/showMessage")) == 1


@pytest.mark.parametrize("is_shut_down", [True, False])
def test_exit_ends_serve_with_the_code_that_the_protocol_wants(place: Place, is_shut_down: bool) -> None:
    editor, other = place.editor(), place.editor()
    if is_shut_down:
        editor.request("shutdown")
    editor.send({"method": "exit"})
    assert editor.wait() == (0 if is_shut_down else 1)
    assert other.request("fake/pid") in place.engines()
    wait_for(lambda: n_editors(place) == 1)


def n_editors(place: Place) -> int:
    engine = engine_status(place.folders)["engine"]
    return -1 if engine is None else engine["n_editors"]


def test_sigterm_ends_serve_and_the_engine_drops_its_work(place: Place) -> None:
    editor, _ = place.editor(), place.editor()
    editor.ask("fake/hang")
    editor.request("fake/pid")
    assert n_editors(place) == 2
    editor.process.terminate()
    assert editor.wait() == 128 + signal.SIGTERM
    wait_for(lambda: n_editors(place) == 1)
    assert editor.last_words() == ""


def test_an_editor_that_closes_the_pipe_ends_serve(place: Place) -> None:
    editor = place.editor()
    assert editor.process.stdin is not None
    editor.process.stdin.close()
    assert editor.wait() == 1
    wait_for(lambda: n_editors(place) == 0)


def test_an_editor_whose_process_is_gone_ends_serve_though_its_pipe_is_held_open(place: Place) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        editor = place.start()
        editor.begin(processId=process.pid)
        assert editor.request("fake/pid")
    assert editor.wait() == 128 + signal.SIGTERM


def test_verbose_without_standalone_is_said_to_have_no_effect(place: Place) -> None:
    editor = place.editor("--verbose")
    assert editor.end() == 0
    (line,) = editor.last_words().splitlines()
    assert "--standalone" in line


def test_an_editor_may_name_its_process_when_it_starts_serve(place: Place) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        editor = place.editor("--stdio", f"--clientProcessId={process.pid}")
    assert editor.wait() == 128 + signal.SIGTERM


def test_an_editor_outside_of_this_container_is_not_missed(place: Place) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    editor = place.start()
    editor.begin(processId=gone.pid)
    assert editor.request("fake/pid")


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no header of the language server protocol"),
        (b"Content-Length: 3\r\n\r\n{,}", "not JSON"),
    ],
)
def test_what_is_no_message_ends_serve_with_one_line(place: Place, sent: bytes, why: str) -> None:
    editor = place.start()
    assert editor.process.stdin is not None
    editor.process.stdin.write(sent)
    editor.process.stdin.flush()
    assert editor.wait() == 1
    (line,) = editor.last_words().splitlines()
    assert why in line


def test_large_messages_pass_in_both_directions_at_once(place: Place) -> None:
    editor = place.editor()
    big = editor.ask("fake/big", n=20_000_000)
    text = ("x" * 999 + "\n") * 20_000
    editor.open(URI, text)
    after = editor.ask("fake/pid")
    assert len(editor.answer(big)["result"]) == 20_000_000
    assert editor.answer(after)["result"]
    pending, pid = editor.ask("fake/hang"), editor.request("fake/pid")
    os.kill(pid, signal.SIGKILL)
    editor.answer(pending)
    (told,) = [m for m in editor.request("fake/seen") if m["method"] == "textDocument/didOpen"]
    assert told["params"]["textDocument"]["text"] == text


def test_an_engine_that_does_not_read_holds_the_editor_back_but_not_its_own_messages(place: Place) -> None:
    editor = place.editor()
    pid = editor.request("fake/pid")
    os.kill(pid, signal.SIGSTOP)
    process = psutil.Process(editor.process.pid)
    before = process.memory_info().rss
    block = {"jsonrpc": "2.0", "method": "fake/note", "params": {"text": "x" * 1_000_000}}
    body = json.dumps(block).encode()
    assert editor.process.stdin is not None
    os.set_blocking(editor.process.stdin.fileno(), False)
    stream = memoryview((header_of(body) + body) * 40)
    pipe, n_sent = editor.process.stdin.fileno(), 0
    while n_sent < len(stream) and select.select([], [pipe], [], 2.0)[1]:
        n_sent += os.write(pipe, stream[n_sent : n_sent + (1 << 16)])
    assert n_sent < len(stream)
    assert process.memory_info().rss - before < 60_000_000
    os.kill(pid, signal.SIGKILL)
    os.set_blocking(editor.process.stdin.fileno(), True)
    editor.process.stdin.write(stream[n_sent:])
    editor.process.stdin.flush()
    assert editor.request("fake/pid") != pid


def test_an_engine_ends_when_no_editor_is_left(place: Place) -> None:
    editor = place.editor(idle_s=0.2)
    assert len(place.engines()) == 1
    assert editor.end() == 0
    wait_for(lambda: not place.engines())
    assert not Path(meeting_in(place.folder).address).exists()


def test_an_engine_stays_while_an_editor_is_there(place: Place) -> None:
    editor = place.editor(idle_s=0.2)
    (pid,) = place.engines()
    wait_for(lambda: engine_status(place.folders)["engine"]["uptime_s"] > 0.6)
    assert editor.request("fake/pid") == pid


def test_stop_ends_the_engine_and_editors_get_another_when_there_is_work(place: Place) -> None:
    editor = place.editor()
    editor.open(URI, "text")
    first = editor.request("fake/pid")
    assert stop_engine(place.folders) == Stopped(first, hung=False)
    wait_for(lambda: not place.engines())
    editor.notify("textDocument/didSave", textDocument={"uri": URI})
    assert place.engines() == []  # nobody typed
    editor.change(URI, 2, {"text": "typed"})
    assert editor.request("fake/texts") == {URI: [2, "typed"]}
    assert editor.request("fake/pid") != first
    assert [m["params"]["type"] for m in editor.named("window/logMessage")] == [3]
    assert not editor.named("window/showMessage")


def test_status_tells_of_the_engine_and_starts_none(place: Place) -> None:
    assert engine_status(place.folders)["engine"] is None
    assert not stop_engine(place.folders)
    assert place.engines() == []
    editor = place.editor()
    engine = engine_status(place.folders)["engine"]
    assert engine is not None
    assert engine["pid"] == editor.request("fake/pid")
    assert engine["n_editors"] == 1
    assert engine["version"] == meeting_in(place.folder).version
    assert engine["memory_bytes"] > 1_000_000
    assert engine["model"] == {"state": "ready", "message": "fake"}
    assert engine["notice"] is None


def test_a_changed_settings_file_is_said_and_read_by_the_next_engine(place: Place) -> None:
    first = place.editor()
    pid = first.request("fake/pid")
    (place.folder / "outdated").touch()
    second = place.editor()
    assert second.request("fake/pid") == pid
    notice = second.named("window/logMessage")[0]["params"]["message"]
    assert "crosslight engine stop" in notice
    assert engine_status(place.folders)["engine"]["notice"] == notice
    assert first.end() == second.end() == 0
    wait_for(lambda: not place.engines())


def test_a_second_engine_finds_the_first_and_ends(place: Place) -> None:
    place.editor()
    second = subprocess.run(engine_command(place.folder), timeout=PATIENCE_S, check=False)
    assert second.returncode == 0
    assert len(place.engines()) == 1


def test_a_dead_engines_socket_is_no_obstacle(place: Place) -> None:
    address = meeting_in(place.folder).address
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(address)
    assert place.editor().request("fake/pid")


def test_the_socket_and_the_log_are_the_users_alone(place: Place) -> None:
    place.editor()
    meeting = meeting_in(place.folder)
    assert Path(meeting.address).stat().st_mode & 0o777 == 0o600
    assert Path(meeting.address).parent.stat().st_mode & 0o777 == 0o700
    assert meeting.log_file.stat().st_mode & 0o777 == 0o600
    assert meeting.log_file.is_relative_to(place.folders.logs)


def is_put_out(stranger: socket.socket) -> bool:
    try:
        return stranger.recv(100) == b""
    except ConnectionResetError:  # the same, where something that it sent was not read
        return True


def test_what_does_not_greet_is_put_out(place: Place) -> None:
    editor = place.editor()
    for hello in (b"GET / HTTP/1.1\r\n\r\n", b"Content-Length: 999999\r\n\r\n", header_of(b"{}") + b"{}"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(meeting_in(place.folder).address)
            stranger.sendall(hello)
            assert is_put_out(stranger)
    assert editor.request("fake/pid")


def test_an_editor_that_reads_nothing_costs_the_engine_a_bounded_amount(place: Place) -> None:
    watcher = place.editor()
    found = greet(meeting_in(place.folder), "editor")
    assert found is not None
    channel, _ = found
    assert isinstance(channel, SocketChannel)
    wait_for(lambda: n_editors(place) == 2)
    for n in range(10):
        body = {"jsonrpc": "2.0", "id": n, "method": "fake/big", "params": {"n": 20_000_000}}
        with contextlib.suppress(OSError):
            channel.send(json.dumps(body).encode())
    wait_for(lambda: n_editors(place) == 1)
    channel.close()
    assert watcher.request("fake/pid")


def test_an_engine_of_another_version_is_left_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = place.editor()
    monkeypatch.setattr("lsp_server.__version__", "99.0")
    assert meeting_in(place.folder).address.endswith("99.0.sock")
    assert engine_status(place.folders)["engine"] is None
    assert editor.request("fake/pid") in place.engines()


class Listening:
    """A serve that listens, and prints where."""

    def __init__(self, place: Place, *arguments: str) -> None:
        self.process = subprocess.Popen(
            serve_command(place.folder, arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)


def initialize(send: Callable[[bytes], object]) -> None:
    send(
        json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}
        ).encode()
    )


def test_tcp_serves_several_editors_and_outlives_them(place: Place) -> None:
    with Listening(place, "--tcp", "127.0.0.1:0") as listening:
        host, _, port = listening.address.removeprefix("tcp://").rpartition(":")
        for _ in range(2):
            connected = socket.create_connection((host, int(port)))
            channel = SocketChannel(connected)
            initialize(channel.send)
            assert "capabilities" in json.loads(channel.receive() or b"")["result"]
            channel.close()
        with socket.create_connection((host, int(port))) as page:
            page.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nContent-Length: 2\r\n\r\n{}")
            assert is_put_out(page)
        listening.process.terminate()
        assert listening.process.wait(PATIENCE_S) == 128 + signal.SIGTERM


def test_websocket_serves_who_knows_the_token(place: Place) -> None:
    with Listening(place, "--websocket", "0", "--origin", "https://editor.example") as listening:
        for origin in (None, "https://editor.example"):
            with connect(listening.address, origin=origin) as editor:
                initialize(lambda body: editor.send(body.decode()))
                answer = editor.recv()
                assert isinstance(answer, str)
                assert "capabilities" in json.loads(answer)["result"]
        with connect(listening.address) as editor:
            editor.send("no JSON")
            with contextlib.suppress(Exception):
                editor.recv()
        with connect(listening.address) as editor:  # one editor's mistake ends one connection
            initialize(editor.send)
            assert json.loads(editor.recv())["id"] == 1


def test_websocket_refuses_other_pages_and_wrong_tokens(place: Place) -> None:
    with Listening(place, "--websocket", "0", "--origin", "https://editor.example") as listening:
        assert listening.address.startswith("ws://127.0.0.1:")
        base = listening.address.partition("?")[0]
        for address, origin in (
            (listening.address, "https://evil.example"),
            (listening.address, "null"),
            (base, None),
            (f"{base}?token=wrong", None),
            (f"{base}?token=wrong", "https://editor.example"),
        ):
            with pytest.raises(InvalidStatus) as refused, connect(address, origin=origin):
                pass
            assert refused.value.response.status_code == 403
        assert place.engines() == []  # nobody got as far as an engine


def test_the_log_is_begun_anew_when_it_is_full(tmp_path: Path) -> None:
    program = (
        "import sys, logging\n"
        "from pathlib import Path\n"
        "from lsp_server.engine.log import keep_log\n"
        f"keep_log(Path({str(tmp_path / 'engine.log')!r}), max_bytes=20_000)\n"
        "for n in range(2_000):\n"
        "    logging.getLogger('lsp_server.x').info('line %d', n)\n"
        "print('and what is printed', flush=True)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE_S)
    log = tmp_path / "engine.log"
    assert log.stat().st_size < 21_000
    assert log.with_suffix(".old.log").stat().st_size < 21_000
    assert log.read_text().splitlines()[-1] == "and what is printed"
    assert log.stat().st_mode & 0o777 == 0o600
