"""The messages between an index worker and those who ask it, and where they meet.

A message is one JSON object. The worker greets first (`Greeting`). Then the asker sends a request
(`{"method": …, "params": {…}}`) and reads answers until one holds `result` or `error`; those before it hold
`event`. A connection carries one request at a time; closing it cancels what it asked for.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict
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
)

PROTOCOL = 3
"""Raised whenever a message changes; a worker and an asker of different protocols never meet."""


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
    tuples = {name: tuple(values[name]) for name in ("retrievers", "recent_paths")}
    return RetrievalQuery(**{**values, **tuples})


def related_query_from_json(values: Mapping[str, Any]) -> RelatedQuery:
    """Return the query whose fields these are."""
    return RelatedQuery(**values)


def result_to_json(result: RetrievalResult) -> dict[str, Any]:
    """Return the fields as JSON knows them."""
    return asdict(result)


def result_from_json(values: Mapping[str, Any]) -> RetrievalResult:
    """Return what `result_to_json` was given."""
    return RetrievalResult(
        retrieved=retrieved_from_json(values["retrieved"]),
        late=tuple(values["late"]),
        unavailable=values["unavailable"],
        elapsed_ms=values["elapsed_ms"],
    )


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
