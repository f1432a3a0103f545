"""The messages between an index worker and those who ask it, and where they meet.

A message is one JSON object. The worker greets first (`Greeting`). Then the asker sends a request
(`{"method": …, "params": {…}}`) and reads answers until one holds `result` or `error`; those before it hold
`event`. A connection carries one request at a time; closing it cancels what it asked for.

From one keystroke to the next most of what is retrieved stays the same, and texts are most of an answer.
So a definition that a connection has carried already is named by its id; `Sent` and `Held` are the two ends'
memory of that, and are forgotten together.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from indexer import errors
from indexer.errors import IndexerError
from indexer.rendezvous import Rendezvous
from indexer.types import (
    Definition,
    Reason,
    RelatedQuery,
    RetrievalQuery,
    RetrievalResult,
    Retrieved,
    Span,
    is_same_but_for_span,
)

PROTOCOL = 5
"""Raised whenever a message changes; a worker and an asker of different protocols never meet."""

_MAX_HELD = 2_000
"""Definitions a connection; some 4 MB at most, as definitions of code are."""
_QUERY_FIELDS = tuple(one.name for one in fields(RetrievalQuery))
_DEFINITION_FIELDS = tuple(one.name for one in fields(Definition))
_N_MOVED = 2
"""Length of what is sent of a definition whose place alone is another."""


def index_meeting(index_dir: Path, runtime_dir: Path) -> Rendezvous:
    """Return where the worker of one index folder and this version answers.

    Raises:
        StoreError: The folder of the socket cannot be made, or belongs to someone else.
    """
    return Rendezvous.of("index", f"{index_dir.resolve()}\n{PROTOCOL}", runtime_dir, program_version())


def program_version() -> str:
    """Return the version of the installed program."""
    try:
        return importlib.metadata.version("crosslight")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def send(connection: Connection, message: Mapping[str, Any]) -> None:
    """Send one message."""
    connection.send_bytes(json.dumps(message, separators=(",", ":")).encode())


def receive(connection: Connection) -> dict[str, Any]:
    """Wait for one message.

    Raises:
        EOFError: The other side closed the connection.
        OSError: It broke, or what came is no message.
    """
    try:
        message = json.loads(connection.recv_bytes())
    except ValueError as error:
        raise OSError("the other side does not speak this protocol") from error
    if not isinstance(message, dict):
        raise OSError("the other side does not speak this protocol")
    return message


def error_to_json(error: IndexerError) -> dict[str, str]:
    """Return the wire form of an error."""
    return {"type": type(error).__name__, "message": str(error)}


def error_from_json(values: Mapping[str, str]) -> IndexerError:
    """Return the error that `error_to_json` was given, by its nearest kind that needs a message only."""
    kinds = (errors.RootError, errors.LockedError, errors.DiskSpaceError, errors.WorkerError)
    for kind in kinds:
        if kind.__name__ == values["type"]:
            return kind(values["message"])
    return errors.StoreError(values["message"])


def query_from_json(values: Mapping[str, Any]) -> RetrievalQuery:
    """Return the query whose fields these are."""
    tuples = {name: tuple(values[name]) for name in ("retrievers", "recent_paths", "recent_names")}
    return RetrievalQuery(**{**values, **tuples})


def related_query_from_json(values: Mapping[str, Any]) -> RelatedQuery:
    """Return the query whose fields these are."""
    return RelatedQuery(**values)


def query_to_json(query: RetrievalQuery) -> dict[str, Any]:
    """Return the fields; unlike `asdict`, without a copy of each text."""
    return {name: getattr(query, name) for name in _QUERY_FIELDS}


class Sent:
    """What one connection's worker knows that the asker holds. For one thread."""

    def __init__(self) -> None:
        self._definitions: dict[str, Definition] = {}

    def result_to_json(self, result: RetrievalResult) -> dict[str, Any]:
        """Return a result for `Held.result_from_json` of the connection's other end."""
        forget = len(self._definitions) > _MAX_HELD
        if forget:
            self._definitions.clear()
        return {
            "forget": forget,
            "retrieved": [
                (
                    self._definition(row.definition),
                    row.score,
                    [(reason.retriever, reason.rank, reason.detail) for reason in row.reasons],
                )
                for row in result.retrieved
            ],
            "late": result.late,
            "unavailable": dict(result.unavailable),
            "elapsed_ms": dict(result.elapsed_ms),
        }

    def _definition(self, definition: Definition) -> str | tuple[object, ...]:
        """Return its id if it is held as it is, id and span if only its place is another, or all of it."""
        held = self._definitions.get(definition.id)
        if held is definition:
            return definition.id
        self._definitions[definition.id] = definition
        if held is None or not is_same_but_for_span(held, definition):
            values = (getattr(definition, name) for name in _DEFINITION_FIELDS)
            return tuple(_span_to_json(value) if isinstance(value, Span) else value for value in values)
        return (
            definition.id if held.span == definition.span else (definition.id, _span_to_json(definition.span))
        )


class Held:
    """The definitions that one connection has carried. For one thread."""

    def __init__(self) -> None:
        self._definitions: dict[str, Definition] = {}

    def result_from_json(self, values: Mapping[str, Any]) -> RetrievalResult:
        """Return what `Sent.result_to_json` was given; to be called once for each, in their order."""
        if values["forget"]:
            self._definitions.clear()
        return RetrievalResult(
            retrieved=tuple(
                Retrieved(self._definition(sent), score, tuple(Reason(*reason) for reason in reasons))
                for sent, score, reasons in values["retrieved"]
            ),
            late=tuple(values["late"]),
            unavailable=values["unavailable"],
            elapsed_ms=values["elapsed_ms"],
        )

    def _definition(self, sent: str | list[Any]) -> Definition:
        if isinstance(sent, str):
            return self._definitions[sent]
        if len(sent) == _N_MOVED:
            definition = replace(self._definitions[sent[0]], span=Span(*sent[1]))
        else:
            values = dict(zip(_DEFINITION_FIELDS, sent, strict=True))
            definition = Definition(**{**values, "span": Span(*values["span"])})
        self._definitions[definition.id] = definition
        return definition


def _span_to_json(span: Span) -> tuple[int, int, int, int]:
    return span.start_byte, span.end_byte, span.start_line, span.end_line


def retrieved_from_json(rows: list[dict[str, Any]]) -> tuple[Retrieved, ...]:
    """Return retrieved definitions from their fields."""
    return tuple(
        Retrieved(
            definition=definition_from_json(row["definition"]),
            score=row["score"],
            reasons=tuple(Reason(**reason) for reason in row["reasons"]),
        )
        for row in rows
    )


def definition_from_json(values: Mapping[str, Any]) -> Definition:
    """Return the definition whose fields these are."""
    return Definition(**{**values, "span": Span(**values["span"])})
