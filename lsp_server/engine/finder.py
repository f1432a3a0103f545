"""Finds the user's engine, or starts it.

The engine listens on a socket that is the user's alone, and says nothing before it was greeted. Many editors
may look for it at the same moment: one of them starts it, the others wait for that.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import lsp_server
from indexer.errors import IndexerError
from indexer.folders import private_folder
from indexer.rendezvous import Rendezvous, last_log_line, spawn_detached
from lsp_server.engine.channels import PipeChannel, SocketChannel
from lsp_server.engine.errors import EngineError, GoneError, HangsError, MalformedError
from lsp_server.engine.greeting import GREETING_METHOD, PROTOCOL
from lsp_server.engine.jsonrpc import parse, request
from lsp_server.engine.killing import effort_of, is_at_work, kill
from lsp_server.engine.one_at_a_time import one_at_a_time
from lsp_server.engine.proxy import EngineLink

if TYPE_CHECKING:
    import subprocess

    from lsp_server.paths import Folders

__all__ = ["ENGINE_COMMAND", "GREETING_S", "EngineFinder", "engine_meeting", "greet", "is_answered"]

ENGINE_COMMAND: Final = (sys.executable, "-P", "-m", "lsp_server", "engine-process")
"""`-P` keeps the working folder off the import path: a workspace's own `model` folder must never run."""

_START_S = 60.0
"""How long an engine may take until it listens: its imports, on a busy machine."""
GREETING_S: Final = 20.0
"""How long an engine may take to answer a command; one that is being started takes longer."""
_LOOK_EVERY_S = 0.02
_NOTHING: Mapping[str, str] = MappingProxyType({})


def engine_meeting(folders: Folders) -> Rendezvous:
    """Return where the engine answers that completes with these folders' models, settings and indexes.

    Two installations never share an engine, since one could be older than its version says.

    Raises:
        StoreError: The folder of the socket cannot be made, or belongs to someone else.
    """
    program = Path(lsp_server.__file__).parent
    key = "\n".join(map(str, (PROTOCOL, program, folders.config, folders.models, folders.index)))
    meeting = Rendezvous.of("engine", key, folders.runtime, lsp_server.__version__)
    return replace(meeting, log_file=private_folder(folders.logs) / meeting.log_file.name)


def greet(
    meeting: Rendezvous, wants: str, patience_s: float = GREETING_S
) -> tuple[SocketChannel | PipeChannel, dict[str, Any]] | None:
    """Connect to an engine, and return the channel and what it answered; None where none listens.

    Args:
        meeting: Where.
        wants: What the connection is for: `editor`, `status` or `stop`.
        patience_s: How long it may take to answer.

    Raises:
        GoneError: There was one, but it is ending.
        HangsError: There is one, but it does not answer.
        EngineError: What listens there does not answer as an engine does.
    """
    try:
        channel = _connect(meeting)
    except OSError:
        return None
    try:
        channel.set_timeout(patience_s)
        channel.send(request(0, GREETING_METHOD, {"protocol": PROTOCOL, "wants": wants}))
        answer = _answer_in(channel.receive())
        channel.set_timeout(None)
    except TimeoutError:
        channel.close()
        raise HangsError(channel.pid, patience_s) from None
    except MalformedError as error:
        channel.close()
        raise EngineError(f"what answers in the engine's place is no engine: {error}") from None
    except (GoneError, OSError):
        channel.close()
        raise GoneError("the engine was ending") from None
    return channel, answer


def _answer_in(body: bytes | None) -> dict[str, Any]:
    if body is None:
        raise GoneError("the engine was ending")
    answer = parse(body).values.get("result")
    if not isinstance(answer, dict) or answer.get("protocol") != PROTOCOL:
        raise MalformedError("its greeting is of another kind")
    return answer


class EngineFinder:
    """Gets connections to one engine, and starts it if none runs."""

    def __init__(
        self,
        meeting: Rendezvous,
        *,
        command: Sequence[str] = ENGINE_COMMAND,
        start_s: float = _START_S,
        silent_s: float = _START_S,
    ) -> None:
        """Look for nothing yet.

        Args:
            meeting: Where the engine answers.
            command: What becomes the engine.
            start_s: How long it may take until it answers.
            silent_s: How long one that runs may be silent when it is greeted; then it is killed, unless it
                works.
        """
        self._meeting = meeting
        self._command = command
        self._start_s = start_s
        self._silent_s = silent_s

    def connect(self) -> EngineLink:
        """Return a connection to the engine, which is started if none runs.

        Raises:
            GoneError: It was just ending; the next attempt will start another.
            EngineError: It cannot be started, or does not answer.
        """
        try:
            return self._find() or self._start()
        except IndexerError as error:
            raise EngineError(str(error)) from error

    def last_words(self) -> str:
        """Return what is known of the end of the last engine, for the user."""
        return self._with_log("the engine ended unexpectedly several times in a row")

    def _find(self) -> EngineLink | None:
        """Return a connection to the engine that runs; None if none does, or the one that did hung.

        Raises:
            GoneError: It was just ending.
            HangsError: It does not answer, but works; or which process it is cannot be told.
            EngineError: What listens there is no engine.
        """
        try:
            found = greet(self._meeting, "editor", self._silent_s)
        except HangsError as error:
            if error.pid is None or is_at_work(error.pid):
                raise
            kill(error.pid)
            return None
        if found is None:
            return None
        channel, answer = found
        notice = answer.get("notice")
        pid = answer.get("pid") if sys.platform == "win32" else channel.pid
        told = notice if isinstance(notice, str) else None
        return EngineLink(channel, told, partial(kill, pid), partial(effort_of, pid))

    def _start(self) -> EngineLink:
        """Start an engine, unless someone else is doing so, and wait until it answers."""
        try:
            with one_at_a_time(self._meeting.lock_file.with_suffix(".starting"), self._start_s):
                return self._find() or self._start_alone()
        except TimeoutError:
            raise self._failure("another program has been starting the engine for too long") from None

    def _start_alone(self) -> EngineLink:
        process = self._spawn()
        # Someone must wait for it, or it stays a zombie when it ends before this process.
        ended = threading.Event()
        threading.Thread(target=_reap, args=(process, ended), daemon=True, name="reap engine").start()
        deadline = time.monotonic() + self._start_s
        while time.monotonic() < deadline:
            if link := self._find():
                return link
            if ended.wait(_LOOK_EVERY_S):
                if process.returncode == 0:
                    raise GoneError("the engine found another one, which has ended since")
                raise self._failure(f"the engine ended at its start with status {process.returncode}")
        process.kill()
        raise self._failure(f"the engine did not answer within {self._start_s:.0f} s")

    def _spawn(self) -> subprocess.Popen[bytes]:
        try:
            return spawn_detached(
                self._command,
                log_file=self._meeting.log_file,
                folder=self._meeting.lock_file.parent,
                environment=_NOTHING,
            )
        except OSError as error:
            raise EngineError(f"cannot start the engine {self._command[0]}: {error.strerror}") from error

    def _failure(self, what: str) -> EngineError:
        return EngineError(self._with_log(what))

    def _with_log(self, what: str) -> str:
        line = last_log_line(self._meeting.log_file)
        return f"{what}: {line} (log: {self._meeting.log_file})" if line else what


def _reap(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    process.wait()
    ended.set()


def _connect(meeting: Rendezvous) -> SocketChannel | PipeChannel:
    """Return a channel to whatever listens.

    Raises:
        OSError: Nothing does.
    """
    if meeting.family == "AF_PIPE":
        from multiprocessing.connection import Client  # noqa: PLC0415 - on Windows only

        return PipeChannel(Client(meeting.address, meeting.family))
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.connect(meeting.address)
    except OSError:
        connected.close()
        raise
    return SocketChannel(connected)


def is_answered(meeting: Rendezvous) -> bool:
    """Return whether anything listens."""
    try:
        _connect(meeting).close()
    except OSError:
        return False
    return True
