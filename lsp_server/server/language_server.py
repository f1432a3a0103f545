"""The server object of one connection: its session, its editor, and the repositories that it has open."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, cast

from lsprotocol import types

from lsp_server import __version__
from lsp_server.server.asked import Answer
from lsp_server.server.buffer import Encoding
from lsp_server.server.documents import Documents
from lsp_server.server.editor import Editor
from lsp_server.server.host import Host, Listener
from lsp_server.server.indexing import IndexState
from lsp_server.server.logs import OURS, Forwarder
from lsp_server.server.model_thread import ModelState
from lsp_server.server.options import read_options
from lsp_server.server.places import WorkspaceFolders, path_of
from lsp_server.server.protocol import ConnectionServer
from lsp_server.server.session import Session
from lsp_server.server.show import why_inactive

__all__ = ["CrosslightServer"]

_UNREMARKABLE: Final = frozenset({"superseded", "cancelled", "model_loading", "engine_restarting"})

_NOTHING_SHOWN: Final = "nothing is shown in %s: %s"
_MINUTE_S: Final = 60.0

log = logging.getLogger(__name__)


class CrosslightServer(ConnectionServer):
    """One connection: its session, and its editor."""

    def __init__(self, host: Host) -> None:
        super().__init__(__version__)
        self.host = host
        self.folders = WorkspaceFolders()
        self.session = Session(host, Documents("utf-16", self.folders), read_options(None).options)
        self.editor = Editor(self, has_progress=False)
        self.listener: Listener | None = None
        self.watches = False
        """Whether the client tells what changes on the disk."""
        self.shows_inline = False
        """Whether the client has inline completion."""
        self.offers_items = False
        """Whether it is given completion items."""
        self._said_no_items = False
        self._roots: set[Path] = set()
        self._noted: tuple[str, str | None] | None = None
        """The document and the reason of the last answer that is worth a line of the log."""
        self._log: Forwarder | None = None
        self._pause_timer: asyncio.TimerHandle | None = None

    def begin(self, params: types.InitializeParams) -> None:
        """Set the session up as the client wants it."""
        capabilities = params.capabilities
        chosen = self.workspace.position_encoding
        encoding = cast("Encoding", getattr(chosen, "value", chosen))
        uris = [folder.uri for folder in params.workspace_folders or ()]
        if not uris and params.root_uri:
            uris = [params.root_uri]
        self.folders = WorkspaceFolders(uris)
        window, workspace = capabilities.window, capabilities.workspace
        files = workspace.did_change_watched_files if workspace else None
        self.watches = bool(files and files.dynamic_registration)
        self.editor = Editor(self, has_progress=bool(window and window.work_done_progress))
        self.session = Session(self.host, Documents(encoding, self.folders), read_options(None).options)
        self.session.on_answer = self._note_answer
        self.session.on_model = self.editor.completing
        self.configure(params.initialization_options)

    def configure(self, sent: object) -> None:
        """Take settings that the client sent, and tell of those that cannot be read."""
        loaded = read_options(sent)
        self.session.options = loaded.options
        self.session.suggestions.forget()  # what was held back may be wanted now
        self._tell_inactive()
        if loaded.problems:
            text = f"Crosslight: {'; '.join(loaded.problems)}"
            self.editor.show(text, text)
        if self.listener is not None:
            self._say_if_no_items()

    def pause(self, minutes: float = math.inf) -> None:
        """Suggest nothing while the user types, for so many minutes or until `resume`."""
        self.session.pause.begin(minutes)
        self._tell_inactive()

    def resume(self) -> None:
        """Pause no more, and load a model that was not to be loaded, or could not be."""
        self.session.pause.end()
        self.host.model.load_again(after_failure=True)
        self._tell_inactive()

    def listen(self) -> None:
        """Hear of the model and the indexes, and open the folders' repositories."""
        loop = asyncio.get_running_loop()
        self.listener = Listener(loop, self._note_model, self._note_index, self._note_problem)
        self._log = Forwarder(loop, self.editor.log, self)
        logging.getLogger(OURS).addHandler(self._log)
        self.host.listen(self.listener)
        self.editor.on_model(self.host.model.state, self.host.model.cancel_loading)
        self.open_repositories(self.folders.roots())
        self._say_if_no_items()

    def open_repositories(self, roots: Iterable[Path]) -> None:
        """Have repositories indexed and followed."""
        for root in set(roots) - self._roots:
            if self.listener is not None and root.is_dir():
                self._roots.add(root)
                index = self.host.open_repository(root, self.listener, watch=not self.watches)
                self._note_index(index.state)

    def close_repositories(self) -> None:
        """Give up the repositories that neither a folder nor a document lies in any more."""
        documents = self.session.documents
        used = {*self.folders.roots(), *(one.place.root for one in documents if one.place is not None)}
        for root in self._roots - used:
            self._roots.discard(root)
            if self.listener is not None:
                self.host.close_repository(root, self.listener)
            self.editor.forget_index(root)

    @property
    def roots(self) -> Sequence[Path]:
        """The repositories that are open here."""
        return sorted(self._roots)

    def end(self) -> None:
        """Give up everything that still runs for this connection."""
        self.session.cancel_all()
        self._stop_pause_timer()
        self.editor.close()
        if self._log is not None:
            logging.getLogger(OURS).removeHandler(self._log)
        if self.listener is not None:
            self.host.leave(self.listener)

    def _say_if_no_items(self) -> None:
        """Say once in the log that items were asked for and do not come."""
        if self.session.options.completion_items and not (self.offers_items or self._said_no_items):
            self._said_no_items = True
            why = (
                "the editor shows suggestions inline"
                if self.shows_inline
                else "it is read when the server starts; start it anew"
            )
            log.warning("crosslight.completionItems has no effect: %s", why)

    def _tell_inactive(self) -> None:
        """Tell why nothing is suggested; of a pause that ends by itself, each minute how long it lasts."""
        pause = self.session.pause
        self._stop_pause_timer()
        if pause.minutes_left is not None:
            wait_s = pause.seconds_left % _MINUTE_S or _MINUTE_S
            self._pause_timer = asyncio.get_running_loop().call_later(wait_s, self._tell_inactive)
        self.editor.inactive(why_inactive(self.session.options, pause))

    def _stop_pause_timer(self) -> None:
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None

    def _note_answer(self, answer: Answer) -> None:
        """Log why nothing is shown; in a row of answers, such as of a pause's keystrokes, once."""
        if answer.reason in _UNREMARKABLE:
            log.debug(_NOTHING_SHOWN, _name_of(answer.uri), answer.reason)
            return
        noted = (answer.uri, answer.reason)
        if answer.reason is not None and noted != self._noted:
            log.info(_NOTHING_SHOWN, _name_of(answer.uri), answer.reason)
        self._noted = noted

    def _note_model(self, state: ModelState) -> None:
        self.editor.on_model(state, self.host.model.cancel_loading)
        if state.kind == "ready":
            for document in self.session.documents:
                self.session.opened(document)

    def _note_index(self, state: IndexState) -> None:
        index = self.host.index_of(state.root)
        if index is None or state.root not in self._roots:  # told before it was closed, which others have not
            return
        self.editor.on_index(state, index.cancel_run)
        if state.kind == "ready":
            for document in self.session.documents:
                if document.place is not None and document.place.root == state.root:
                    self.session.opened(document)

    def _note_problem(self, text: str) -> None:
        self.editor.show(text, f"Crosslight: {text}")


def _name_of(uri: str) -> str:
    """Return what a document is called in the log; of no file the scheme alone, some hold the text itself."""
    path = path_of(uri)
    return str(path) if path is not None else uri.partition(":")[0] + ":"
