"""Whether the shortlist of the output projection changes what is written.

    python bench/shortlist.py --n 100

Completes cases of the development set, all kinds in turn, memories and all, and looks at every row of logits
on the way with the whole vocabulary's eyes: counts the rows in which it would rather have had a token that is
neither listed nor offered by the prompt. Rows of drafts that were turned down and of typed bytes count too,
so no such row means that no text changed. Each is named on standard error; the last line of output is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

from cases import development_set
from run import Indexes

from indexer.open_index import EmbedderSource
from lsp_server import assemble
from lsp_server.completer import Completer, CompletionRequest
from lsp_server.config import Settings
from lsp_server.evaluation.arms import unhurried
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.evaluation.subject import language_in
from lsp_server.paths import Folders
from model.shortlist import Float32, OfferedTokens, Projection, Shortlist

_NICENESS = 10


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folders = Folders.of_user()
    parser.add_argument("--n", type=int, default=100, help="cases, drawn from all packages and kinds")
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    options = parser.parse_args()
    os.nice(_NICENESS)
    cases = sorted(development_set(options.cache, frozen=False), key=lambda case: case.id)
    by_kind = [[case for case in cases if case.kind == kind] for kind in ("cross-file", "line", "block")]
    drawn = [case for turn in zip(*by_kind, strict=False) for case in turn][: options.n]
    drawn.sort(key=lambda case: str(case.repo))
    rows = list(_measured(drawn, replace(folders, models=options.models), options.cache))
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
    settings = unhurried(Settings())
    model = assemble.start_model(folders, settings)
    folder = assemble.open_store(folders).find(settings.model.name).folder
    with ExitStack() as stack:
        stack.callback(model.close)
        embedders = EmbedderSource(lambda: assemble.make_embedder(folders, settings))
        indexes = Indexes(cache / "shortlist-indexes", embedders)
        stack.callback(indexes.close)
        session = model.decoder._session  # type: ignore[attr-defined]  # noqa: SLF001 - to look inside
        if session.projection is None:
            sys.exit("this model has no shortlist")
        watched = session.projection = WatchedProjection(session.projection.shortlist, folder)
        completer = Completer(model, settings)
        for number, case in enumerate(cases, 1):
            watched.begin()
            completer.forget()
            trace = completer.complete(
                CompletionRequest(
                    repo_name=case.repo.name,
                    path=case.path,
                    language=language_in(case),
                    prefix=case.prefix,
                    suffix=case.suffix,
                    retrieve=without_own_target(case, indexes.retrieve_for(case)),
                )
            )
            names = [
                (model.codec.token_bytes(token).decode(errors="replace"), gap)
                for token, gap in watched.outside
            ]
            row = {"n_rows": watched.n_rows, "n_offered": watched.n_offered, "outside": names}
            print(f"{number}/{len(cases)}", case.kind, repr(trace.text), row, file=sys.stderr, flush=True)
            yield row


if __name__ == "__main__":
    main()
