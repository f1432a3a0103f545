"""What the command line prints for people; JSON is printed elsewhere.

On a terminal ghost text is dim italic, as editors show it; without colour it stands between « and ».
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from indexer.report import IndexSummary
from indexer.types import Retrieved
from lsp_server.doctor import Finding
from lsp_server.document import Document
from lsp_server.trace import CompletionTrace, DefinitionTrace
from model.disk import human_bytes

_GHOST = "italic bright_black"
_WHY_NOTHING = {
    "empty": "the model has nothing to add here",
    "deadline": "completion.deadline_ms was over before anything was written",
    "control_text": "the model wrote a control token as text",
    "damaged_text": "the model wrote characters that no source has",
    "prose": "the model wrote about the code instead of writing it",
    "repeats_rest_of_line": "it would repeat what follows the cursor on its line",
    "repeats_next_line": "it would repeat the next line",
    "unbalanced": "it would close a bracket that is closed already",
    "before_text": "the cursor stands in the indentation of a line that is written already",
    "inside_word": "it would run into the word after the cursor",
    "parses_worse": "the file would have more syntax errors with it",
}
_LINES_BEFORE = 4
_LINES_AFTER = 2


def ghost_text(document: Document, trace: CompletionTrace, *, marked: bool) -> Text:
    """Return the lines around the cursor with the completion in place, each with its line number."""
    before, opening, typed = document.prefix.replace("\r\n", "\n").rpartition("\n")
    rest = document.suffix[trace.replaces :].replace("\r\n", "\n")
    tail, _, following = rest.partition("\n")
    # what stood there, what is inserted, what follows it
    shown: list[tuple[str, str, str]] = (
        [(line, "", "") for line in before.split("\n")[-_LINES_BEFORE:]] if opening else []
    )
    ghost = trace.text.replace("\r\n", "\n").split("\n")
    for i, line in enumerate(ghost):
        shown.append((typed if i == 0 else "", line, tail if i == len(ghost) - 1 else ""))
    shown += [(line, "", "") for line in following.split("\n")[:_LINES_AFTER]]
    first = document.line - (len(before.split("\n")[-_LINES_BEFORE:]) if opening else 0)
    width = len(str(first + len(shown)))
    text = Text()
    for number, (plain, inserted, after) in enumerate(shown, start=first):
        text.append(f"{number:>{width}} | ", style="cyan")
        text.append(plain)
        if inserted:
            text.append(f"«{inserted}»" if marked else inserted, style=_GHOST)
        text.append(f"{after}\n")
    return text


def print_completion(console: Console, document: Document, trace: CompletionTrace) -> None:
    """Print a completion in place, the definitions it was given, and where the time went."""
    console.print(
        ghost_text(document, trace, marked=console.no_color or not console.is_terminal), soft_wrap=True
    )
    if trace.suppression_reason is not None:
        why = _WHY_NOTHING.get(trace.suppression_reason, trace.suppression_reason)
        console.print(f"Nothing is shown: {why} ({trace.suppression_reason})", style="yellow")
    for definition in trace.retrieved:
        console.print(
            f"  {definition.rank}. {definition.path}:{definition.line} {definition.qualified_name} "
            f"({_given(definition)}): {'; '.join(definition.reasons)}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    for source in trace.sources:
        definition = trace.retrieved[source.rank - 1]
        place = f"{definition.path}:{definition.line} {definition.qualified_name}"
        console.print(
            f"  {source.text}: {source.share:.0%} of all that it looked at was {place}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    for note in trace.retrieval_notes:
        console.print(f"  {note}", style="yellow", markup=False, soft_wrap=True)
    phases = ", ".join(f"{phase} {ms:.0f} ms" for phase, ms in trace.phases_ms.items())
    computed = sum(segment.computed for segment in trace.tokens.values())
    console.print(
        f"  {phases}; {computed} tokens read, {trace.n_generated_tokens} written, "
        f"stopped by {trace.stop_reason}; {trace.model} on {trace.provider}",
        style="bright_black",
        highlight=False,
        soft_wrap=True,
    )


def _given(definition: DefinitionTrace) -> str:
    """What the model was given of a definition, and how much it looked at it."""
    if definition.memory == "left out":
        return "not encoded yet"
    if not definition.n_tokens:
        return "did not fit"
    parts = [f"{definition.n_tokens} tokens", definition.memory]
    if definition.attention_share is not None:
        parts.append(f"{definition.attention_share:.0%} of the attention on these")
    return ", ".join(filter(None, parts))


def print_definitions(console: Console, found: Sequence[Retrieved]) -> None:
    """Print what a search found, best first."""
    for row in found:
        d = row.definition
        console.print(
            Text.assemble(
                (f"{d.path}:{d.span.start_line + 1}", "cyan"), "  ", (d.qualified_name, "bold"), f"  {d.kind}"
            ),
            soft_wrap=True,
        )
        console.print(f"    {d.signature}", markup=False, soft_wrap=True)
        why = "; ".join(f"{reason.retriever}: {reason.detail}" for reason in row.reasons)
        console.print(f"    {why}", style="bright_black", markup=False, highlight=False, soft_wrap=True)


def print_summary(console: Console, summary: IndexSummary) -> None:
    """Print what an index holds, what the run did, and what was left out and why."""
    languages = ", ".join(f"{name} {n}" for name, n in summary.files_by_language.items())
    changed = (
        f"{summary.n_files_written} files read, {summary.n_files_unchanged} unchanged, "
        f"{summary.n_files_removed} gone"
    )
    phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in summary.seconds.items())
    lines = [
        f"{summary.root}: {summary.n_definitions} definitions in {summary.n_files} files",
        f"  {summary.n_lines} lines ({languages or 'no code'})",
        f"  {changed}; {summary.n_embedded} vectors; {human_bytes(summary.disk_bytes)} on disk",
        f"  {summary.total_seconds:.1f} s ({phases})",
    ]
    for reason, n in summary.left_out.items():
        lines.append(f"  left out, {reason}: {n} ({_examples(summary.left_out_examples.get(reason, ()), n)})")
    if not summary.is_complete:
        lines.append("  stopped early: run it again to finish; nothing is done twice")
    for line in (*lines, *(f"  {note}" for note in summary.notes)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print what the doctor found, a line each, with its cure below."""
    marks = {"ok": Text("ok     ", style="green"), "warning": Text("warning", style="yellow")}
    for finding in findings:
        mark = marks.get(finding.level, Text("error  ", style="bold red"))
        console.print(
            Text.assemble(mark, "  ", (finding.subject, "bold"), f": {finding.detail}"), soft_wrap=True
        )
        if finding.cure:
            console.print(Text(f"         cure: {finding.cure}"), soft_wrap=True)


def print_json(value: object) -> None:
    """Print plain values as JSON, for programs."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def _examples(paths: Sequence[str], n: int) -> str:
    return ", ".join(paths) + (", ..." if n > len(paths) else "")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a plain table; columns named with a leading `#` hold numbers and align right."""
    result = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        result.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left")
    for row in rows:
        result.add_row(*row)
    return result
