"""The exceptions of `lsp_server.engine`.

UsageError (lsp_server.errors)
├── MalformedError   what an editor or an engine sent is no message
└── EngineError      no engine can be found or started
    ├── GoneError    the engine that was asked is ending; another one will do
    └── HangsError   the engine that was asked does not answer at all
"""

from lsp_server.errors import UsageError


class MalformedError(UsageError):
    """What came is no message; nothing after it can be understood."""


class EngineError(UsageError):
    """No engine can be had; the text says why and where its log is."""


class GoneError(EngineError):
    """The engine was ending when it was asked."""


class HangsError(EngineError):
    """The engine took the connection, and then was silent."""

    def __init__(self, pid: int | None, silent_s: float) -> None:
        """Say so.

        Args:
            pid: Its process; None where the system does not tell.
            silent_s: For how long it was.
        """
        which = "" if pid is None else f" (process {pid})"
        super().__init__(
            f"the engine{which} did not answer within {silent_s:.0f} s; `crosslight engine stop` ends it"
        )
        self.pid = pid
