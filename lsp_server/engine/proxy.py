"""Moves messages between one editor and its engine, and finds another engine when that one dies or hangs.

Three threads: whoever calls `run` reads the editor; another finds an engine and reads it; the third looks now
and then whether the engine still answers. What a message means is decided in `conversation`, under one lock
that is never held while anything is sent or waited for.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lsp_server.engine.conversation import Conversation
from lsp_server.engine.errors import EngineError, GoneError, MalformedError
from lsp_server.engine.jsonrpc import Message, parse
from lsp_server.engine.moves import Moves
from lsp_server.engine.outbox import Outbox
from lsp_server.engine.pulse import Pulse, State

if TYPE_CHECKING:
    from lsp_server.engine.channels import Channel

__all__ = ["EngineLink", "EngineSource", "Patience", "Proxy"]


@dataclass(frozen=True, slots=True)
class EngineLink:
    """A connection to an engine, which waits for `initialize`."""

    channel: Channel
    notice: str | None = None
    """What the engine wants the user to know."""
    kill: Callable[[], None] = lambda: None
    """Ends its process, which answers no more."""
    effort: Callable[[], float | None] = lambda: None
    """Returns what its process has done since it began; see `killing.effort_of`."""


class EngineSource(Protocol):
    """Where engines come from."""

    def connect(self) -> EngineLink:
        """Return a connection to an engine, which is started if none runs.

        Raises:
            EngineError: None can be had; the text says why and what to do.
        """

    def last_words(self) -> str:
        """Return what is known of the end of the last engine, for the user."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how fast an engine is tried again."""

    max_failures: int = 5
    """In a row, before the user is told."""
    first_s: float = 0.5
    """Before the third attempt in a row; each next one waits twice as long."""
    most_s: float = 8.0
    settled_s: float = 60.0
    """An engine that lived for so long has not failed."""
    ending_s: float = 0.1
    """Between two attempts while the last engine is still ending."""
    max_endings: int = 100
    """Such attempts in a row; one more is a failure."""
    look_s: float = 5.0
    """Between two looks at an engine that somebody waits for; the first one that finds it silent asks it."""
    max_silent_looks: int = 5
    """After that one; then the engine hangs, unless it works."""

    @property
    def silence_s(self) -> float:
        """For how long an engine was silent, at least, that hangs."""
        return self.look_s * self.max_silent_looks

    def delay_s(self, n_failures: int) -> float:
        """Return how long to wait after so many failures in a row."""
        return 0.0 if n_failures <= 1 else min(self.most_s, self.first_s * 2.0 ** (n_failures - 2))


class Proxy:
    """One editor's side of the engine."""

    def __init__(
        self,
        editor: Channel,
        source: EngineSource,
        *,
        patience: Patience | None = None,
        on_initialize: Callable[[Message], None] = lambda _: None,
        abort: Callable[[], None] = lambda: None,
    ) -> None:
        """Move nothing yet.

        Args:
            editor: Its messages; read by `run` only.
            source: Where engines come from.
            patience: How often one is tried.
            on_initialize: Told of the editor's `initialize`.
            abort: Called, in another thread, when this failed; for editors whose channel cannot be closed.
        """
        self._editor = editor
        self._source = source
        self._patience = patience or Patience()
        self._on_initialize = on_initialize
        self._abort = abort
        self._conversation = Conversation()
        self._deciding = threading.Lock()
        self._to_editor = threading.Lock()
        self._engine: Outbox | None = None
        self._link: EngineLink | None = None
        self._pulse = Pulse(self._patience.max_silent_looks)
        self._hangs = False
        self._listens = False
        """Whether the engine would be heard now; not while what it said is being told to the editor."""
        self._wanted = threading.Event()
        self._over = threading.Event()

    def run(self) -> int:
        """Move messages until the editor says `exit` or is gone.

        Returns:
            The exit code that the protocol asks for: 0 after `shutdown`, else 1.

        Raises:
            MalformedError: The editor sent what is no message.
        """
        engines = threading.Thread(target=self._keep_engine, daemon=True, name="engine")
        engines.start()
        threading.Thread(target=self._watch, daemon=True, name="watch engine").start()
        try:
            while (body := self._editor.receive()) is not None:
                if self._from_editor(parse(body)):
                    break
        finally:
            self.close()
        return 0 if self._conversation.is_shut_down else 1

    def close(self) -> None:
        """End both connections; the engine drops what it was doing for this editor."""
        with self._deciding:
            self._over.set()
            self._wanted.set()
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
        self._editor.close()

    def _from_editor(self, message: Message) -> bool:
        """Pass a message on, and return whether it was the last one."""
        if message.method == "initialize":
            self._on_initialize(message)
        with self._deciding:
            moves = self._conversation.from_editor(message)
            engine = self._post(moves, wake=False)
        self._tell_editor(moves)
        if engine is not None:
            engine.flush()
        return moves.is_over

    def _keep_engine(self) -> None:
        """Have an engine as long as there is an editor."""
        try:
            self._find_and_read()
        except Exception:  # noqa: BLE001 - the boundary of the thread: the editor starts `serve` again
            traceback.print_exc(file=sys.stderr)
            self.close()
            self._abort()

    def _find_and_read(self) -> None:
        n_failures = n_endings = 0
        while not self._over.is_set():
            try:
                link = self._source.connect()
            except EngineError as error:
                n_endings = n_endings + 1 if isinstance(error, GoneError) else 0
                if 0 < n_endings <= self._patience.max_endings:
                    # the last engine's end is no failure of the next
                    self._over.wait(self._patience.ending_s)
                else:
                    n_failures, n_endings = self._failed(n_failures, str(error)), 0
                continue
            n_endings = 0
            began = time.monotonic()
            problem = self._converse(link)
            if self._over.is_set() or self._conversation.is_shut_down:
                return
            if self._conversation.said_goodbye:
                n_failures = 0
                self._wanted.wait()  # not at once: whoever ended it wants its memory back
                continue
            if time.monotonic() - began > self._patience.settled_s:
                n_failures = 0
            n_failures = self._failed(n_failures, problem or self._source.last_words())

    def _failed(self, n_failures: int, cause: str) -> int:
        """Wait after a failure, and return how many there were in a row."""
        n_failures += 1
        if n_failures < self._patience.max_failures:
            self._over.wait(self._patience.delay_s(n_failures))
            return n_failures
        with self._deciding:
            if self._over.is_set():
                return n_failures
            self._wanted.clear()
            moves = self._conversation.gave_up(cause)
        self._tell_editor(moves)
        self._wanted.wait()
        return self._patience.max_failures - 1  # one attempt, whenever it is asked for

    def _converse(self, link: EngineLink) -> str | None:
        """Pass an engine's messages on until it ends; return what was wrong with it, if that is known."""
        outbox = Outbox(link.channel)
        with self._deciding:
            if self._over.is_set():
                outbox.close()
                return None
            self._engine, self._link = outbox, link
            self._pulse, self._hangs = Pulse(self._patience.max_silent_looks), False
            moves = self._conversation.engine_found(link.notice)
            self._post(moves)
        self._tell_editor(moves)
        problem = None
        try:
            while problem is None and (body := self._listen(link.channel)) is not None:
                problem = self._from_engine(parse(body))
        except MalformedError as error:
            problem = str(error)
        outbox.close()
        with self._deciding:
            self._engine = self._link = None
            if self._over.is_set():
                return None
            self._wanted.clear()
            how = f"did not answer for {self._patience.silence_s:.0f} s" if self._hangs else None
            moves = self._conversation.engine_lost(how)
        self._tell_editor(moves)
        return f"the engine {how}, several times in a row" if how is not None else problem

    def _watch(self) -> None:
        """End an engine that hangs, so that another one can take its place."""
        while not self._over.wait(self._patience.look_s):
            with self._deciding:
                engine, link, pulse = self._engine, self._link, self._pulse
            if engine is None or link is None:
                continue
            effort_s = link.effort() if pulse.is_silent else None
            with self._deciding:
                if self._link is not link or self._hangs:
                    continue
                is_waited_for = self._listens and (self._conversation.is_waiting or engine.is_waiting)
                state = pulse.look(is_waited_for=is_waited_for, effort_s=effort_s)
                self._hangs |= state is State.HANGS
                if state is State.SILENT:
                    engine.put([self._conversation.ask_alive()])
            if state is State.HANGS:
                link.kill()
                engine.close()  # in case that it cannot be killed

    def _listen(self, channel: Channel) -> bytes | None:
        self._listens = True
        try:
            return channel.receive()
        finally:
            self._listens = False

    def _from_engine(self, message: Message) -> str | None:
        with self._deciding:
            self._pulse.heard()
            moves = self._conversation.from_engine(message)
            self._post(moves)
        self._tell_editor(moves)
        return moves.is_refused

    def _post(self, moves: Moves, *, wake: bool = True) -> Outbox | None:
        """Put what the engine is to get into its box, in the order of the decisions."""
        if moves.is_wanted:
            self._wanted.set()
        if moves.to_engine and self._engine is not None:
            self._engine.put(moves.to_engine, wake=wake)
            return self._engine
        return None

    def _tell_editor(self, moves: Moves) -> None:
        if not moves.to_editor:
            return
        with self._to_editor:
            try:
                for body in moves.to_editor:
                    self._editor.send(body)
            except OSError:  # gone; whoever reads it will see the end
                self._over.set()
