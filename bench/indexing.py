"""How fast a repository is indexed: cold, unchanged, and after a change of one file.

Runs the real command on a copy of a source tree (the running interpreter's standard library unless another
is named), with an index folder of its own, and prints one JSON object. Wall times are those of the whole
command, the worker's start included where it had to start; `seconds` are the run's own phases. The peak of
memory is the worker's, without the short-lived processes that parse (Linux only).

    .venv/bin/python bench/indexing.py [FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

CROSSLIGHT = Path(sys.executable).with_name("crosslight")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(sysconfig.get_path("stdlib")))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crosslight-bench-") as scratch:
        root = Path(scratch) / "repository"
        ignored = shutil.ignore_patterns("site-packages", "__pycache__")
        shutil.copytree(arguments.folder, root, ignore=ignored, ignore_dangling_symlinks=True)
        environment = os.environ | {"XDG_CACHE_HOME": scratch, "XDG_RUNTIME_DIR": scratch}
        try:
            print(json.dumps(measure(root, environment), indent=2))
        finally:
            subprocess.run([CROSSLIGHT, "index-worker", "--stop"], env=environment, check=False)


def measure(root: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Index three times: all, nothing, one file."""
    cold = run(root, environment)
    unchanged = run(root, environment)
    changed_file = max(
        root.rglob("*.py"), key=lambda file: file.stat().st_size if file.stat().st_size < 60_000 else 0
    )
    changed_file.write_text(
        changed_file.read_text("utf-8") + "\n\ndef appended_by_the_benchmark():\n    return 1\n"
    )
    changed = run(root, environment)
    assert changed["n_files_written"] == 1, changed
    return {
        "n_files": cold["n_files"],
        "n_lines": cold["n_lines"],
        "n_definitions": cold["n_definitions"],
        "n_embedded": cold["n_embedded"],
        "disk_bytes": cold["disk_bytes"],
        "lines_per_s": round(cold["n_lines"] / cold["wall_s"]),
        "worker_peak_rss_mb": worker_peak_rss_mb(root.parent),
        "cold": times(cold),
        "unchanged": times(unchanged),
        "one_file_changed": times(changed),
    }


def run(root: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run `crosslight index --json` and return its summary with the wall time."""
    started = time.perf_counter()
    done = subprocess.run(
        [CROSSLIGHT, "index", root, "--json"], env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary | {"wall_s": time.perf_counter() - started}


def worker_peak_rss_mb(cache: Path) -> int | None:
    """Return the largest resident size of the index worker that works below `cache`."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        is_worker = "index-worker" in (process.info["cmdline"] or ())
        if is_worker and Path(process.info["cwd"] or "/").is_relative_to(cache):
            status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
            peak_kb = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
            return int(peak_kb) // 1024
    return None


def times(summary: dict[str, Any]) -> dict[str, Any]:
    """Keep what a table needs."""
    phases = {phase: round(seconds, 3) for phase, seconds in summary["seconds"].items()}
    return {"wall_s": round(summary["wall_s"], 2), "seconds": phases}


if __name__ == "__main__":
    main()
