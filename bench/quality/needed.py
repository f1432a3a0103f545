"""What the targets of the development set need: the definitions that their text names or calls.

For Python `jedi` tells, as in `bench/crossfile.py`, for every name in the target, on all of its lines, and
for the name that stands just before the cursor. A definition of the case's own file counts where the prompt
does not show it. For TypeScript no analyser is at hand that shares no code with our retrieval; there a name
counts that is defined in exactly one file of the repository, other than the case's, and so cannot be
mistaken: it is the easier half of the truth, and is to be reported apart.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

from crossfile import Needed, SourceFile, goto, load_jedi, open_file, tokens_of

from indexer.catalogue import Catalogue
from lsp_server.evaluation.cases import Case

VISIBLE_LINES = (70, 20)
"""About what the prompt shows before and after the cursor with default settings."""
_FORMAT = 1
_NAME = re.compile(r"(?<![\w$.'\"`])(\.?)([A-Za-z_$][\w$]*)")
_BEFORE_CURSOR = re.compile(r"([A-Za-z_$][\w$]*)[(.]\Z")


def needed_by_python(cases: Sequence[Case], cache: Path) -> dict[str, tuple[Needed, ...]]:
    """Return case id -> what its target needs; made on the first call and kept in `cache`."""
    stored = cache / "cases" / f"quality-needed-{_FORMAT}.json"
    known: dict[str, list[dict[str, object]]] = json.loads(stored.read_text()) if stored.exists() else {}
    missing = [case for case in cases if case.path.endswith(".py") and case.id not in known]
    if missing:
        jedi = load_jedi(cache)
        for case_id, needed in _of_python(missing, jedi):
            known[case_id] = [asdict(one) for one in needed]
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_text(json.dumps(known))
    return {
        case.id: tuple(Needed(**row) for row in known[case.id])  # type: ignore[arg-type]
        for case in cases
        if case.path.endswith(".py")
    }


def needed_by_typescript(case: Case, catalogue: Catalogue) -> tuple[Needed, ...]:
    """Return what an approximation says that a target needs; only names that can mean one thing count."""
    before = _BEFORE_CURSOR.search(case.prefix)
    names = {(bool(dot), name) for dot, name in _NAME.findall(case.target)}
    names |= {(False, before[1])} if before else set()
    found: list[Needed] = []
    for is_member, name in sorted(names):
        definitions = [d for d in catalogue.definitions_named([name]) if d.language == "typescript"]
        files = {d.path for d in definitions}
        fits = all((d.kind == "method") == is_member for d in definitions)
        if len(name) > 2 and len(files) == 1 and case.path not in files and fits:
            found += [Needed(d.path, d.name, d.span.end_line - 1) for d in definitions[:1]]
    return tuple(found)


def _of_python(cases: Sequence[Case], jedi: ModuleType) -> Iterator[tuple[str, tuple[Needed, ...]]]:
    by_file: defaultdict[tuple[Path, str], list[Case]] = defaultdict(list)
    for case in cases:
        by_file[case.repo, case.path].append(case)
    projects: dict[Path, object] = {}
    for (root, path), of_file in by_file.items():
        if root not in projects:
            projects[root] = jedi.Project(root, sys_path=[], load_unsafe_extensions=False)
        file = open_file(root.name, root, root / path, jedi, projects[root])
        for case in of_file:
            yield case.id, tuple(dict.fromkeys(_of_case(case, file))) if file is not None else ()


def _of_case(case: Case, file: SourceFile) -> Iterator[Needed]:
    first, column = case.prefix.count("\n"), len(case.prefix) - (case.prefix.rfind("\n") + 1)
    n_lines = case.target.count("\n")
    last_column = column + len(case.target) if n_lines == 0 else len(case.target.rsplit("\n", 1)[1])
    for line in range(first, first + n_lines + 1):
        low = column if line == first else 0
        high = last_column if line == first + n_lines else 10**9
        for start, end, name in tokens_of(file.lines[line].rstrip("\r\n")):
            is_before = line == first and end + 1 == column and file.lines[line][end] in "(."
            if not name.isidentifier() or len(name) < 2 or not (low <= start < high or is_before):
                continue
            found = goto(file, line, start, name, own_file_too=True)
            if found is not None and _counts(found, case, first, n_lines):
                yield found


def _counts(found: Needed, case: Case, first: int, n_target_lines: int) -> bool:
    """Return whether a definition is another file's, or one of this file that the prompt does not show."""
    if found.path != case.path:
        return True
    n_before, n_after = VISIBLE_LINES
    return found.line <= first - n_before or found.line >= first + n_target_lines + n_after
