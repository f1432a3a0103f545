"""The development set: fixed cursors in pinned packages, the same on every machine.

`set.tsv` lists them: repository, path, kind, first and last byte of the target, the case's id, and whether it
belongs to the frozen subset for quick turns. It was made by `python bench/quality/cases.py --draw`, which is
seeded; but the list is what counts, so that a change of the parser changes no case.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from packages import repositories

from indexer.source import decode_source
from lsp_server.evaluation.cases import Case, write_cases
from lsp_server.evaluation.draw import draw_cases
from lsp_server.paths import Folders

SET_FILE = Path(__file__).with_name("set.tsv")
_PER_REPOSITORY = {"cross-file": 44, "line": 42, "block": 16}
_FROZEN = {"cross-file": 24, "line": 24, "block": 12}
_SEED = 1


def development_set(cache: Path, *, frozen: bool) -> list[Case]:
    """Return the whole set or its frozen subset, and leave it in the cache for `crosslight eval --cases`."""
    roots = {root.name: root for root in repositories(cache)}
    cases = list(_listed(roots, only_frozen=frozen))
    write_cases(cases, cache / f"quality-{'frozen' if frozen else 'development'}.jsonl")
    return cases


def _listed(roots: dict[str, Path], *, only_frozen: bool) -> Iterator[Case]:
    for line in SET_FILE.read_text("utf-8").splitlines()[1:]:
        repository, path, kind, start, end, id_, is_frozen = line.split("\t")
        if only_frozen and is_frozen != "1":
            continue
        data = decode_source((roots[repository] / path).read_bytes()).encode()
        parts = data[: int(start)], data[int(start) : int(end)], data[int(end) :]
        prefix, target, suffix = (part.decode("utf-8", "replace") for part in parts)
        case = Case(roots[repository], path, prefix, suffix, target, kind)
        if case.id != id_:
            sys.exit(f"{roots[repository] / path} is not the file that the set was drawn from")
        yield case


def _draw(roots: Iterable[Path]) -> None:
    """Write the list."""
    cases = [
        case
        for root in roots
        for kind, n in _PER_REPOSITORY.items()
        for case in draw_cases(root, n=n, seed=_SEED, kinds=[kind])
    ]
    frozen = _choose_frozen(cases)
    lines = ["repository\tpath\tkind\tstart\tend\tid\tfrozen"]
    for case in cases:
        start = len(case.prefix.encode())
        end = start + len(case.target.encode())
        row = (case.repo.name, case.path, case.kind, start, end, case.id, int(case.id in frozen))
        lines.append("\t".join(map(str, row)))
    SET_FILE.write_text("\n".join(lines) + "\n", "utf-8")


def _choose_frozen(cases: list[Case]) -> set[str]:
    """Return ids, as evenly over the repositories as it goes."""
    by_kind: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        by_kind[case.kind][case.repo.name].append(case.id)
    generator = random.Random(_SEED)
    chosen: set[str] = set()
    for kind, n in _FROZEN.items():
        piles = [generator.sample(ids, len(ids)) for ids in by_kind[kind].values()]
        chosen.update([id_ for turn in range(n) for pile in piles for id_ in pile[turn : turn + 1]][:n])
    return chosen


def main() -> None:
    """Say what the set holds, or draw it anew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Folders.of_user().index.parent / "bench")
    parser.add_argument("--draw", action="store_true", help="make another list")
    options = parser.parse_args()
    if options.draw:
        _draw(repositories(options.cache))
    cases = development_set(options.cache, frozen=False)
    for (repository, kind), n in sorted(Counter((case.repo.name, case.kind) for case in cases).items()):
        print(f"{repository:40} {kind:12} {n}")
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main()
