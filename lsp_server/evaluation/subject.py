"""What is evaluated: something that completes cases, under the name of an arm.

`CompleterSubject` is Crosslight itself, with one way to feed definitions. Another way is another subject, and
so is a peer: anything with an arm, a key and answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from indexer.errors import IndexerError
from indexer.languages import language_of
from indexer.types import RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.completer import Completer, CompletionRequest, Retrieve, RunningModel
from lsp_server.config import Settings
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.likelihood import target_likelihood
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.feeding import Feeding

__all__ = ["Answer", "CompleterSubject", "RetrieveFor", "Subject", "language_in"]

RetrieveFor = Callable[[Case], Retrieve]
"""Gives what asks the index of a case's repository."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a subject made of a case. Plain values only: this is what a results file holds."""

    text: str
    """As shown to the user; empty where nothing is."""
    replaces: int
    """Characters after the cursor that the text takes the place of."""
    elapsed_ms: float
    """From the cursor to the text, nothing reused from another completion."""
    nats: float | None
    """Of the target; None where the subject tells no probabilities."""
    n_scored_bytes: int
    stop_reason: str = ""
    suppression_reason: str | None = None
    n_definitions: int = 0
    """That the model was given."""
    notes: tuple[str, ...] = ()
    """Retrievers that were late or could not answer."""


class Subject(Protocol):
    """Something that completes."""

    @property
    def arm(self) -> str:
        """Its name in tables."""
        ...

    def key(self, case: Case) -> str:
        """Return what, besides arm and case, decides on the answer: model, settings, code, index."""
        ...

    def answer(self, case: Case) -> Answer:
        """Complete a case as for a user, and score its target."""
        ...


class CompleterSubject:
    """Crosslight with one model, completing from a cold cache.

    The deadlines of the settings hold here too; who measures quality gives generous ones.
    """

    def __init__(  # noqa: PLR0913 - the last three by keyword only
        self,
        arm: str,
        model: RunningModel,
        settings: Settings,
        *,
        retrieve_for: RetrieveFor | None,
        key_of: Callable[[Case], str],
        feeding: Feeding | None = None,
    ) -> None:
        """Make a subject.

        Args:
            arm: Its name.
            model: May be shared by subjects that take turns.
            settings: How much is read and written.
            retrieve_for: None completes from the file alone.
            key_of: See `Subject.key`.
            feeding: See `Completer`.
        """
        self.arm = arm
        self._model = model
        self._completer = Completer(model, settings, feeding)
        self._retrieve_for = retrieve_for
        self._key_of = key_of

    def key(self, case: Case) -> str:
        """Return what, besides arm and case, decides on the answer."""
        return self._key_of(case)

    def answer(self, case: Case) -> Answer:
        """Complete a case, and score its target by the prompt that the completion was made from.

        Raises:
            IndexerError: Retrieval failed. A completion would go on without; a measurement must not.
        """
        recorder = None
        if self._retrieve_for is not None:
            recorder = _Recorder(without_own_target(case, self._retrieve_for(case)))
        request = CompletionRequest(
            repo_name=case.repo.name,
            path=case.path,
            language=language_in(case),
            prefix=case.prefix,
            suffix=case.suffix,
            retrieve=recorder,
        )
        self._completer.forget()
        trace = self._completer.complete(request)
        if recorder is not None and recorder.error is not None:
            raise recorder.error
        prompt, fed = self._completer.read(request, recorder.retrieved if recorder else ())
        likelihood = target_likelihood(self._model.decoder, self._model.codec, prompt, fed.parts, case.target)
        return Answer(
            text=trace.text,
            replaces=trace.replaces,
            elapsed_ms=trace.phases_ms["total"],
            nats=likelihood.nats,
            n_scored_bytes=likelihood.n_bytes,
            stop_reason=trace.stop_reason,
            suppression_reason=trace.suppression_reason,
            n_definitions=sum(definition.n_tokens > 0 for definition in trace.retrieved),
            notes=trace.retrieval_notes,
        )


def language_in(case: Case) -> str | None:
    """Return the language of a case's file by the index's names, None if it is unknown."""
    spec = language_of(case.path, case.prefix[:200].encode("utf-8", "replace"))
    return spec.name if spec else None


class _Recorder:
    """Asks, and remembers the answer or the failure."""

    def __init__(self, retrieve: Retrieve) -> None:
        self._retrieve = retrieve
        self.retrieved: tuple[Retrieved, ...] = ()
        self.error: IndexerError | None = None

    def __call__(self, query: RetrievalQuery) -> RetrievalResult:
        try:
            result = self._retrieve(query)
        except IndexerError as error:
            self.error = error
            raise
        self.retrieved = result.retrieved
        return result
