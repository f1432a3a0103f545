"""The `crosslight` command, also as `python -P -m lsp_server`, for processes that start themselves again.

Imports nothing of ours at the top: Ctrl-C is not a traceback while the command line is still loading either,
and `crosslight serve`, of which every editor window runs one, never loads the command line.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line and run it."""
    try:
        if sys.argv[1:2] == ["serve"]:
            from lsp_server.engine import serve  # noqa: PLC0415 - see above

            serve.main(sys.argv[2:])
        from lsp_server import cli  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        print("crosslight: interrupted", file=sys.stderr)
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
