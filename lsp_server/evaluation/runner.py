"""Asks every subject for every case that it has not answered yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.results import ResultFile
from lsp_server.evaluation.subject import Answer, Subject

__all__ = ["Outcome", "RunProgress", "run"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case in one arm."""

    case: Case
    arm: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is."""

    n_done: int
    """Answers, those of earlier runs included."""
    n_total: int
    n_kept: int
    """Answers that earlier runs had given."""
    arm: str
    case: Case


def run(
    cases: Sequence[Case],
    subjects: Sequence[Subject],
    results: ResultFile,
    *,
    on_progress: Callable[[RunProgress], None] = lambda _: None,
) -> list[Outcome]:
    """Return the answers of all subjects to all cases; those in the results file are not asked again.

    All subjects answer a case before the next one, so that what slows the machine down slows all arms down.
    Cases of one repository follow each other: its index is open then. Ctrl-C at any moment keeps all answers
    but the one that was being made.
    """
    return list(_answers(cases, subjects, results, on_progress))


def _answers(
    cases: Sequence[Case],
    subjects: Sequence[Subject],
    results: ResultFile,
    on_progress: Callable[[RunProgress], None],
) -> Iterator[Outcome]:
    in_order = sorted(cases, key=lambda case: str(case.repo))
    n_done = n_kept = 0
    for case in in_order:
        for subject in subjects:
            answer = results.get(case, subject)
            if answer is None:
                try:
                    answer = subject.answer(case)
                except KeyboardInterrupt as stop:
                    stop.add_note(
                        f"{n_done} of {len(cases) * len(subjects)} answers are kept; run it again to go on"
                    )
                    raise
                results.add(case, subject, answer)
            else:
                n_kept += 1
            n_done += 1
            on_progress(RunProgress(n_done, len(cases) * len(subjects), n_kept, subject.arm, case))
            yield Outcome(case, subject.arm, answer)
