"""The exceptions of `lsp_server.engine`.

UsageError (lsp_server.errors)
├── MalformedError   what an editor or an engine sent is no message
└── EngineError      no engine can be found or started
    └── GoneError    the engine that was asked is ending; another one will do
"""

from lsp_server.errors import UsageError


class MalformedError(UsageError):
    """What came is no message; nothing after it can be understood."""


class EngineError(UsageError):
    """No engine can be had; the text says why and where its log is."""


class GoneError(EngineError):
    """The engine was ending when it was asked."""
