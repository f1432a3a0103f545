"""The log: what libraries say of messages stays out of it."""

import logging

import pytest

from lsp_server.server.logs import text_of


def record(name, level, text, error=None):
    info = (type(error), error, None) if error else None
    return logging.LogRecord(name, level, "x.py", 7, text, ("user = 'code'",), info)


@pytest.mark.parametrize(
    ("name", "level", "error", "said"),
    [
        ("lsp_server.server", logging.INFO, None, "told user = 'code'"),
        ("pygls.protocol", logging.WARNING, None, "pygls.protocol:7: a message could not be handled"),
        ("pygls.protocol", logging.ERROR, ValueError("user = 'code'"), "pygls.protocol:7: ValueError"),
        ("asyncio", logging.ERROR, ValueError("user = 'code'"), "asyncio:7: ValueError"),
        ("pygls.protocol", logging.DEBUG, None, "told user = 'code'"),
    ],
)
def test_of_a_librarys_messages_only_the_kind_of_error_is_told(name, level, error, said):
    assert text_of(record(name, level, "told %s", error)) == said
