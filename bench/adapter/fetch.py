"""Fetches all packages that the shipped adapter is trained on, and prints their folders, one a line."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from packages import LIST, fetch, read_list


def main() -> None:
    """Fetch what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", type=Path, default=LIST)
    parser.add_argument("cache", type=Path, help="where archives and sources go")
    options = parser.parse_args()
    for package in read_list(options.list):
        try:
            print(fetch(package, options.cache.absolute()), flush=True)
        except subprocess.CalledProcessError as error:
            sys.exit(f"{package.name} {package.version} cannot be fetched: {error}")


if __name__ == "__main__":
    main()
