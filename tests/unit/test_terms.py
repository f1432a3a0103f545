import pytest

from indexer.terms import split_identifiers


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("total", ["total"]),
        ("parseHTTPHeader", ["parsehttpheader", "parse", "http", "header"]),
        ("snake_case_name", ["snake_case_name", "snake", "case", "name"]),
        ("SCREAMING_CASE", ["screaming_case", "screaming", "case"]),
        ("_private", ["_private", "private"]),
        ("__init__", ["__init__", "init"]),
        ("sha256sum", ["sha256sum", "sha", "256", "sum"]),
        ("invoice.total(self, x)", ["invoice", "total"]),
        ("größeMessen", ["größemessen", "größe", "messen"]),
        ("数据 = 1", ["数据"]),
        ("3.14 + 42", []),
        ("if self: return None", []),
        ('"; DROP TABLE -- NEAR( * ^', ["drop", "table", "near"]),
        ("", []),
    ],
)
def test_split_identifiers(text: str, terms: list[str]) -> None:
    assert split_identifiers(text) == terms
