"""What a connection tells its editor unasked: messages, a status, progress bars, and the log.

Each message is shown once per cause, and the status only when it changed. The status notification has the
shape that Copilot's language server made known (`didChangeStatus`); editors that do not know it ignore it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from lsprotocol import types

from lsp_server.server.indexing import IndexState
from lsp_server.server.model_thread import ModelState
from lsp_server.server.progress import Bar
from lsp_server.server.protocol import ConnectionServer

__all__ = ["STATUS", "Editor"]

STATUS: Final = "didChangeStatus"

_LEVELS: Final = (
    (logging.ERROR, types.MessageType.Error),
    (logging.WARNING, types.MessageType.Warning),
    (logging.INFO, types.MessageType.Info),
    (logging.NOTSET, types.MessageType.Log),
)
_UNITS: Final = {"embed": "definitions"}

Kind = Literal["Normal", "Warning", "Error", "Inactive"]


class Editor:
    """One editor, as far as it is told something."""

    def __init__(self, server: ConnectionServer, *, has_progress: bool) -> None:
        """Tell nothing yet.

        Args:
            server: Its connection.
            has_progress: Whether it can show progress bars.
        """
        self._server = server
        self._has_progress = has_progress
        self._said: set[str] = set()
        self._bars: dict[str, Bar] = {}
        self._status: dict[str, object] = {}
        self._model: ModelState | None = None
        self._indexing: set[Path] = set()
        self._is_completing = False
        self.is_paused = False

    def show(self, cause: str, text: str, kind: types.MessageType = types.MessageType.Warning) -> None:
        """Show a message, unless this cause was told before."""
        if cause not in self._said:
            self._said.add(cause)
            self._server.window_show_message(types.ShowMessageParams(kind, text))

    def log(self, record: logging.LogRecord, text: str) -> None:
        """Pass a line of the log on."""
        kind = next(kind for level, kind in _LEVELS if record.levelno >= level)
        self._server.window_log_message(types.LogMessageParams(kind, text))

    def on_model(self, state: ModelState) -> None:
        """Take up the model's state."""
        self._model = state
        if state.kind == "loading":
            self._bar("model", "Crosslight: loading the model", None)
        else:
            self._end_bar("model", state.message)
        if state.kind in {"missing", "failed"}:
            self.show(f"model {state.kind}", f"Crosslight: {state.message}", types.MessageType.Error)
        self.tell_status()

    def on_index(self, state: IndexState, cancel: Callable[[], None]) -> None:
        """Take up the state of a repository's index.

        Args:
            state: The state.
            cancel: Ends the run in progress.
        """
        key = f"index {state.root}"
        if state.kind == "indexing":
            self._indexing.add(state.root)
            bar = self._bar(key, f"Crosslight: indexing {state.root.name}", cancel)
            if bar is not None and state.n_total:
                unit = _UNITS.get(state.phase, "files")
                text = f"{state.phase}: {state.n_done} of {state.n_total} {unit}"
                bar.update(text, state.n_done, state.n_total)
        else:
            self._indexing.discard(state.root)
            self._end_bar(key, state.message)
        if state.kind == "failed":
            self.show(f"{key}: {state.message}", f"Crosslight: {state.root.name}: {state.message}")
        self.tell_status()

    def completing(self, is_completing: bool) -> None:
        """Tell whether the model is at work for this editor."""
        self._is_completing = is_completing
        self.tell_status()

    def tell_status(self) -> None:
        """Send the status, if it changed."""
        kind, message = self._kind_and_message()
        is_loading = self._model is not None and self._model.kind == "loading"
        busy = is_loading or bool(self._indexing) or self._is_completing
        status: dict[str, object] = {"kind": kind, "busy": busy, "message": message}
        if status != self._status:
            self._status = status
            self._server.protocol.notify(STATUS, status)

    def close(self) -> None:
        """Take every bar away; the connection has ended."""
        for bar in self._bars.values():
            bar.cancel()
        self._bars.clear()

    def _kind_and_message(self) -> tuple[Kind, str]:
        if self._model is not None and self._model.kind in {"missing", "failed"}:
            return "Error", self._model.message
        if self.is_paused:
            return "Inactive", "paused"
        if self._model is not None and self._model.kind == "loading":
            return "Normal", "loading the model"
        if self._indexing:
            return "Normal", f"indexing {', '.join(sorted(root.name for root in self._indexing))}"
        return "Normal", ""

    def _bar(self, key: str, title: str, on_cancel: Callable[[], None] | None) -> Bar | None:
        if self._has_progress and key not in self._bars:
            self._bars[key] = Bar(self._server, title, on_cancel)
        return self._bars.get(key)

    def _end_bar(self, key: str, message: str) -> None:
        if (bar := self._bars.pop(key, None)) is not None:
            bar.end(message)
