"""Completes lines of a real installed package at seeded random cursors, beside what its author wrote.

`make try` runs it. It shows that the installation works; it is no measure of quality: the package is popular
and the model may have seen it. What follows each cursor on its line is cut off before the model sees it, and
the file's own definitions around the cursor are not retrieved.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
import statistics
from contextlib import closing
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path

from installed import package_folder
from rich.console import Console

from indexer.languages import language_of
from lsp_server import assemble
from lsp_server.completer import Completer
from lsp_server.config import Settings
from lsp_server.console import complain, index_with_bar
from lsp_server.document import Document
from lsp_server.paths import Folders
from lsp_server.render import print_completion, print_summary
from lsp_server.requests import make_request

MIN_TARGET_CHARACTERS = 6


@dataclass(frozen=True, slots=True)
class Case:
    """A file cut at a cursor, and the rest of the line as its author wrote it."""

    document: Document
    target: str


def main() -> None:
    """Index the package, complete the cursors, print each and the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", default="rich", help="an installed package")
    parser.add_argument("--n", type=int, default=6, help="how many cursors")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    root = package_folder(arguments.package)
    folders, settings, console = Folders.of_user(), Settings(), Console()
    with (
        assemble.connect_index(folders) as client,
        closing(assemble.start_model(folders, settings, complain)) as model,
    ):
        print_summary(console, index_with_bar(client, root, force=False))
        completer = Completer(model, settings)
        scores, exact, times_ms = [], 0, []
        for case in draw_cases(root, arguments.n, arguments.seed):
            request = make_request(case.document, root, partial(client.retrieve, root), multi_line=False)
            trace = completer.complete(request)
            written, target = trace.text.strip(), case.target.strip()
            scores.append(SequenceMatcher(None, written, target, autojunk=False).ratio())
            exact += written == target
            times_ms.append(trace.phases_ms["total"])
            file = case.document.file.relative_to(root.parent)
            console.rule(f"{file}:{case.document.line}:{case.document.column}", align="left")
            print_completion(console, case.document, trace)
            console.print("  the author wrote: ", end="")
            console.print(target, style="bold", markup=False, highlight=False, soft_wrap=True)
            console.print(f"  edit similarity {scores[-1]:.2f}", highlight=False)
    console.rule()
    console.print(
        f"{exact} of {len(scores)} lines exactly as their author wrote them; edit similarity "
        f"{statistics.mean(scores):.2f}; median {statistics.median(times_ms):.0f} ms a completion",
        highlight=False,
        soft_wrap=True,
    )


def draw_cases(root: Path, n: int, seed: int) -> list[Case]:
    """Return `n` cursors in different files of a package, the same for the same seed."""
    generator = random.Random(seed)
    files = [file for file in sorted(root.rglob("*.py")) if language_of(file.name)]
    generator.shuffle(files)
    cases: list[Case] = []
    for file in files:
        if len(cases) == n:
            break
        text = file.read_text(encoding="utf-8")
        cursors = possible_cursors(text)
        if cursors:
            start = generator.choice(cursors)
            end = text.index("\n", start)
            cases.append(Case(Document(file, text[:start], text[end:]), text[start:end]))
    return cases


def possible_cursors(text: str) -> list[int]:
    """Return the offsets after a bracket, dot, comma or operator in one-line statements of functions."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    statements = {
        statement.lineno - 1
        for function in functions
        for statement in ast.walk(function)
        if isinstance(statement, ast.Assign | ast.Return | ast.AugAssign | ast.Expr)
        and statement.lineno == statement.end_lineno
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    }
    return [
        starts[number] + match.end()
        for number in sorted(statements)
        for match in re.finditer(r"[(.,=\[]\s?", lines[number])
        if len(lines[number][match.end() :].strip()) >= MIN_TARGET_CHARACTERS
    ]


if __name__ == "__main__":
    main()
