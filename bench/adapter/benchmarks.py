"""Writes `lsp_server/adapting/benchmarks.json`: what training refuses, the packages of all benches.

Names, and keys of the content of each source file; run it again when a bench gets other packages.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from crossfile import PACKAGES, fetch
from quality.packages import NPM_PACKAGES, fetch_npm

from indexer.walk import WalkReport, read_source, walk
from lsp_server.adapting import refusal
from lsp_server.paths import Folders


def main() -> None:
    """Fetch the packages, and write the list."""
    cache = Folders.of_user().index.parent / "bench"
    roots = {package.name: fetch(package, cache) for package in PACKAGES}
    roots |= {package.name: fetch_npm(package, cache) for package in NPM_PACKAGES}
    table = {}
    for name, root in sorted(roots.items()):
        data = (read_source(file, WalkReport()) for file in walk(root))
        keys = {refusal.content_key(one) for one in data if one is not None}
        table[name] = sorted(key for key in keys if key)
        print(f"{name}: {len(table[name])} files")
    file = Path(refusal.__file__).with_name("benchmarks.json")
    file.write_text(json.dumps(table, indent=0) + "\n", "utf-8")


if __name__ == "__main__":
    main()
