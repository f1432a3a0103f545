"""What was suggested and what became of it: counted on this machine, for its user alone.

One SQLite file, a row a suggestion, without any code in it: when, in which language, how long, how fast, and
whether it was seen, accepted and kept. Written in a thread of its own; a disk that is full costs the counting
and nothing else. Knows no protocol.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

__all__ = ["DayCounts", "KeptAfter", "LanguageCounts", "Statistics", "Summary", "summarize"]

KeptAfter = Literal["30s", "5min"]

_DAYS_KEPT: Final = 400
_DAY_S: Final = 86_400.0
_PERCENTILES: Final = (50, 90, 95, 99)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS suggestion (
    id TEXT PRIMARY KEY,
    at REAL NOT NULL,             -- seconds since 1970
    language TEXT NOT NULL,
    source TEXT NOT NULL,         -- `model`, `foreseen`, or `known`: typed through, come back to
    n_characters INTEGER NOT NULL,
    latency_ms REAL NOT NULL,     -- from the request to the answer
    shown INTEGER NOT NULL,       -- whether it was seen, as far as the editor tells
    accepted_characters INTEGER,  -- NULL: not accepted; fewer than n_characters: partially
    kept_30s INTEGER,             -- whether it still stood there; NULL: not looked
    kept_5min INTEGER
);
CREATE INDEX IF NOT EXISTS suggestion_at ON suggestion (at);
"""
_OFFERED: Final = """
INSERT OR IGNORE INTO suggestion (id, at, language, source, n_characters, latency_ms, shown)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_ACCEPTED: Final = """
UPDATE suggestion SET shown = 1, accepted_characters = max(coalesce(accepted_characters, 0), ?) WHERE id = ?
"""

log = logging.getLogger(__name__)


class Statistics:
    """Counts suggestions; its methods may be called from any thread, and never wait."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Start the thread that writes.

        Args:
            file: Made when something is first counted.
            clock: Seconds since 1970.
        """
        self._file = file
        self._clock = clock
        self._queue: queue.SimpleQueue[tuple[str, Sequence[object]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="statistics", daemon=True)
        self._thread.start()

    def offered(  # noqa: PLR0913 - a row's columns
        self, id_: str, language: str, *, source: str, n_characters: int, latency_ms: float, shown: bool
    ) -> None:
        """Count a suggestion that was given to an editor, once however often what is left of it is."""
        row = (id_, self._clock(), language, source, n_characters, latency_ms, shown)
        self._queue.put((_OFFERED, row))

    def shown(self, id_: str) -> None:
        """Count a suggestion as seen."""
        self._queue.put(("UPDATE suggestion SET shown = 1 WHERE id = ?", (id_,)))

    def accepted(self, id_: str, n_characters: int) -> None:
        """Count a suggestion as accepted, or as much of it as was; the most of several times counts."""
        self._queue.put((_ACCEPTED, (n_characters, id_)))

    def kept(self, id_: str, after: KeptAfter, is_kept: bool) -> None:
        """Count whether what was accepted still stands there after a while."""
        column = {"30s": "kept_30s", "5min": "kept_5min"}[after]
        self._queue.put((f"UPDATE suggestion SET {column} = ? WHERE id = ?", (is_kept, id_)))  # noqa: S608

    def close(self) -> None:
        """Write what waits to be written."""
        self._queue.put(None)
        self._thread.join(5.0)

    def _work(self) -> None:
        database: sqlite3.Connection | None = None
        while (statement := self._queue.get()) is not None:
            try:
                database = database or _opened(self._file, self._clock() - _DAYS_KEPT * _DAY_S)
                with database:
                    database.execute(*statement)
            except (sqlite3.Error, OSError) as error:
                log.debug("not counted: %s", error)
        if database is not None:
            database.close()


def _opened(file: Path, oldest: float) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    database = sqlite3.connect(file, timeout=5.0)
    database.executescript(_SCHEMA)
    with database:
        database.execute("DELETE FROM suggestion WHERE at < ?", (oldest,))
    return database


@dataclass(frozen=True, slots=True)
class LanguageCounts:
    """What became of the suggestions in one language."""

    language: str
    shown: int
    accepted: int
    """Whole or in part."""
    partially_accepted: int
    characters_accepted: int
    kept_30s: float | None
    """Share of the accepted ones that were looked at again; None where none was."""
    kept_5min: float | None


@dataclass(frozen=True, slots=True)
class DayCounts:
    """One day's suggestions."""

    day: str
    """As the user's clock has it: `2026-11-22`."""
    shown: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told to the user."""

    n_days: int
    total: LanguageCounts
    languages: tuple[LanguageCounts, ...]
    """Most shown first."""
    days: tuple[DayCounts, ...]
    """Those on which something was shown, in order."""
    latency_ms: Mapping[str, float]
    """`p50` and the like -> from request to answer, where the model was asked; empty if it never was."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON knows them."""
        return dataclasses.asdict(self)


def summarize(file: Path, n_days: int, *, now: float | None = None) -> Summary:
    """Return what was counted in the last so many days; nothing where nothing ever was.

    Raises:
        sqlite3.Error: The file is damaged.
    """
    since = (time.time() if now is None else now) - n_days * _DAY_S
    if not file.exists():
        return Summary(n_days, _counts("all", []), (), (), {})
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute(
            "SELECT *, date(at, 'unixepoch', 'localtime') AS day FROM suggestion"
            " WHERE at >= ? AND shown ORDER BY at",
            (since,),
        ).fetchall()
    languages = [
        _counts(name, [row for row in rows if row["language"] == name])
        for name in sorted({row["language"] for row in rows})
    ]
    days = [
        DayCounts(day, len(of_day), sum(row["accepted_characters"] is not None for row in of_day))
        for day in dict.fromkeys(row["day"] for row in rows)
        if (of_day := [row for row in rows if row["day"] == day])
    ]
    latencies = sorted(row["latency_ms"] for row in rows if row["source"] == "model")
    return Summary(
        n_days=n_days,
        total=_counts("all", rows),
        languages=tuple(sorted(languages, key=lambda counts: -counts.shown)),
        days=tuple(days),
        latency_ms={f"p{p}": _percentile(latencies, p) for p in _PERCENTILES} if latencies else {},
    )


def _counts(language: str, rows: Sequence[sqlite3.Row]) -> LanguageCounts:
    accepted = [row for row in rows if row["accepted_characters"] is not None]
    return LanguageCounts(
        language=language,
        shown=len(rows),
        accepted=len(accepted),
        partially_accepted=sum(row["accepted_characters"] < row["n_characters"] for row in accepted),
        characters_accepted=sum(row["accepted_characters"] for row in accepted),
        kept_30s=_share([row["kept_30s"] for row in accepted]),
        kept_5min=_share([row["kept_5min"] for row in accepted]),
    )


def _share(flags: Sequence[int | None]) -> float | None:
    known = [flag for flag in flags if flag is not None]
    return sum(known) / len(known) if known else None


def _percentile(ordered: Sequence[float], p: int) -> float:
    """Return the nearest-rank percentile."""
    return ordered[max(0, -(-p * len(ordered) // 100) - 1)]
