"""The figures of an evaluation as tables: on a terminal, and as Markdown with a chart beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from lsp_server.evaluation.intervals import Estimate
from lsp_server.evaluation.summary import METRICS, NLL, ArmSummary, Summary
from lsp_server.render import table

__all__ = ["CHART_FILE", "REPORT_FILE", "markdown", "print_report"]

REPORT_FILE = "report.md"
CHART_FILE = "report.png"
_TITLES: Mapping[str, str] = {
    "exact_match": "exact match",
    "edit_similarity": "edit similarity",
    "identifier_f1": "identifier F1",
    "first_token": "first token",
    "parses": "parses",
    NLL: "nats a byte",
}
_LEGEND = (
    "± is half of the 95 % interval (bootstrap over cases). exact match: the line, or the block, as its "
    "author wrote it. edit similarity: 1 - edit distance / length. identifier F1: of the names in both. "
    "first token: the first word or mark is right. parses: no more syntax errors than with the author's "
    "text. nats a byte: of the author's text, lower is better. ms: one completion with nothing reused."
)


def print_report(console: Console, summary: Summary, about: Sequence[str]) -> None:
    """Print the tables for people.

    Args:
        console: Where to.
        summary: The figures.
        about: Lines on what was measured: the model, the repository, the settings.
    """
    for line in about:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for kind, arms in summary.kinds.items():
        n = max(figures.n for figures in arms.values())
        others = [arm for arm in arms if arm in summary.differences.get(kind, {})]
        columns = (
            f"{kind} ({n})",
            *(f"#{arm}" for arm in arms),
            *(f"#{arm} - {summary.baseline}" for arm in others),
        )
        console.print()
        console.print(table("", columns, _rows_of_kind(summary, kind, others)))
    console.print()
    console.print(_LEGEND, style="bright_black", highlight=False, soft_wrap=True)


def markdown(summary: Summary, about: Sequence[str]) -> str:
    """Return the tables as Markdown."""
    lines = ["# How good the completions are", "", *(f"- {line}" for line in about), ""]
    columns = ("kind", "arm", "n", *(_TITLES[name] for name in METRICS), "p50 ms", "p95 ms")
    lines += _markdown_table(columns, list(_rows(summary)))
    differences = list(_difference_rows(summary))
    if differences:
        lines += ["", f"Differences to `{summary.baseline}`, case by case:", ""]
        lines += _markdown_table(("kind", "arm", "n", *(_TITLES[name] for name in METRICS)), differences)
    lines += ["", f"![chart]({CHART_FILE})", "", _LEGEND, ""]
    return "\n".join(lines)


def _rows_of_kind(summary: Summary, kind: str, others: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield a row a metric: each arm, then what each of `others` has more than the baseline."""
    arms = summary.kinds[kind].values()
    differences = [summary.differences[kind][arm] for arm in others]
    for name in METRICS:
        cells = [_cell(name, figures.metrics[name], sign="") for figures in arms]
        yield _TITLES[name], *cells, *(_cell(name, row.get(name), sign="+") for row in differences)
    yield "p50 ms", *(f"{figures.p50_ms:.0f}" for figures in arms), *("" for _ in others)
    yield "p95 ms", *(f"{figures.p95_ms:.0f}" for figures in arms), *("" for _ in others)


def _rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    for kind, arms in summary.kinds.items():
        for arm, figures in arms.items():
            yield kind, arm, *_cells(figures)


def _cells(figures: ArmSummary) -> Iterator[str]:
    yield str(figures.n)
    for name in METRICS:
        yield _cell(name, figures.metrics[name], sign="")
    yield f"{figures.p50_ms:.0f}"
    yield f"{figures.p95_ms:.0f}"


def _difference_rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    for kind, arms in summary.differences.items():
        for arm, row in arms.items():
            n = str(summary.kinds[kind][arm].n)
            yield kind, arm, n, *(_cell(name, row.get(name), sign="+") for name in METRICS)


def _cell(metric: str, estimate: Estimate | None, *, sign: str) -> str:
    if estimate is None:
        return "-"
    if metric == NLL:
        return f"{estimate.mean:{sign}.3f} ±{estimate.margin:.3f}"
    return f"{100 * estimate.mean:{sign}.0f} ±{100 * estimate.margin:.0f} %"


def _markdown_table(columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    rule = ["---" if column in {"kind", "arm"} else "---:" for column in columns]
    return ["| " + " | ".join(row) + " |" for row in (columns, rule, *rows)]
