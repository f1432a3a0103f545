"""One editor's conversation with engines, of which one may die and another take its place.

Decides for every message what is sent to whom. Pure: messages and events in, messages out; `proxy` moves
them. What the editor sees of an engine's death is that completions come back empty for a moment, and one line
in its log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lsp_server.engine.greeting import ALIVE, GOODBYE, UNANSWERED
from lsp_server.engine.jsonrpc import (
    INTERNAL_ERROR,
    REQUEST_CANCELLED,
    REQUEST_FAILED,
    failure,
    notification,
    request,
    response,
)
from lsp_server.engine.ledger import Ledger, Pending
from lsp_server.engine.mirror import PAUSE, Mirror, encoding_in
from lsp_server.engine.moves import Moves, Phase
from lsp_server.engine.replies import EMPTY, ERROR, INFO, WARNING, log_line, shown, unanswered

if TYPE_CHECKING:
    from lsp_server.engine.jsonrpc import Id, Message

__all__ = ["Conversation"]

_STATUS: Final = "didChangeStatus"
_SHOW: Final = "window/showMessage"
_REPLAY_ID: Final = "crosslight-replay"
_ALIVE_ID: Final = "crosslight-alive"
_MIRRORED: Final = frozenset(
    {
        "initialized",
        "workspace/didChangeConfiguration",
        "workspace/didChangeWorkspaceFolders",
        "$/setTrace",
        "textDocument/didOpen",
        "textDocument/didChange",
        "textDocument/didClose",
        "notebookDocument/didOpen",
        "notebookDocument/didChange",
        "notebookDocument/didClose",
    }
)
"""Notifications of which a replay tells what remains."""
_MAX_HELD = 256


class Conversation:
    """What was said, what is open, and what comes next."""

    def __init__(self) -> None:
        self.phase = Phase.AWAY
        self.said_goodbye = False
        """Whether the engine that is connected is ending as it should."""
        self._mirror = Mirror()
        self._ledger = Ledger()
        self._held: list[Message] = []
        """What the next engine is to get after the replay."""
        self._unanswered: str | None = None
        """The document of the last completion that no engine answered; the next engine can tell why."""
        self._news: bytes | None = None
        """What to tell the log once an engine goes on."""
        self._shown: set[bytes] = set()
        """What engines had the editor show; each engine would begin anew to tell what is wrong."""
        self._told: str | None = None
        """Why there is no engine, as the user was told last."""
        self._shows_status = False
        """Whether the editor was told a status, which is to be true without an engine too."""

    @property
    def is_shut_down(self) -> bool:
        """Whether the editor has asked to shut down, and been answered."""
        return self._mirror.is_shut_down

    @property
    def is_waiting(self) -> bool:
        """Whether an engine owes an answer; one that has been shut down owes none any more."""
        return bool(self._ledger.pending) and not self.is_shut_down

    def ask_alive(self) -> bytes:
        """Return what an engine answers at any time; the answer goes nowhere."""
        return request(_ALIVE_ID, ALIVE, None)

    def from_editor(self, message: Message) -> Moves:
        """Take a message of the editor."""
        moves = Moves()
        if message.method is None:
            answer = self._ledger.answer(message)
            if answer is not None:
                moves.to_engine.append(answer)
        elif message.id is not None:
            self._request(message, message.id, moves)
        elif message.method == "exit":
            # Not passed on: an engine serves others too. Its end of the connection will tell it.
            moves.is_over = True
        else:
            self._notification(message, moves)
        return moves

    def from_engine(self, message: Message) -> Moves:
        """Take a message of the engine that is connected."""
        moves = Moves()
        if message.method is None:
            self._response(message, moves)
        elif message.method == "client/registerCapability":
            to_editor, to_engine = self._ledger.register(message)
            moves.to_editor += to_editor
            moves.to_engine += [to_engine] if to_engine is not None else []
        elif message.method == "client/unregisterCapability":
            moves.to_editor.append(self._ledger.unregister(message))
        elif message.id is not None:
            moves.to_editor.append(self._ledger.ask(message))
        elif message.method == GOODBYE:
            self.said_goodbye = True
        elif message.method == "$/cancelRequest":
            cancel = self._ledger.cancel(message)
            moves.to_editor += [cancel] if cancel is not None else []
        else:
            if message.method == "$/progress":
                self._ledger.progress(message)
            self._shows_status |= message.method == _STATUS
            if message.method == _SHOW:
                if message.body in self._shown:
                    return moves
                self._shown.add(message.body)
            moves.to_editor.append(message.body)
        return moves

    def engine_found(self, notice: str | None = None) -> Moves:
        """Begin with an engine that was just connected.

        Args:
            notice: What the engine wants the user to know.
        """
        moves = Moves()
        self.said_goodbye = False
        if notice is not None:
            moves.to_editor.append(log_line(WARNING, notice))
        if not self._mirror.is_begun:
            self.phase = Phase.LIVE
            return moves
        self.phase = Phase.GREETING
        waiting = self._mirror.initialize_id
        id_ = waiting if waiting is not None else _REPLAY_ID
        self._ledger.pending[id_] = Pending("initialize")
        moves.to_engine.append(self._mirror.initialize_again(id_))
        return moves

    def engine_lost(self, how: str | None = None) -> Moves:
        """Answer for an engine that is gone, whether it died or said goodbye.

        Args:
            how: What it did, where that is known ("did not answer …").
        """
        moves = Moves()
        pending, ended = self._ledger.end_of_engine()
        moves.to_editor += ended
        for id_, asked in pending.items():
            if asked.method == "shutdown":
                self._mirror.is_shut_down = True
                moves.to_editor.append(response(id_, None))
            elif asked.method != "initialize":  # which the next engine answers
                self._leave_unanswered(id_, asked, moves)
        if self.said_goodbye:
            self.phase = Phase.RESTING
            self._news = log_line(INFO, "The engine was ended; another one goes on.")
            moves.to_editor += self._status("Inactive", "ended; starts again with the next edit")
        else:
            self.phase = Phase.AWAY
            text = f"The engine {how or 'ended unexpectedly'}; another one goes on in its place."
            self._news = log_line(WARNING, text)
            moves.to_editor += self._status("Normal", "starting another engine", busy=True)
        return moves

    def gave_up(self, cause: str) -> Moves:
        """Tell the user, once for each cause, that there is no engine."""
        self.phase = Phase.HOPELESS
        moves = Moves()
        text = f"Crosslight cannot complete: {cause}"
        waiting = self._mirror.forget_initialize()
        if waiting is not None:
            # A client that knows `retry` shows the text with a button that begins anew.
            moves.to_editor.append(failure(waiting, INTERNAL_ERROR, text, {"retry": True}))
        elif self._mirror.is_begun and self._told != cause:
            hint = "Opening a file, or a command of Crosslight, tries again."
            moves.to_editor.append(shown(ERROR, f"{text}. {hint}"))
        moves.to_editor += self._status("Error", cause)
        self._told = cause
        for message in self._held:
            if message.id is not None and message.method is not None:
                moves.to_editor.append(failure(message.id, REQUEST_FAILED, text))
        self._held.clear()
        return moves

    def _status(self, kind: str, text: str, *, busy: bool = False) -> list[bytes]:
        if not self._shows_status:
            return []
        return [notification(_STATUS, {"kind": kind, "busy": busy, "message": text})]

    def _request(self, message: Message, id_: Id, moves: Moves) -> None:
        method, asked = str(message.method), Pending.of(message)
        if method == "initialize" and not self._mirror.is_begun:
            self._mirror.begin(message)
            if self.phase is Phase.LIVE:
                self._ledger.pending[id_] = asked
                moves.to_engine.append(self._mirror.initialize_again(id_))
            else:
                moves.is_wanted = True  # told as soon as there is one
        elif self.phase is Phase.LIVE:
            self._ledger.pending[id_] = asked
            moves.to_engine.append(message.body)
        elif method == "shutdown":
            self._mirror.is_shut_down = True
            moves.to_editor.append(response(id_, None))
        elif method in EMPTY:
            self._leave_unanswered(id_, asked, moves)
            moves.is_wanted = self.phase is Phase.RESTING
        elif self.phase is Phase.HOPELESS and method != "workspace/executeCommand":
            self._leave_unanswered(id_, asked, moves)
        else:
            self._hold(message, moves)
            moves.is_wanted = True

    def _leave_unanswered(self, id_: Id, asked: Pending, moves: Moves) -> None:
        moves.to_editor.append(unanswered(id_, asked.method))
        if asked.method in EMPTY:
            self._unanswered = asked.uri

    def _notification(self, message: Message, moves: Moves) -> None:
        is_mirrored = message.method in _MIRRORED
        if is_mirrored:
            self._mirror.observe(message)
        if self.phase is Phase.LIVE:
            moves.to_engine.append(message.body)
        elif message.method == "$/cancelRequest":
            self._cancel_held(message, moves)
        elif not is_mirrored and self.phase is not Phase.HOPELESS:
            self._hold(message, moves)
        is_work = message.method in {"textDocument/didOpen", "notebookDocument/didOpen"}
        is_edit = message.method in {"textDocument/didChange", "notebookDocument/didChange"}
        moves.is_wanted = is_work or (is_edit and self.phase is Phase.RESTING)

    def _hold(self, message: Message, moves: Moves) -> None:
        if len(self._held) >= _MAX_HELD:
            oldest = self._held.pop(0)
            if oldest.id is not None:
                moves.to_editor.append(unanswered(oldest.id, str(oldest.method)))
        self._held.append(message)

    def _cancel_held(self, message: Message, moves: Moves) -> None:
        for held in self._held:
            if held.id is not None and held.id == message.params.get("id"):
                self._held.remove(held)
                moves.to_editor.append(failure(held.id, REQUEST_CANCELLED, "cancelled"))
                return

    def _response(self, message: Message, moves: Moves) -> None:
        asked = self._ledger.pending.pop(message.id, None) if message.id is not None else None
        if asked is None:
            return  # answered already
        if asked.method == "initialize":
            if self._is_greeted(message, moves):
                self._go_on(moves)
            return
        if asked.method == "shutdown":
            self._mirror.is_shut_down = True
        elif asked.command == PAUSE:
            self._mirror.paused(message.values.get("result"))
        moves.to_editor.append(message.body)

    def _is_greeted(self, message: Message, moves: Moves) -> bool:
        """Return whether an engine that answered `initialize` can be told the rest."""
        if message.id == self._mirror.initialize_id:
            self._mirror.answered(message)
            moves.to_editor.append(message.body)
            return True
        result = message.values.get("result")
        if not isinstance(result, dict):
            moves.is_refused = f"the engine refused to go on: {message.values.get('error')}"
        elif encoding_in(result) != self._mirror.encoding:
            moves.is_refused = "another engine counts characters otherwise; restart the editor's server"
        return moves.is_refused is None

    def _go_on(self, moves: Moves) -> None:
        """Tell an engine what the editor said before it came, and let messages pass from now on."""
        if self.phase is not Phase.GREETING:
            return
        self.phase = Phase.LIVE
        moves.to_engine += self._mirror.replay()
        if self._unanswered is not None:
            moves.to_engine.append(notification(UNANSWERED, {"uri": self._unanswered}))
        for message in self._held:
            if message.id is not None and message.method is not None:
                self._ledger.pending[message.id] = Pending.of(message)
            moves.to_engine.append(message.body)
        self._held.clear()
        self._unanswered = None
        if self._news is not None:
            moves.to_editor.append(self._news)
        self._news = self._told = None
