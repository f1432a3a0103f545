"""Progress bars in the editor: one a repository's indexing run, one for the model's loading.

A bar that would be gone at once is not shown. Editors without progress bars see nothing of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from typing import Final

from lsprotocol import types

from lsp_server.server.protocol import ConnectionServer

__all__ = ["Bar"]

_APPEARS_AFTER_S: Final = 0.4


class Bar:
    """One progress bar, shown by a task of its own as the latest update says."""

    def __init__(
        self, server: ConnectionServer, title: str, on_cancel: Callable[[], None] | None = None
    ) -> None:
        """Show a bar soon.

        Args:
            server: The connection.
            title: What goes on.
            on_cancel: Called when the user cancels it; None offers no button.
        """
        self._server = server
        self._title = title
        self._on_cancel = on_cancel
        self._message = ""
        self._percentage: int | None = None
        self._is_over = False
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._show())

    def update(self, message: str, percentage: int | None = None) -> None:
        """Tell how far it is, if that is known."""
        self._message = message
        self._percentage = percentage
        self._changed.set()

    def end(self, message: str = "") -> None:
        """Take the bar away."""
        self._message, self._is_over = message, True
        self._changed.set()

    def cancel(self) -> None:
        """Forget the bar: the connection has ended."""
        self._task.cancel()

    async def _show(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._until_over(), _APPEARS_AFTER_S)
            return
        token, progress = uuid.uuid4().hex, self._server.work_done_progress
        try:
            await progress.create_async(token)
        except Exception:  # noqa: BLE001 - an editor that refuses a bar is none the worse without it
            return
        if self._on_cancel is not None:
            on_cancel = self._on_cancel
            progress.tokens[token].add_done_callback(
                lambda future: on_cancel() if future.cancelled() else None
            )
        progress.begin(
            token,
            types.WorkDoneProgressBegin(
                title=self._title,
                cancellable=self._on_cancel is not None,
                message=self._message or None,
                percentage=self._percentage,
            ),
        )
        while not self._is_over:
            await self._changed.wait()
            self._changed.clear()
            if not self._is_over:
                report = types.WorkDoneProgressReport(message=self._message, percentage=self._percentage)
                progress.report(token, report)
        progress.end(token, types.WorkDoneProgressEnd(message=self._message or None))
        progress.tokens.pop(token, None)

    async def _until_over(self) -> None:
        while not self._is_over:
            self._changed.clear()
            await self._changed.wait()
