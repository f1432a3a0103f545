import pytest

from lsp_server.engine.errors import MalformedError
from lsp_server.engine.jsonrpc import encode, failure, parse


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"id": 1}',
        b'{"id": [1], "method": "a"}',
        b'{"id": true, "method": "a"}',
        b'{"method": 5}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_said(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(body)


def test_parameters_by_position_are_none_by_name() -> None:
    assert parse(b'{"method": "a", "params": [1]}').params == {}
    assert parse(b'{"method": "a"}').params == {}


def test_half_a_character_survives_writing() -> None:
    assert parse(encode({"method": "a", "params": {"t": "\ud83d"}})).params == {"t": "\ud83d"}


def test_an_error_may_carry_data() -> None:
    assert parse(failure(1, 2, "m", {"retry": True})).values["error"]["data"] == {"retry": True}
