"""The language server's handlers: each turns a message into a call of the session, and an answer back.

`new_server` makes the object that serves one connection. Positions stay in the client's units here; only the
documents' buffers know what they mean.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any, Final

from lsprotocol import types

from lsp_server.server import commands, serve_messages
from lsp_server.server.asked import Request, Selected, SupersededError
from lsp_server.server.buffer import Position
from lsp_server.server.documents import Change
from lsp_server.server.evidence import give_back
from lsp_server.server.fates import Suggestion
from lsp_server.server.host import Host
from lsp_server.server.language_server import CrosslightServer
from lsp_server.server.options import SECTION
from lsp_server.server.places import path_of

__all__ = ["DID_PARTIALLY_ACCEPT", "DID_SHOW", "new_server"]

DID_SHOW: Final = "textDocument/didShowCompletion"
DID_PARTIALLY_ACCEPT: Final = "textDocument/didPartiallyAcceptCompletion"

_WATCHED: Final = "**/*"
"""A checkout tells of whole folders that went, which no pattern of files would match."""

_MOST_OF_A_KEY: Final = 2
_WORD_CHARACTERS: Final = string.ascii_letters + string.digits + "_"


def new_server(host: Host) -> CrosslightServer:
    """Return what serves one connection."""
    server = CrosslightServer(host)
    for method, handler in {**_HANDLERS, **serve_messages.HANDLERS}.items():
        server.register(method, handler, _OPTIONS.get(method))
    for name, command in commands.COMMANDS.items():
        server.command(name)(command)
    return server


def initialize(ls: CrosslightServer, params: types.InitializeParams) -> None:
    """Set up the session; pygls answers with what is registered."""
    ls.begin(params)
    text = params.capabilities.text_document
    ls.shows_inline = text is not None and text.inline_completion is not None
    if ls.session.options.completion_items and not ls.shows_inline:
        ls.offers_items = True
        ls.register(types.TEXT_DOCUMENT_COMPLETION, completion, types.CompletionOptions())


async def initialized(ls: CrosslightServer, _: types.InitializedParams) -> None:
    """Begin to index, and ask to be told of changed files."""
    ls.listen()
    if ls.watches:
        watcher = types.FileSystemWatcher(glob_pattern=_WATCHED)
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers=[watcher])
        registration = types.Registration("watch", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        await ls.client_register_capability_async(types.RegistrationParams([registration]))


def shutdown(ls: CrosslightServer, *_: object) -> None:
    """Stop answering."""
    ls.session.cancel_all()


def did_open(ls: CrosslightServer, params: types.DidOpenTextDocumentParams) -> None:
    """Take a document over."""
    _open(ls, params.text_document)


def _open(ls: CrosslightServer, item: types.TextDocumentItem, notebook: str | None = None) -> None:
    document = ls.session.documents.open(item.uri, item.language_id, item.version, item.text, notebook)
    if document.place is not None and document.place.root is not None:
        ls.open_repositories([document.place.root])
    ls.session.opened(document)


def did_change(ls: CrosslightServer, params: types.DidChangeTextDocumentParams) -> None:
    """Apply edits."""
    document = params.text_document
    ls.session.documents.change(document.uri, document.version, map(_change, params.content_changes))
    ls.session.edited(is_typed=_is_typed(params.content_changes))


def did_save(ls: CrosslightServer, params: types.DidSaveTextDocumentParams) -> None:
    """Have a saved file indexed, whether or not somebody watches it."""
    if (document := ls.session.documents.save(params.text_document.uri)) is not None:
        give_back(ls.host, document)
    _note_files(ls, [params.text_document.uri])


def did_close(ls: CrosslightServer, params: types.DidCloseTextDocumentParams) -> None:
    """Give a document back to the disk."""
    if (document := ls.session.documents.close(params.text_document.uri)) is not None:
        give_back(ls.host, document)
    ls.session.closed(params.text_document.uri)
    ls.close_repositories()


def notebook_did_open(ls: CrosslightServer, params: types.DidOpenNotebookDocumentParams) -> None:
    """Take a notebook's cells over, each as a document."""
    notebook = params.notebook_document
    ls.session.documents.open_notebook(notebook.uri, [cell.document for cell in notebook.cells])
    for item in params.cell_text_documents:
        _open(ls, item, notebook.uri)


def notebook_did_change(ls: CrosslightServer, params: types.DidChangeNotebookDocumentParams) -> None:
    """Apply edits of a notebook's cells and of their order."""
    uri, documents = params.notebook_document.uri, ls.session.documents
    cells = params.change.cells
    if cells is None:
        return
    if (structure := cells.structure) is not None:
        moved = structure.array
        documents.move_cells(
            uri, moved.start, moved.delete_count, [one.document for one in moved.cells or ()]
        )
        for item in structure.did_open or ():
            _open(ls, item, uri)
        for closed in structure.did_close or ():
            documents.close(closed.uri)
            ls.session.closed(closed.uri)
    for edited in cells.text_content or ():
        documents.change(edited.document.uri, edited.document.version, map(_change, edited.changes))
        ls.session.edited(is_typed=_is_typed(edited.changes))


def notebook_did_close(ls: CrosslightServer, params: types.DidCloseNotebookDocumentParams) -> None:
    """Forget a notebook's cells."""
    ls.session.documents.close_notebook(params.notebook_document.uri)
    for closed in params.cell_text_documents:
        ls.session.closed(closed.uri)
    ls.close_repositories()


async def did_change_configuration(ls: CrosslightServer, params: types.DidChangeConfigurationParams) -> None:
    """Take new settings, or ask for them where the client only says that there are some."""
    sent: object = params.settings
    workspace = ls.client_capabilities.workspace
    if not sent and workspace is not None and workspace.configuration:
        item = types.ConfigurationItem(section=SECTION)
        (sent,) = await ls.workspace_configuration_async(types.ConfigurationParams([item]))
    if sent:
        ls.configure(sent)


def did_change_watched_files(ls: CrosslightServer, params: object) -> None:
    """Have changed files indexed; there may be thousands of them."""
    changes = params.get("changes") if isinstance(params, dict) else None
    if isinstance(changes, list):
        uris = [change.get("uri") for change in changes if isinstance(change, dict)]
        _note_files(ls, [uri for uri in uris if isinstance(uri, str)])


def did_change_folders(ls: CrosslightServer, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """Open and close repositories as folders come and go."""
    for folder in params.event.removed:
        ls.folders.remove(folder.uri)
    for folder in params.event.added:
        ls.folders.add(folder.uri)
    ls.session.documents.place_again()
    ls.open_repositories(ls.folders.roots())
    ls.close_repositories()


async def inline_completion(
    ls: CrosslightServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList | None:
    """Return what to show at a cursor; None where a newer request has its own answer.

    An empty list has all editors take away what they showed before.
    """
    selected = None
    if (item := params.context.selected_completion_info) is not None:
        selected = Selected(_position(item.range.start), _position(item.range.end), item.text)
    request = Request(
        uri=params.text_document.uri,
        position=_position(params.position),
        invoked=params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked,
        selected=selected,
    )
    try:
        suggestion = await ls.session.suggest(request)
    except SupersededError:
        return None
    if suggestion is None:
        return types.InlineCompletionList([])
    shown = types.InlineCompletionItem(
        insert_text=suggestion.text,
        filter_text=suggestion.text,
        range=_range(suggestion.start, suggestion.end),
        command=types.Command("Accept", commands.ACCEPT, arguments=[suggestion.id]),
    )
    return types.InlineCompletionList([shown])


async def completion(ls: CrosslightServer, params: types.CompletionParams) -> types.CompletionList | None:
    """Return the first line of what would be shown as an item, for editors that show nothing inline."""
    request = Request(params.text_document.uri, _position(params.position))
    try:
        suggestion = await ls.session.suggest(request)
    except SupersededError:
        return None
    if suggestion is None or not (text := suggestion.text.partition("\n")[0].rstrip("\r")):
        return None
    return types.CompletionList(is_incomplete=True, items=[_item(ls, suggestion, text)])


def _item(ls: CrosslightServer, suggestion: Suggestion, text: str) -> types.CompletionItem:
    """Return an item that the editor's own filter keeps: it begins with the word before the cursor."""
    word, begin = "", suggestion.start
    if (document := ls.session.documents.get(suggestion.uri)) is not None:
        line, column = document.buffer.locate(suggestion.start)
        before = document.buffer.line(line)[:column]
        word = before[len(before.rstrip(_WORD_CHARACTERS)) :]
        begin = document.buffer.position(line, column - len(word))
    return types.CompletionItem(
        label=word + text,
        kind=types.CompletionItemKind.Text,
        detail="Crosslight",
        filter_text=word + text,
        sort_text="\0",
        text_edit=types.TextEdit(_range(begin, suggestion.end), word + text),
        command=types.Command("Accept", commands.ACCEPT, arguments=[suggestion.id]),
    )


def did_show(ls: CrosslightServer, params: object) -> None:
    """Count a suggestion that was seen."""
    if (id_ := _id_in(params)) is not None:
        ls.session.fates.shown(id_)


def did_partially_accept(ls: CrosslightServer, params: object) -> None:
    """Count how much of a suggestion was taken (`acceptedLength`, in UTF-16 units from its start)."""
    length = params.get("acceptedLength") if isinstance(params, dict) else None
    if (id_ := _id_in(params)) is not None and isinstance(length, int):
        ls.session.fates.accepted(id_, length)


def _id_in(params: object) -> str | None:
    """Return the suggestion's id in `{"item": {"command": {"arguments": [id]}}}`."""
    try:
        id_ = params["item"]["command"]["arguments"][0]  # type: ignore[index]
    except (KeyError, IndexError, TypeError):
        return None
    return id_ if isinstance(id_, str) else None


def _note_files(ls: CrosslightServer, uris: Sequence[str]) -> None:
    def note() -> None:
        ls.host.note_changes(file for uri in uris if (file := path_of(uri)) is not None)

    ls.host.aside.submit(note)


def _change(event: types.TextDocumentContentChangeEvent) -> Change:
    if isinstance(event, types.TextDocumentContentChangePartial):
        return Change(event.text, _position(event.range.start), _position(event.range.end))
    return Change(event.text)


def _is_typed(changes: Sequence[types.TextDocumentContentChangeEvent]) -> bool:
    """Return whether edits look like one key: a character, with what an editor closes by itself."""
    return sum(len(change.text) for change in changes) <= _MOST_OF_A_KEY


def _position(position: types.Position) -> Position:
    return Position(position.line, position.character)


def _range(start: Position, end: Position) -> types.Range:
    return types.Range(types.Position(start.line, start.character), types.Position(end.line, end.character))


_HANDLERS: Final[dict[str, Callable[..., Any]]] = {
    types.INITIALIZE: initialize,
    types.INITIALIZED: initialized,
    types.SHUTDOWN: shutdown,
    types.TEXT_DOCUMENT_DID_OPEN: did_open,
    types.TEXT_DOCUMENT_DID_CHANGE: did_change,
    types.TEXT_DOCUMENT_DID_SAVE: did_save,
    types.TEXT_DOCUMENT_DID_CLOSE: did_close,
    types.NOTEBOOK_DOCUMENT_DID_OPEN: notebook_did_open,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE: notebook_did_change,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE: notebook_did_close,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: did_change_configuration,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: did_change_watched_files,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: did_change_folders,
    types.TEXT_DOCUMENT_INLINE_COMPLETION: inline_completion,
    DID_SHOW: did_show,
    DID_PARTIALLY_ACCEPT: did_partially_accept,
}
_OPTIONS: Final[dict[str, object]] = {
    types.TEXT_DOCUMENT_INLINE_COMPLETION: types.InlineCompletionOptions(),
}
