"""Messages in a stream of bytes: `Content-Length`, an empty line, and so many bytes.

The base protocol of LSP 3.18. Knows nothing of what a message says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsp_server.engine.errors import MalformedError

__all__ = ["MAX_MESSAGE_BYTES", "FrameDecoder", "header_of", "length_in"]

MAX_MESSAGE_BYTES = 256 << 20
"""A document of 100 MB, with every character escaped, still fits; a length beyond it is a mistake."""
_MAX_HEADER_BYTES = 4096
_END = b"\r\n\r\n"
_HEADER = re.compile(rb"([A-Za-z-]+): *([^\r\n]*)")
_CONTENT_TYPES = (b"utf-8", b"utf8")


class FrameDecoder:
    """Takes bytes as they come, in whatever pieces, and yields whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._length: int | None = None
        """Of the message whose header was read."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the bodies of the messages that are whole now.

        Raises:
            MalformedError: What came is no header; nothing after it can be understood.
        """
        self._buffer += data
        while True:
            if self._length is None:
                self._length = self._take_header()
            if self._length is None or len(self._buffer) < self._length:
                return
            body = bytes(memoryview(self._buffer)[: self._length])
            del self._buffer[: self._length]
            self._length = None
            yield body

    def _take_header(self) -> int | None:
        """Return the length that a whole header tells, None if more must come."""
        end = self._buffer.find(_END, 0, _MAX_HEADER_BYTES)
        if end < 0:
            if len(self._buffer) >= _MAX_HEADER_BYTES:
                raise MalformedError(f"a header is longer than {_MAX_HEADER_BYTES} bytes")
            self._refuse_foreign_start()
            return None
        length = length_in(bytes(self._buffer[:end]))
        del self._buffer[: end + len(_END)]
        return length

    def _refuse_foreign_start(self) -> None:
        """Tell another protocol by its first line, before a whole header of it came."""
        line, newline, _ = self._buffer.partition(b"\n")
        if newline:
            _field_of(bytes(line).rstrip(b"\r"))


def header_of(body: bytes) -> bytes:
    """Return what must be sent before a message."""
    return b"Content-Length: %d\r\n\r\n" % len(body)


def length_in(header: bytes) -> int:
    """Return the length that a header tells, given without the empty line that ends it.

    Raises:
        MalformedError: It is no header.
    """
    length = None
    for line in header.split(b"\r\n"):
        name, value = _field_of(line)
        if name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > 12 or int(value) > MAX_MESSAGE_BYTES:
                raise MalformedError(f"a header says Content-Length: {value[:40].decode('ascii', 'replace')}")
            length = int(value)
        elif b"charset=" in value and not value.lower().endswith(_CONTENT_TYPES):
            raise MalformedError("a message is not in UTF-8")
    if length is None:
        raise MalformedError("a header has no Content-Length")
    return length


def _field_of(line: bytes) -> tuple[bytes, bytes]:
    """Return a header field; any other than the two that the protocol has is refused.

    So a request of another protocol is never taken for a message: a web page can make a browser send HTTP to
    a port of this machine, with a body of its own choice, but not without HTTP's own headers before it.
    """
    match = _HEADER.fullmatch(line)
    if match is None or match[1].lower() not in {b"content-length", b"content-type"}:
        raise MalformedError(f"this is no header of the language server protocol: {line[:60]!r}")
    return match[1].lower(), match[2].strip()
