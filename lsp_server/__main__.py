"""`python -P -m lsp_server` is the `crosslight` command, for processes that start themselves again."""

from lsp_server.cli import main

main()
