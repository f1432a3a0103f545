"""What an editor has said that still holds, and how another engine is told of it.

Pure: messages in, messages out.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

from lsp_server.engine.documents import ODD, OpenDocuments
from lsp_server.engine.jsonrpc import notification, request
from lsp_server.server.pause import Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lsp_server.engine.jsonrpc import Id, Message
    from lsp_server.server.buffer import Encoding

__all__ = ["PAUSE", "Mirror"]

PAUSE: Final = "crosslight.pause"
"""The one command whose effect lasts; its answer says what that is."""
_PAUSE_ID: Final = "crosslight-replay-pause"


class Mirror:
    """One editor's session, as far as an engine must know it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Know nothing yet.

        Args:
            clock: Seconds, of the day and not of the machine: a laptop's sleep counts.
        """
        self._pause = Pause(clock)
        self._documents = OpenDocuments()
        self._initialize: dict[str, Any] | None = None
        self._is_initialized = False
        self._settings: dict[str, Any] | None = None
        self._trace: dict[str, Any] | None = None
        self.initialize_id: Id | None = None
        """The editor's `initialize`, while it waits for its answer."""
        self.encoding: Encoding = "utf-16"
        """In what positions are counted; what the first engine chose holds for all that follow."""
        self.is_shut_down = False

    @property
    def is_begun(self) -> bool:
        """Whether an engine must be initialized before it can be told anything."""
        return self._initialize is not None

    def begin(self, message: Message) -> None:
        """Take the editor's `initialize`.

        Its process is watched by the process that it started. An engine serves others too, and must not end
        with that one.
        """
        self._initialize = {**message.params, "processId": None}
        self.initialize_id = message.id

    def answered(self, message: Message) -> None:
        """Take an engine's answer to the editor's own `initialize`."""
        self.initialize_id = None
        result = message.values.get("result")
        if not isinstance(result, dict):
            self._initialize = None  # refused: the editor may try again
            return
        self.encoding = encoding_in(result)

    def forget_initialize(self) -> Id | None:
        """Return the id of the `initialize` that waits for an answer, which no engine is to give any more."""
        waiting, self.initialize_id = self.initialize_id, None
        if waiting is not None:
            self._initialize = None
        return waiting

    def observe(self, message: Message) -> bool:
        """Follow a notification of the editor, and return whether a replay would tell it."""
        params = message.params
        match message.method:
            case "initialized":
                self._is_initialized = True
            case "workspace/didChangeConfiguration":
                self._settings = params
            case "workspace/didChangeWorkspaceFolders":
                self._change_folders(params)
            case "$/setTrace":
                self._trace = params
            case str(method):
                try:
                    return self._documents.observe(method, params, self.encoding)
                except ODD:
                    return True
        return True

    def paused(self, answer: object) -> None:
        """Take an engine's answer to the command that pauses suggestions or resumes them."""
        if not isinstance(answer, dict):
            return
        minutes = answer.get("minutesLeft")
        if answer.get("paused"):
            self._pause.begin(minutes if isinstance(minutes, int | float) else math.inf)
        else:
            self._pause.end()

    def initialize_again(self, id_: Id) -> bytes:
        """Return the `initialize` for another engine, with the folders that are open now.

        The progress that the editor offered for its own `initialize` ended with the answer to that.
        """
        params = dict(self._initialize or {})
        if id_ != self.initialize_id:
            params.pop("workDoneToken", None)
        return request(id_, "initialize", params)

    def replay(self) -> Iterator[bytes]:
        """Yield what another engine must be told once it has answered `initialize`."""
        if not self._is_initialized:
            return
        yield notification("initialized", {})
        if self._settings is not None:
            yield notification("workspace/didChangeConfiguration", self._settings)
        if self._trace is not None:
            yield notification("$/setTrace", self._trace)
        for item in self._documents.items(self.encoding):
            yield notification("textDocument/didOpen", {"textDocument": item})
        for notebook in self._documents.notebooks(self.encoding):
            yield notification("notebookDocument/didOpen", notebook)
        if (left_s := self._pause.seconds_left) > 0:
            pause = [True] if left_s == math.inf else [True, left_s / 60]
            yield request(_PAUSE_ID, "workspace/executeCommand", {"command": PAUSE, "arguments": pause})

    def _change_folders(self, params: dict[str, Any]) -> None:
        if self._initialize is None:
            return
        try:
            event = params["event"]
            removed = {folder["uri"] for folder in event["removed"]}
            known = self._initialize.get("workspaceFolders") or []
            kept = [folder for folder in known if folder["uri"] not in removed]
            self._initialize["workspaceFolders"] = kept + list(event["added"])
        except ODD:
            return


def encoding_in(result: dict[str, Any]) -> Encoding:
    """Return in what an `InitializeResult` says that positions are counted."""
    capabilities = result.get("capabilities")
    named = capabilities.get("positionEncoding") if isinstance(capabilities, dict) else None
    encodings: tuple[Encoding, ...] = ("utf-8", "utf-32")
    return next((encoding for encoding in encodings if encoding == named), "utf-16")
