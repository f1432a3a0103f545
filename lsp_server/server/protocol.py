"""Our side of JSON-RPC: pygls with its own document store taken out, and its way to end the process.

One object serves one connection, and several of them live in one process, so the end of a connection is told
to whoever runs it and never to the interpreter. Messages that the standard does not know keep their
parameters as plain values.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from typing import Any, Final

from cattrs import Converter
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams, JsonRpcMethodNotFound
from pygls.lsp.server import LanguageServer
from pygls.protocol import (
    JsonRPCNotification,
    JsonRPCRequestMessage,
    LanguageServerProtocol,
    default_converter,
    lsp_method,
)

__all__ = ["CANCELLED_REQUEST", "ConnectionProtocol", "ConnectionServer", "new_converter"]

CANCELLED_REQUEST: Final = -32800

_OURS: Final = frozenset(
    {
        types.TEXT_DOCUMENT_DID_OPEN,
        types.TEXT_DOCUMENT_DID_CHANGE,
        types.TEXT_DOCUMENT_DID_CLOSE,
        types.NOTEBOOK_DOCUMENT_DID_OPEN,
        types.NOTEBOOK_DOCUMENT_DID_CHANGE,
        types.NOTEBOOK_DOCUMENT_DID_CLOSE,
        types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS,
    }
)
"""What pygls would answer from its own documents and folders, before it asked us."""

_AS_THEY_ARE: Final = frozenset({types.WORKSPACE_DID_CHANGE_WATCHED_FILES})
"""Messages so large, of thousands of files, that checking each field would hold up all others."""

log = logging.getLogger(__name__)


class ConnectionProtocol(LanguageServerProtocol):
    """JSON-RPC over one connection."""

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        super().__init__(server, converter)
        for method in _OURS:
            self.fm.builtin_features.pop(method, None)
        self.ended: asyncio.Future[int] | None = None
        """Set by whoever runs the connection; done when the client has said goodbye, with the exit code."""

    @property
    def is_shut_down(self) -> bool:
        """Whether the client has asked to shut down, after which it only ever says goodbye."""
        return bool(self._shutdown)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: object) -> Generator[Any, Any, None]:
        """End the connection, not the process: others may be served by it."""
        yield from ()
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(0 if self._shutdown else 1)

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    def lsp_workspace__execute_command(self, params: types.ExecuteCommandParams) -> Generator[Any, Any, Any]:
        """Run a command with its arguments as they came; pygls would read their types off the handler."""
        handler = self.fm.commands.get(params.command)
        if handler is None:
            raise JsonRpcInvalidParams(f"there is no command {params.command!r}")
        return (yield handler, tuple(params.arguments or ()), {})

    # pygls keeps every protocol object alive in a cache over these two
    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        """Return the standard's type of a message, None for a method that it does not know."""
        return None if method in _AS_THEY_ARE else types.METHOD_TO_TYPES.get(method, (None,))[0]

    def get_result_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        """Return the standard's type of an answer, None for a method that it does not know."""
        return types.METHOD_TO_TYPES.get(method, (None, None))[1]


class ConnectionServer(LanguageServer):
    """The handlers of one connection."""

    protocol: ConnectionProtocol

    def __init__(self, version: str) -> None:
        super().__init__(
            "crosslight",
            version,
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
            notebook_document_sync=_notebook_sync(),
            protocol_cls=ConnectionProtocol,
            converter_factory=new_converter,
        )

    def report_server_error(self, error: Exception, source: type[Exception]) -> None:
        """Write an error to the log; what a message was about may be a user's code, and is left out."""
        if isinstance(error, JsonRpcMethodNotFound):
            log.warning("the editor sent what is not served here: %s", error.message)  # the method's name
            return
        log.error("%s: %s", source.__name__, type(error).__name__)
        log.debug("the error", exc_info=error)

    def end(self) -> None:
        """Give up everything that still runs for this connection."""

    def register(self, method: str, handler: Callable[..., Any], options: object = None) -> None:
        """Answer a method by `handler(server, params)`; `async` ones can be cancelled."""
        self.feature(method, options)(handler)


def new_converter() -> Converter:
    """Return what turns JSON into the standard's types; other messages' parameters stay as they are."""
    converter: Converter = default_converter()  # type: ignore[no-untyped-call]
    converter.register_structure_hook(JsonRPCNotification, _as_it_is)
    converter.register_structure_hook(JsonRPCRequestMessage, _as_it_is)
    converter.register_structure_hook(types.InlineCompletionTriggerKind, _trigger_kind)
    return converter


def _as_it_is(message: dict[str, Any], cls: type[Any]) -> Any:  # noqa: ANN401 - JSON
    return cls(**{"params": None, **message})


def _trigger_kind(value: object, _: type[Any]) -> types.InlineCompletionTriggerKind:
    """Take a kind that the standard does not have for typing: drafts of it counted from 0."""
    kind = types.InlineCompletionTriggerKind
    return kind.Invoked if value == kind.Invoked.value else kind.Automatic


def _notebook_sync() -> types.NotebookDocumentSyncOptions:
    any_cell = types.NotebookDocumentFilterWithNotebook(notebook="*")
    return types.NotebookDocumentSyncOptions(notebook_selector=[any_cell])
