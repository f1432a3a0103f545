"""Answers at rest, one JSON object a line, so that a run that was ended goes on where it stood.

A row is found again by case, arm and everything else that decides on an answer. Rows are only ever appended,
each with one write: a run that is killed loses at most the case it was at, and a line that was cut short is
passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lsp_server.errors import UsageError
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.subject import Answer, Subject

__all__ = ["ResultFile"]


class ResultFile:
    """The answers that a file holds, and more as they are made."""

    def __init__(self, file: Path) -> None:
        """Read the file, which need not exist yet.

        Raises:
            UsageError: It cannot be read, or its folder cannot be made.
        """
        self.file = file
        try:
            # they hold the user's code
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lines = file.read_text("utf-8", "replace").split("\n") if file.exists() else []
        except OSError as error:
            raise UsageError(
                f"{error.filename or file} cannot be used for results: {error.strerror}"
            ) from error
        self._answers = dict(row for line in lines if (row := _row(line)) is not None)
        self._ends_in_line = bool(lines) and lines[-1] != ""

    def clear(self) -> None:
        """Forget all answers."""
        self.file.unlink(missing_ok=True)
        self._answers.clear()
        self._ends_in_line = False

    def get(self, case: Case, subject: Subject) -> Answer | None:
        """Return the answer that the subject gave before, as it is now; None if it has to be asked."""
        return self._answers.get(_key(case, subject))

    def add(self, case: Case, subject: Subject, answer: Answer) -> None:
        """Append an answer."""
        key = _key(case, subject)
        row = {"key": key, "case": case.id, "arm": subject.arm, "path": case.path, "answer": asdict(answer)}
        text = "\n" * self._ends_in_line + json.dumps(row, ensure_ascii=False) + "\n"
        handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, text.encode("utf-8", "replace"))
        finally:
            os.close(handle)
        self._ends_in_line = False
        self._answers[key] = answer


def _key(case: Case, subject: Subject) -> str:
    parts = json.dumps((case.id, subject.arm, subject.key(case)))
    return hashlib.sha256(parts.encode()).hexdigest()[:24]


def _row(line: str) -> tuple[str, Answer] | None:
    try:
        row: dict[str, Any] = json.loads(line)
        answer = row["answer"]
        return str(row["key"]), Answer(**{**answer, "notes": tuple(answer["notes"])})
    except (ValueError, KeyError, TypeError):
        return None
