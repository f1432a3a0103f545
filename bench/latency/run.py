"""How fast completions come, beside llama.cpp on the same machine, weights and threads.

    python bench/latency/run.py            ten minutes; fetches packages and the peer when they are not there
    python bench/latency/run.py --quick    two minutes; too few requests for figures worth quoting

Replays editing sessions through every contender, request by request in turns, then changes the retrieved
definitions, then measures both engines alone and the machine's own limits. Tables go to standard error, all
figures to `bench/results/latency-<commit>.json`; the last line of standard output is one JSON object, in
which what could not be measured is null. Without Node.js ours is measured alone. The machine should do
nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from latency.measure import FULL, QUICK, Bench
from latency.report import print_tables, summary_of, table_of
from rich.console import Console

from lsp_server.paths import Folders

_FILE_WIDTH = 160
"""Of tables that go to a file or a pipe."""
RESULTS = Path(__file__).resolve().parent.parent / "results"


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folders = Folders.of_user()
    parser.add_argument("--quick", action="store_true", help="a trial of two minutes")
    parser.add_argument("--seed", type=int, default=0, help="other functions, other pauses")
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    folders = replace(folders, models=options.models)
    # A short path: sockets lie below it, whose paths may not be long.
    with tempfile.TemporaryDirectory(prefix="crosslight-latency-", ignore_cleanup_errors=True) as scratch:
        results = Bench(plan, folders, options.cache, options.seed, Path(scratch)).run()
    console = Console(stderr=True)
    print_tables(console if console.is_terminal else Console(stderr=True, width=_FILE_WIDTH), results)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"latency-{'quick-' if options.quick else ''}{results.about['commit']}.json"
    file.write_text(json.dumps(table_of(results), indent=1) + "\n", "utf-8")
    print(json.dumps(summary_of(results)))


if __name__ == "__main__":
    main()
