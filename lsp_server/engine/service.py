"""The language server as an engine hosts it: one model and one index client for all editors."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lsp_server import assemble
from lsp_server.engine.hosting import BoundedSender
from lsp_server.server.connection import run_connection

if TYPE_CHECKING:
    from lsp_server.config import LoadedSettings
    from lsp_server.paths import Folders
    from lsp_server.server.host import Host

__all__ = ["HostedServer", "make_service"]


class HostedServer:
    """One language-server object a connection, on one host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def run(self, reader: asyncio.StreamReader, sender: BoundedSender) -> int:
        """Serve one editor until its stream ends."""
        return await run_connection(reader, sender, self._host)

    def facts(self) -> dict[str, Any]:
        """Return the model's state."""
        state = self._host.model.state
        return {"model": {"state": state.kind, "message": state.message}}

    def close(self) -> None:
        """End the model, and what goes on for repositories."""
        self._host.close()


def make_service(folders: Folders, loaded: LoadedSettings) -> HostedServer:
    """Return the language server of a user, which begins to load its model in the background."""
    return HostedServer(assemble.start_host(folders, loaded.settings, loaded.problems))
