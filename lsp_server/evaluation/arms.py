"""The arms that Crosslight itself has: without retrieval, and with each way of feeding definitions.

A new way to feed them is one more name in `choices.py` and one more subject in `make_subjects`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_server.completer import Retrieve, RunningModel
from lsp_server.config import Settings
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.choices import ARMS
from lsp_server.evaluation.fingerprint import repository_state
from lsp_server.evaluation.subject import CompleterSubject, RetrieveFor, Subject
from lsp_server.feeding import Concatenated

if TYPE_CHECKING:
    from indexer.client import IndexClient

__all__ = [
    "CONCATENATED_DEFINITIONS",
    "IndexedRepositories",
    "RepositoryStates",
    "make_subjects",
    "unhurried",
    "with_definitions",
]

CONCATENATED_DEFINITIONS = 6
"""Each is computed for each completion: with twelve, one would take twice as long."""
_RETRIEVAL_MS = 60_000
_COMPLETION_MS = 600_000


def unhurried(settings: Settings) -> Settings:
    """Return the settings without deadlines and kept memories, so that an answer is always the same.

    A busy machine then changes times alone; a memory from the disk has eight bits, one just encoded has more.
    """
    return replace(
        settings,
        memory=replace(settings.memory, disk_mb=0),
        completion=replace(settings.completion, deadline_ms=_COMPLETION_MS),
        retrieval=replace(settings.retrieval, deadline_ms=_RETRIEVAL_MS),
    )


def with_definitions(settings: Settings, n: int) -> Settings:
    """Return the settings with another number of definitions for a completion at most."""
    return replace(settings, retrieval=replace(settings.retrieval, definitions=n))


def make_subjects(  # noqa: PLR0913 - by keyword only
    arms: Collection[str],
    *,
    model: RunningModel,
    settings: Settings,
    fingerprint: str,
    retrieve_for: RetrieveFor,
    state_of: Callable[[Path], str],
) -> list[Subject]:
    """Return one subject an arm, in the order of `ARMS`; they share the model.

    Args:
        arms: Names from `ARMS`.
        model: Running, with room for what the settings allow and for the definitions of `concatenated`.
        settings: As for `CompleterSubject`.
        fingerprint: From `fingerprint.subject_fingerprint`.
        retrieve_for: Asks the index of a case's repository.
        state_of: From a repository's folder to what changes when its files do.
    """

    def with_index(case: Case) -> str:
        return hashlib.sha256(f"{fingerprint} {state_of(case.repo)}".encode()).hexdigest()

    every: dict[str, Subject] = {
        "off": CompleterSubject("off", model, settings, retrieve_for=None, key_of=lambda _: fingerprint),
        "concatenated": CompleterSubject(
            "concatenated",
            model,
            with_definitions(settings, CONCATENATED_DEFINITIONS),
            retrieve_for=retrieve_for,
            key_of=with_index,
            feeding=Concatenated(),
        ),
        "memories": CompleterSubject(
            "memories", model, settings, retrieve_for=retrieve_for, key_of=with_index
        ),
    }
    return [every[arm] for arm in ARMS if arm in arms]


class IndexedRepositories:
    """Asks the index worker; an index is opened, vectors included, before its first question."""

    def __init__(self, client: IndexClient) -> None:
        self._client = client
        self._opened: Path | None = None

    def __call__(self, case: Case) -> Retrieve:
        """Return what asks the index of a case's repository.

        Raises:
            IndexerError: It cannot be opened.
        """
        if case.repo != self._opened:
            self._client.open(case.repo)
            self._opened = case.repo
        return partial(self._client.retrieve, case.repo, timeout_s=2e-3 * _RETRIEVAL_MS)


class RepositoryStates:
    """`repository_state` of each repository, looked up once: nothing is expected to change during a run."""

    def __init__(self) -> None:
        self._states: dict[Path, str] = {}

    def __call__(self, root: Path) -> str:
        """Return the state of a repository."""
        if root not in self._states:
            self._states[root] = repository_state(root)
        return self._states[root]
