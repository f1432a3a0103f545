import pytest

from lsp_server.engine.websocket import refusal

TOKEN = "s3cret"
GOOD = f"/?token={TOKEN}"


@pytest.mark.parametrize(
    ("path", "origins", "named"),
    [
        (GOOD, [], []),
        (GOOD, [], ["https://editor.example"]),
        (GOOD, ["https://editor.example"], ["https://editor.example"]),
        (f"/lsp?a=b&token={TOKEN}", [], []),
    ],
)
def test_who_knows_the_token_and_is_no_foreign_page_may_connect(
    path: str, origins: list[str], named: list[str]
) -> None:
    assert refusal(path, origins, TOKEN, named) is None


@pytest.mark.parametrize(
    ("path", "origins", "named", "why"),
    [
        ("/", [], [], "token"),
        ("/?token=", [], [], "token"),
        ("/?token=s3cre", [], [], "token"),
        ("/?token=s3cret1", [], [], "token"),
        ("/?token=s3cr\u00e4t", [], [], "token"),
        (f"{GOOD}&token=other", [], [], "token"),
        (f"{GOOD}&token={TOKEN}", [], [], "token"),
        (GOOD, ["https://evil.example"], [], "origin"),
        (GOOD, ["null"], [], "origin"),
        (GOOD, [""], [], "origin"),
        (GOOD, ["https://evil.example"], ["https://editor.example"], "origin"),
        (GOOD, ["https://editor.example.evil.example"], ["https://editor.example"], "origin"),
        (GOOD, ["http://editor.example"], ["https://editor.example"], "origin"),
        (GOOD, ["https://editor.example", "https://evil.example"], ["https://editor.example"], "origin"),
        (GOOD, ["https://editor.example"] * 2, ["https://editor.example"], "origin"),
    ],
)
def test_everyone_else_is_refused_with_the_reason(
    path: str, origins: list[str], named: list[str], why: str
) -> None:
    assert why in str(refusal(path, origins, TOKEN, named))
