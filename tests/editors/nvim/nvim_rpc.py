"""Neovim as a child process that is spoken to over its standard streams, in msgpack-rpc.

Every wait has a deadline. Knows nothing of screens or completions.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgpack

T = TypeVar("T")

PATIENCE_S = 90.0
"""Nothing takes so long; only a test that failed anyway waits for it."""

_LOOK_AGAIN_S = 0.05
"""How often what no message tells of (a process that ended, a file) is looked at."""

_PROMPT = "Press ENTER"
"""Neovim answers nothing while it waits for a key, and no message of ours may make it."""

_REQUEST, _RESPONSE, _NOTIFICATION = 0, 1, 2


class NvimError(Exception):
    """What Neovim answered instead of a result."""


class Nvim:
    """One running Neovim.

    Args:
        argv: What starts it.
        environment: Its environment.
        folder: Where it is started.
        on_notification: Called with the name and the arguments of what it tells unasked.
        look: Returns the text on its screen.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        on_notification: Callable[[str, Any], None],
        look: Callable[[], str],
    ) -> None:
        self.process = subprocess.Popen(
            argv, env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._input = self.process.stdin
        self._output = self.process.stdout.fileno()
        # what is no UTF-8 in a buffer is none here, either; numbers of windows and buffers come as extensions
        self._unpacker = msgpack.Unpacker(
            unicode_errors="surrogateescape",
            strict_map_key=False,
            ext_hook=lambda _, data: msgpack.unpackb(data),
        )
        self._on_notification = on_notification
        self._look = look
        self._answers: dict[int, tuple[Any, Any]] = {}
        self._n_requests = 0

    def request(self, method: str, *arguments: Any) -> Any:
        """Call a function of Neovim's API, and return its result.

        Raises:
            NvimError: It failed.
            AssertionError: It did not answer.
        """
        self._n_requests += 1
        number = self._n_requests
        self._input.write(msgpack.packb([_REQUEST, number, method, arguments]))
        self._input.flush()
        deadline = time.monotonic() + PATIENCE_S
        while number not in self._answers:
            self._read(_LOOK_AGAIN_S)
            shown = self._look()
            assert _PROMPT not in shown, f"{method} waits behind a prompt:\n{shown}"
            assert time.monotonic() < deadline, f"{method} is not answered:\n{shown}"
        error, result = self._answers.pop(number)
        if error is not None:
            raise NvimError(error[1])
        return result

    def until(self, condition: Callable[[], T], what: str) -> T:
        """Wait until something holds, and return what it is; fail with what is shown if it never does."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < deadline, f"no {what}:\n{self._look()}"
            self._read(_LOOK_AGAIN_S)
        return found

    def close(self) -> None:
        """End the process, as it would end for a user who closes the window."""
        self._input.close()  # an embedded Neovim ends with its pipe
        try:
            self.process.wait(PATIENCE_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()

    def _read(self, timeout_s: float) -> None:
        ready, _, _ = select.select([self._output], [], [], timeout_s)
        if not ready:
            return
        block = os.read(self._output, 1 << 20)
        assert block, f"Neovim ended with exit code {self.process.wait()}"
        self._unpacker.feed(block)
        for message in self._unpacker:
            if message[0] == _RESPONSE:
                self._answers[message[1]] = (message[2], message[3])
            elif message[0] == _NOTIFICATION:
                self._on_notification(message[1], message[2])
