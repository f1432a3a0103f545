"""What a connection tells its editor unasked: messages, a status, progress bars, and the log.

Each message is shown once per cause, and the status only when it changed; editors that do not know it ignore
it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lsprotocol import types

from lsp_server.server.indexing import IndexState
from lsp_server.server.model_thread import ModelState
from lsp_server.server.progress import Bar
from lsp_server.server.protocol import ConnectionServer
from lsp_server.server.status import Status, status_of

__all__ = ["STATUS", "Editor"]

STATUS: Final = "didChangeStatus"

_LEVELS: Final = (
    (logging.ERROR, types.MessageType.Error),
    (logging.WARNING, types.MessageType.Warning),
    (logging.INFO, types.MessageType.Info),
    (logging.NOTSET, types.MessageType.Log),
)
_UNITS: Final = {"embed": "definitions"}


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
        self._told: Status | None = None
        self._model: ModelState | None = None
        self._indexes: dict[Path, IndexState] = {}
        self._is_completing = False
        self._inactive = ""

    def show(self, cause: str, text: str, kind: types.MessageType = types.MessageType.Warning) -> None:
        """Show a message, unless this cause was told before."""
        if cause not in self._said:
            self._said.add(cause)
            self._server.window_show_message(types.ShowMessageParams(kind, text))

    def log(self, record: logging.LogRecord, text: str) -> None:
        """Pass a line of the log on."""
        kind = next(kind for level, kind in _LEVELS if record.levelno >= level)
        self._server.window_log_message(types.LogMessageParams(kind, text))

    def on_model(self, state: ModelState, cancel: Callable[[], None]) -> None:
        """Take up the model's state.

        Args:
            state: The state.
            cancel: Gives up loading it.
        """
        self._model = state
        if state.kind == "loading":
            self._bar("model", "Crosslight: loading the model", cancel)
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
        key = _bar_of(state.root)
        self._indexes[state.root] = state
        if state.kind == "indexing":
            bar = self._bar(key, f"Crosslight: indexing {state.root.name}", cancel)
            if bar is not None and state.n_total:
                unit = _UNITS.get(state.phase, "files")
                text = f"{state.phase}: {state.n_done} of {state.n_total} {unit}"
                bar.update(text, state.percentage)
        else:
            self._end_bar(key, state.message)
        if state.kind == "failed":
            self.show(f"{key}: {state.message}", f"Crosslight: {state.root.name}: {state.message}")
        self.tell_status()

    def forget_index(self, root: Path) -> None:
        """Tell no more of a repository that is not open here any longer."""
        self._indexes.pop(root, None)
        self._end_bar(_bar_of(root), "")
        self.tell_status()

    def inactive(self, why: str) -> None:
        """Tell why no suggestions come while typing; empty if they do."""
        self._inactive = why
        self.tell_status()

    def completing(self, is_completing: bool) -> None:
        """Tell whether the model is at work for this editor."""
        self._is_completing = is_completing
        self.tell_status()

    def tell_status(self) -> None:
        """Send the status, if it changed; not before the model's state is known."""
        status = self.status
        if status is not None and status != self._told:
            self._told = status
            self._server.protocol.notify(STATUS, dataclasses.asdict(status))

    @property
    def status(self) -> Status | None:
        """What the editor is told, None before it is told anything."""
        if self._model is None:
            return None
        return status_of(
            self._model,
            self._indexes.values(),
            inactive=self._inactive,
            is_completing=self._is_completing,
        )

    def close(self) -> None:
        """Take every bar away; the connection has ended."""
        for bar in self._bars.values():
            bar.cancel()
        self._bars.clear()

    def _bar(self, key: str, title: str, on_cancel: Callable[[], None]) -> Bar | None:
        if self._has_progress and key not in self._bars:
            self._bars[key] = Bar(self._server, title, on_cancel)
        return self._bars.get(key)

    def _end_bar(self, key: str, message: str) -> None:
        if (bar := self._bars.pop(key, None)) is not None:
            bar.end(message)


def _bar_of(root: Path) -> str:
    return f"index {root}"
