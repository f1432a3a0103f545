"""The exceptions of `lsp_server`.

UsageError    what a user asked for cannot be done as asked (a path, a position, a setting)

Errors of `indexer` and `model` pass through as they are; the command line turns all of them into one line
on standard error and an exit code.
"""


class UsageError(Exception):
    """What the user asked for cannot be done; its text says what, where, and what to do."""
