"""`crosslight` on a terminal of its own, where Ctrl-C is a key."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from command import Command

_PATIENCE_S = 120.0
_CONTROL_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command whose input and errors are a terminal; its output goes to a pipe, and is not looked at."""

    def __init__(self, command: Command, *arguments: object) -> None:
        self._controller, terminal = pty.openpty()
        # setsid makes the terminal the command's own: the kernel then turns Ctrl-C into SIGINT for its group;
        # where the tests run in the background, that is ignored, and children would inherit it
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "env", "--default-signal=INT", *command.argv(*arguments)],
            cwd=command.home,
            env=command.environment | {"TERM": "xterm"},
            stdin=terminal,
            stdout=subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._controller)

    @property
    def shown(self) -> str:
        """What the terminal was sent so far, without colours, cursor movements and the echo of Ctrl-C."""
        return _CONTROL_SEQUENCES.sub("", self._shown).replace("^C", "")

    def wait_for(self, pattern: str) -> None:
        """Return when the terminal shows what matches."""
        while not re.search(pattern, self.shown):
            assert self._read(), f"ended without showing {pattern!r}: {self.shown}"

    def wait_until_it_has(self, file_name: str) -> None:
        """Return when the process has a file of that name open or in memory."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self._has(file_name):
            assert self.process.poll() is None, f"ended before it had {file_name}: {self.shown}"
            assert time.monotonic() < deadline, f"never had {file_name}: {self.shown}"
            select.select([], [], [], 0.005)

    def wait_for_cpu_seconds(self, seconds: float) -> None:
        """Return when the process has computed for so long."""
        process = psutil.Process(self.process.pid)
        while sum(process.cpu_times()[:2]) < seconds:
            assert self.process.poll() is None, f"ended before: {self.shown}"
            select.select([], [], [], 0.02)

    def press_ctrl_c(self) -> None:
        """Send what the key sends."""
        os.write(self._controller, b"\x03")

    def finish(self) -> int:
        """Read until the command ends, and return its exit code."""
        while self._read():
            pass
        return self.process.wait(_PATIENCE_S)

    def _has(self, file_name: str) -> bool:
        folder = Path(f"/proc/{self.process.pid}")
        try:
            if file_name in (folder / "maps").read_text():
                return True
            return any(link.readlink().name == file_name for link in (folder / "fd").iterdir())
        except OSError:  # it ended, or closed the file in between
            return False

    def _read(self) -> bool:
        """Read what is shown next; False at the end."""
        ready, _, _ = select.select([self._controller], [], [], _PATIENCE_S)
        assert ready, f"nothing happened for {_PATIENCE_S:.0f} s: {self.shown}"
        try:
            block = os.read(self._controller, 65536)
        except OSError:  # Linux says so when the last process has closed the terminal
            return False
        self._shown += block.decode(errors="replace")
        return bool(block)
