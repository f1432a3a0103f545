"""`crosslight stats`: what was suggested, and what became of it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lsp_server.cli_common import AsJson
from lsp_server.errors import UsageError
from lsp_server.paths import Folders
from lsp_server.render import print_json, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lsp_server.server.statistics import DayCounts, LanguageCounts, Summary

_CHART_COLUMNS = 50
_MOST_DAYS_IN_CHART = 30


def stats(
    days: Annotated[int, typer.Option("--days", min=1, help="How far to look back.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Show how many suggestions were shown, accepted and kept; counted on this machine, sent nowhere."""
    from lsp_server.server.statistics import summarize

    file = Folders.of_user().statistics_file
    try:
        summary = summarize(file, days)
    except sqlite3.Error as error:
        raise UsageError(f"{file} cannot be read: {error}; it may be deleted") from error
    if as_json:
        print_json(summary.to_json())
    else:
        _print(Console(), summary)


def _print(console: Console, summary: Summary) -> None:
    if not summary.total.shown:
        console.print(f"Nothing was shown in the last {summary.n_days} days.")
        return
    rows = [*summary.languages, summary.total]
    heads = ("language", "#shown", "#accepted", "#in part", "#characters", "#kept 30 s", "#kept 5 min")
    console.print(table(f"The last {summary.n_days} days", heads, [_row(counts) for counts in rows]))
    if summary.latency_ms:
        told = ", ".join(f"{name} {ms:.0f} ms" for name, ms in summary.latency_ms.items())
        console.print(f"From request to answer: {told}", highlight=False)
    console.print(_chart(summary.days), highlight=False)


def _row(counts: LanguageCounts) -> tuple[str, ...]:
    accepted = f"{counts.accepted} ({counts.accepted / max(1, counts.shown):.0%})"
    kept = ("" if share is None else f"{share:.0%}" for share in (counts.kept_30s, counts.kept_5min))
    numbers = (str(counts.partially_accepted), str(counts.characters_accepted))
    return (counts.language, str(counts.shown), accepted, *numbers, *kept)


def _chart(days: Sequence[DayCounts]) -> str:
    """Return one bar a day: what was accepted in full, the rest of what was shown in outline."""
    days = days[-_MOST_DAYS_IN_CHART:]
    most = max(day.shown for day in days)
    lines = []
    for day in days:
        shown = max(1, round(_CHART_COLUMNS * day.shown / most))
        accepted = round(shown * day.accepted / day.shown)
        lines.append(f"{day.day} {'█' * accepted}{'░' * (shown - accepted)} {day.accepted} of {day.shown}")
    return "\n".join(lines)
