"""Whether the shortlist of the output projection changes what is written.

    python bench/shortlist.py --n 100

Completes cases of the development set, all kinds in turn, memories and all, and looks at every row of logits
on the way with the whole vocabulary's eyes: counts the rows in which it would rather have had a token that is
neither listed nor offered by the prompt. Rows of drafts that were turned down and of typed bytes count too,
so no such row means that no text changed. Each is named on standard error; the last line of output is one
JSON object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

from case_benches import opened, options_for, request_of
from cases import development_set

from lsp_server import assemble
from lsp_server.completer import Completer
from lsp_server.evaluation.cases import Case
from lsp_server.paths import Folders
from model.shortlist import Float32, OfferedTokens, Projection, Shortlist


def main() -> None:
    """Measure, and print the figures."""
    options = options_for(__doc__, n=100, n_help="cases, drawn from all packages and kinds")
    cases = sorted(development_set(options.cache, frozen=False), key=lambda case: case.id)
    by_kind = [[case for case in cases if case.kind == kind] for kind in ("cross-file", "line", "block")]
    drawn = [case for turn in zip(*by_kind, strict=False) for case in turn][: options.n]
    drawn.sort(key=lambda case: str(case.repo))
    rows = list(_measured(drawn, replace(Folders.of_user(), models=options.models), options.cache))
    report = {
        "n": len(rows),
        "n_rows": sum(row["n_rows"] for row in rows),
        "outside": [name for row in rows for name in row["outside"]],
        "n_cases_that_offer": sum(row["n_offered"] > 0 for row in rows),
        "most_offered": max((row["n_offered"] for row in rows), default=0),
    }
    print(json.dumps(report, ensure_ascii=False))


class WatchedProjection(Projection):
    """A projection that also computes what it leaves out, and remembers where that would have won."""

    def __init__(self, shortlist: Shortlist, folder: Path) -> None:
        """See `Projection`."""
        super().__init__(shortlist, folder)
        self._rest = self.offer(range(shortlist.n_first, shortlist.last_from), None)
        self.begin()

    def begin(self) -> None:
        """Forget what was seen."""
        self.n_rows = 0
        self.n_offered = 0
        self.outside: list[tuple[int, float]] = []
        """Token, and how far its logit lies above the best of those that could be chosen."""

    def logits(self, listed: Float32, final: npt.NDArray[np.uint8], offered: OfferedTokens | None) -> Float32:
        """See `Projection`."""
        logits = super().logits(listed, final, offered)
        if len(final):
            whole = super().logits(listed, final, self._rest)
            best, best_of_all = logits.max(axis=1), whole.argmax(axis=1)
            self.n_rows += len(final)
            self.n_offered = max(self.n_offered, 0 if offered is None else len(offered.ids))
            for row, token in enumerate(best_of_all):
                if whole[row, token] > best[row]:
                    self.outside.append((int(token), float(whole[row, token] - best[row])))
        return logits


def _measured(cases: Sequence[Case], folders: Folders, cache: Path) -> Iterator[dict[str, Any]]:
    with opened(folders, cache / "shortlist-indexes") as bench:
        model = bench.model
        folder = assemble.open_store(folders).find(bench.settings.model.name).folder
        session = model.decoder._session  # type: ignore[attr-defined]  # noqa: SLF001 - to look inside
        if session.projection is None:
            sys.exit("this model has no shortlist")
        watched = session.projection = WatchedProjection(session.projection.shortlist, folder)
        completer = Completer(model, bench.settings)
        for number, case in enumerate(cases, 1):
            watched.begin()
            completer.forget()
            trace = completer.complete(request_of(case, bench.indexes))
            names = [
                (model.codec.token_bytes(token).decode(errors="replace"), gap)
                for token, gap in watched.outside
            ]
            row = {"n_rows": watched.n_rows, "n_offered": watched.n_offered, "outside": names}
            print(f"{number}/{len(cases)}", case.kind, repr(trace.text), row, file=sys.stderr, flush=True)
            yield row


if __name__ == "__main__":
    main()
