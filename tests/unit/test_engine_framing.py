import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.engine.errors import MalformedError
from lsp_server.engine.framing import MAX_MESSAGE_BYTES, FrameDecoder, header_of


def framed(*bodies: bytes) -> bytes:
    return b"".join(header_of(body) + body for body in bodies)


@given(st.lists(st.binary(max_size=200), max_size=8), st.lists(st.integers(0, 2000), max_size=20))
def test_messages_come_out_whole_however_their_bytes_are_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = framed(*bodies)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    decoder = FrameDecoder()
    found = [body for begin, end in itertools.pairwise(places) for body in decoder.feed(stream[begin:end])]
    assert found == bodies


def test_a_byte_at_a_time_is_enough() -> None:
    decoder = FrameDecoder()
    found = [body for byte in framed(b"{}", b"[1]") for body in decoder.feed(bytes([byte]))]
    assert found == [b"{}", b"[1]"]


@pytest.mark.parametrize(
    "header",
    [
        b"content-length: 2\r\n\r\n",
        b"Content-Length:2\r\n\r\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 2\r\n\r\n",
        b"Content-Length: 2\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\n\r\n",
    ],
)
def test_what_the_protocol_allows_is_read(header: bytes) -> None:
    assert list(FrameDecoder().feed(header + b"{}")) == [b"{}"]


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\r\n\r\n{}", "no header"),
        (b"Content-Type: a\r\n\r\n{}", "no Content-Length"),
        (b"Content-Length: -2\r\n\r\n{}", "Content-Length: -2"),
        (b"Content-Length: two\r\n\r\n{}", "Content-Length: two"),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "Content-Length: 3"),
        (b"Content-Length: %d\r\n\r\n" % (MAX_MESSAGE_BYTES + 1), "Content-Length"),
        (b"Content-Length: 1" + b"0" * 5000, "longer than"),
        (b"Content-Length: 2\r\nContent-Type: a; charset=utf-16\r\n\r\n{}", "UTF-8"),
        (b'{"jsonrpc": "2.0"}\n', "no header"),
        (b"\xff" * 5000, "longer than"),
    ],
)
def test_what_is_no_header_is_said(stream: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        list(FrameDecoder().feed(stream))


def test_a_web_pages_request_is_refused_before_its_body_is_read() -> None:
    decoder = FrameDecoder()
    with pytest.raises(MalformedError, match="no header of the language server protocol"):
        list(decoder.feed(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"))
