"""What an indexing run says while it goes on, and when it is done; both have one JSON form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

Phase = Literal["wait", "scan", "parse", "link", "embed", "compact"]
"""`wait`: another run of this repository goes on. `scan`: look for files that changed. `parse`: read and
parse those, and store what they hold. `link`: resolve imports. `embed`: make the vectors that are missing.
`compact`: tidy up after many writes."""


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far a run is."""

    phase: Phase
    n_done: int
    """Files, but definitions while embedding."""
    n_total: int
    per_second: float
    """Of this phase, so far."""
    n_definitions: int
    """Written by this run, so far."""


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What an index holds after a run, and what the run did."""

    root: str
    is_complete: bool
    """False if the run was cancelled; what it had done stays, and the next run finishes the work."""
    n_files: int
    n_lines: int
    n_definitions: int
    n_embedded: int
    """Definitions with a vector."""
    embedder: str | None
    files_by_language: Mapping[str, int]
    """Most files first."""
    left_out: Mapping[str, int]
    """Reason -> how many files, a folder counting once; most first."""
    left_out_examples: Mapping[str, tuple[str, ...]]
    n_files_written: int
    """New or changed since the last run."""
    n_files_unchanged: int
    n_files_removed: int
    n_definitions_added: int
    n_definitions_changed: int
    n_definitions_moved: int
    n_definitions_removed: int
    seconds: Mapping[str, float]
    """Phase -> wall time."""
    disk_bytes: int
    notes: tuple[str, ...] = field(default=())
    """What a user should know: vectors that are missing and why, an index that was made anew."""

    @property
    def total_seconds(self) -> float:
        """The wall time of the run."""
        return sum(self.seconds.values())

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON knows them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` was made from."""
        examples = {reason: tuple(paths) for reason, paths in values["left_out_examples"].items()}
        return cls(**{**values, "left_out_examples": examples, "notes": tuple(values["notes"])})


VECTORS_TO_BE_MADE: Final = "there are none yet; an indexing run makes them"
"""Why there are no vectors where nothing but a run is missing."""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What is known of one repository's index."""

    root: str
    folder: str
    exists: bool
    n_files: int = 0
    n_lines: int = 0
    n_definitions: int = 0
    n_embedded: int = 0
    embedder: str | None = None
    files_by_language: Mapping[str, int] = field(default_factory=dict)
    disk_bytes: int = 0
    is_indexing: bool = False
    no_vectors: str | None = None
    """Why retrieval goes without vectors at this moment; None when it has them."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON knows them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` was made from."""
        return cls(**values)
