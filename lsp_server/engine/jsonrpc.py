"""What a JSON-RPC message is, and the few that are written here.

Messages that are only passed on are never written anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lsp_server.engine.errors import MalformedError

__all__ = [
    "CONTENT_MODIFIED",
    "INTERNAL_ERROR",
    "REQUEST_CANCELLED",
    "REQUEST_FAILED",
    "SERVER_NOT_INITIALIZED",
    "Id",
    "Message",
    "encode",
    "failure",
    "notification",
    "parse",
    "request",
    "response",
]

Id: TypeAlias = int | str

INTERNAL_ERROR: Final = -32603
SERVER_NOT_INITIALIZED: Final = -32002
REQUEST_CANCELLED: Final = -32800
CONTENT_MODIFIED: Final = -32801
REQUEST_FAILED: Final = -32803


@dataclass(frozen=True, slots=True)
class Message:
    """One message, looked into."""

    body: bytes
    """As it came."""
    values: dict[str, Any]
    id: Id | None
    """None: a notification."""
    method: str | None
    """None: a response."""

    @property
    def request_id(self) -> Id:
        """The id of what is known to be a request."""
        if self.id is None:
            raise MalformedError(f"{self.method} has no id")
        return self.id

    @property
    def params(self) -> dict[str, Any]:
        """The parameters by name; empty where there are none, or they are given by position."""
        params = self.values.get("params")
        return params if isinstance(params, dict) else {}


def parse(body: bytes) -> Message:
    """Return a message.

    Raises:
        MalformedError: It is not JSON, or none of request, response and notification.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"a message of {len(body)} bytes is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise MalformedError("a message is not a JSON object")
    id_, method = values.get("id"), values.get("method")
    is_id = isinstance(id_, (int, str)) and not isinstance(id_, bool)
    if not isinstance(method, str | None) or not (is_id or id_ is None):
        raise MalformedError("a message has a method or an id of no known kind")
    if method is None and "result" not in values and "error" not in values:
        raise MalformedError("a message is neither request nor response nor notification")
    return Message(body, values, id_, method)


def encode(values: dict[str, Any]) -> bytes:
    """Return the bytes of a message; escaped to ASCII, so that half a character passes as it came."""
    return json.dumps(values, separators=(",", ":")).encode("ascii")


def request(id_: Id, method: str, params: object) -> bytes:
    """Return a request."""
    return encode({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})


def notification(method: str, params: object) -> bytes:
    """Return a notification."""
    return encode({"jsonrpc": "2.0", "method": method, "params": params})


def response(id_: Id, result: object) -> bytes:
    """Return the answer to a request."""
    return encode({"jsonrpc": "2.0", "id": id_, "result": result})


def failure(id_: Id, code: int, message: str, data: object = None) -> bytes:
    """Return an answer that is an error."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return encode({"jsonrpc": "2.0", "id": id_, "error": error})
