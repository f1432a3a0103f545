"""Messages over what carries bytes: standard streams, sockets, Windows' pipes.

Blocking, for threads: one may receive while another sends. Sending is not locked; whoever shares a channel
sees to that.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Protocol

from lsp_server.engine.framing import FrameDecoder, header_of
from lsp_server.engine.killing import process_behind

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["Channel", "FdChannel", "PipeChannel", "SocketChannel"]

_PIECE_BYTES = 1 << 18
_JOIN_BELOW_BYTES = 1 << 16
"""Small messages go out in one write; large ones are not copied for it."""


class Channel(Protocol):
    """Carries whole messages."""

    def receive(self) -> bytes | None:
        """Wait for the next message; None at the end.

        Raises:
            MalformedError: What came is no message.
        """

    def send(self, body: bytes) -> None:
        """Send one message; blocks while the other side does not read.

        Raises:
            OSError: The other side is gone.
        """

    def close(self) -> None:
        """End both directions; whoever blocks in another thread is woken. May be called twice."""


class _ByteChannel:
    """What all carriers of bytes have in common."""

    def __init__(self) -> None:
        self._decoder = FrameDecoder()
        self._whole: deque[bytes] = deque()

    def receive(self) -> bytes | None:
        """Wait for the next message; None at the end, and where the other side broke off."""
        while not self._whole:
            try:
                data = self._read()
            except TimeoutError:
                raise
            except OSError:
                return None
            if not data:
                return None
            self._whole.extend(self._decoder.feed(data))
        return self._whole.popleft()

    def send(self, body: bytes) -> None:
        """Send one message."""
        if len(body) < _JOIN_BELOW_BYTES:
            self._write(header_of(body) + body)
        else:
            self._write(header_of(body))
            self._write(body)

    def _read(self) -> bytes:
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        raise NotImplementedError


class FdChannel(_ByteChannel):
    """Two file descriptors, such as standard input and output. Closing does not wake a reader."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        super().__init__()
        self._read_fd, self._write_fd = read_fd, write_fd
        for fd in (read_fd, write_fd):
            if os.name != "nt":
                os.set_blocking(fd, True)  # whoever made them may have set them otherwise

    def close(self) -> None:
        """Do nothing: standard streams end with the process."""

    def _read(self) -> bytes:
        return os.read(self._read_fd, _PIECE_BYTES)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._write_fd, rest[: _PIECE_BYTES * 4]) :]


class SocketChannel(_ByteChannel):
    """A connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__()
        self._socket = connected
        self.pid = process_behind(connected) if connected.family.name == "AF_UNIX" else None
        """The process at the other end; None if it is not known."""

    def close(self) -> None:
        """Shut both directions down, which wakes whoever blocks, and let the socket go."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def set_timeout(self, seconds: float | None) -> None:
        """Let receiving and sending fail after so long; None waits for ever."""
        self._socket.settimeout(seconds)

    def _read(self) -> bytes:
        return self._socket.recv(_PIECE_BYTES)

    def _write(self, data: bytes) -> None:
        self._socket.sendall(data)


class PipeChannel(_ByteChannel):
    """A named pipe of Windows, whose two directions work at the same time (overlapped)."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._timeout_s: float | None = None
        self.pid: int | None = None
        """The process at the other end, which a pipe does not tell."""

    def close(self) -> None:
        """Close the handle."""
        self._connection.close()

    def set_timeout(self, seconds: float | None) -> None:
        """Let receiving fail after so long; None waits for ever."""
        self._timeout_s = seconds

    def _read(self) -> bytes:
        try:
            if self._timeout_s is not None and not self._connection.poll(self._timeout_s):
                raise TimeoutError
            return self._connection.recv_bytes()
        except EOFError:
            return b""

    def _write(self, data: bytes) -> None:
        for begin in range(0, len(data), _PIECE_BYTES):
            self._connection.send_bytes(data[begin : begin + _PIECE_BYTES])
