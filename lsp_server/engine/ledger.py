"""Who waits for whom: requests in both directions, what is registered at the editor, what it shows as busy.

An editor outlives engines, and each engine begins its ids anew. So requests to the editor get an id of their
own here: an answer to a dead engine's request is known as such. Pure: messages in, messages out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsp_server.engine.jsonrpc import encode, notification, request, response

if TYPE_CHECKING:
    from lsp_server.engine.jsonrpc import Id, Message

__all__ = ["Ledger", "Pending"]

_ID_PREFIX = "engine-"
_MAX_ASKED = 1000
"""Requests that an editor never answered; the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An editor's request that the engine has not answered."""

    method: str
    uri: str | None = None
    """Of the document that it is about, where it is about one."""
    command: str | None = None
    """What it runs, where it runs something."""

    @classmethod
    def of(cls, message: Message) -> Pending:
        """Return a request, as far as it must be remembered."""
        document, command = message.params.get("textDocument"), message.params.get("command")
        uri = document.get("uri") if isinstance(document, dict) else None
        return cls(
            str(message.method),
            uri if isinstance(uri, str) else None,
            command if isinstance(command, str) else None,
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """An engine's request that the editor has not answered."""

    id: Id
    """The engine's own."""
    registrations: tuple[str, ...] = ()
    """What it registers, in case that is refused."""


@dataclass(slots=True)
class _Registration:
    method: str
    options: object
    is_left: bool = False
    """By an engine that is dead; whether the next one wants it is not known yet."""


class Ledger:
    """What is open on one editor's connection."""

    def __init__(self) -> None:
        self.pending: dict[Id, Pending] = {}
        """The editor's requests that the engine has not answered, by id, the oldest first."""
        self._asked: dict[Id, _Asked] = {}
        self._n_asked = 0
        self._registrations: dict[str, _Registration] = {}
        self._aliases: dict[str, str] = {}
        """An engine's registration id -> the one that the editor knows."""
        self._progress: dict[Id, None] = {}

    def ask(self, message: Message, registrations: tuple[str, ...] = ()) -> bytes:
        """Return an engine's request as the editor is to get it."""
        id_ = self._new_id()
        if len(self._asked) >= _MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        self._asked[id_] = _Asked(message.request_id, registrations)
        return encode({**message.values, "id": id_})

    def answer(self, message: Message) -> bytes | None:
        """Return the editor's answer as the engine is to get it; None if no living engine asked for it."""
        asked = self._asked.pop(message.id, None) if message.id is not None else None
        if asked is None:
            return None
        if "error" in message.values:
            for id_ in asked.registrations:
                self._registrations.pop(id_, None)
        return encode({**message.values, "id": asked.id})

    def cancel(self, message: Message) -> bytes | None:
        """Return an engine's `$/cancelRequest` with the id that the editor knows; None if it knows none."""
        for id_, asked in self._asked.items():
            if asked.id == message.params.get("id"):
                return encode({**message.values, "params": {"id": id_}})
        return None

    def register(self, message: Message) -> tuple[list[bytes], bytes | None]:
        """Take an engine's `client/registerCapability`.

        What a dead engine had registered is kept as it is. Where this one wants something else of the same
        method, the old registration is taken back, so that the editor never tells anything twice.

        Returns:
            What the editor is to get, and what the engine is to get at once (None: the editor will answer).
        """
        new, replaced = [], list[tuple[str, str]]()
        for one in message.params.get("registrations") or []:
            id_, method, options = one.get("id"), one.get("method"), one.get("registerOptions")
            left = {key: kept for key, kept in self._registrations.items() if kept.is_left}
            same = next((k for k, v in left.items() if (v.method, v.options) == (method, options)), None)
            if same is not None:
                self._registrations[same].is_left = False
                self._aliases[id_] = same
                continue
            for key in [key for key, kept in left.items() if kept.method == method]:
                replaced.append((key, self._registrations.pop(key).method))
            # an editor refuses an id that it knows already
            known = id_ if id_ not in self._registrations else f"{id_}-{self._n_asked + 1}"
            self._aliases[id_] = known
            self._registrations[known] = _Registration(str(method), options)
            new.append({**one, "id": known})
        to_editor = [self._take_back(replaced)] if replaced else []
        if not new:
            return to_editor, response(message.request_id, None)
        wanted = {**message.values, "params": {"registrations": new}}
        ids = tuple(str(one["id"]) for one in new)
        to_editor.append(self.ask(_with(message, wanted), ids))
        return to_editor, None

    def unregister(self, message: Message) -> bytes:
        """Return an engine's `client/unregisterCapability` with the ids that the editor knows."""
        params = message.params
        # the protocol itself spells it so
        key = "unregisterations" if "unregisterations" in params else "unregistrations"
        known = []
        for one in params.get(key) or []:
            id_ = self._aliases.pop(one.get("id"), one.get("id"))
            self._registrations.pop(id_, None)
            known.append({**one, "id": id_})
        return self.ask(_with(message, {**message.values, "params": {key: known}}))

    def progress(self, message: Message) -> None:
        """Follow an engine's `$/progress`."""
        token, value = message.params.get("token"), message.params.get("value")
        if not isinstance(token, (int, str)) or not isinstance(value, dict):
            return
        if value.get("kind") == "begin":
            self._progress[token] = None
        elif value.get("kind") == "end":
            self._progress.pop(token, None)

    def end_of_engine(self) -> tuple[dict[Id, Pending], list[bytes]]:
        """Forget what a dead engine asked for and began.

        Returns:
            The editor's requests that it leaves unanswered, and what ends the progress that the editor shows.
        """
        unanswered, self.pending = self.pending, {}
        ended = [
            notification("$/progress", {"token": token, "value": {"kind": "end"}}) for token in self._progress
        ]
        self._asked.clear()
        self._progress.clear()
        self._aliases.clear()
        for registration in self._registrations.values():
            registration.is_left = True
        return unanswered, ended

    def _new_id(self) -> str:
        self._n_asked += 1
        return f"{_ID_PREFIX}{self._n_asked}"

    def _take_back(self, replaced: list[tuple[str, str]]) -> bytes:
        """Return a request that unregisters, whose answer nobody waits for."""
        params = {"unregisterations": [{"id": id_, "method": method} for id_, method in replaced]}
        return request(self._new_id(), "client/unregisterCapability", params)


def _with(message: Message, values: dict[str, Any]) -> Message:
    return type(message)(message.body, values, message.id, message.method)
