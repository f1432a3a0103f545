"""`crosslight eval` on a small repository, as a user runs it."""

from __future__ import annotations

import json

import pytest
from command import write_repository

FILES = {
    "shop/__init__.py": "",
    "shop/billing.py": '''class Invoice:
    """What a customer owes."""

    def __init__(self, customer_name: str, currency_code: str) -> None:
        self.customer_name = customer_name
        self.currency_code = currency_code
''',
    "shop/app.py": """from shop.billing import Invoice


def bill(customer_name: str) -> Invoice:
    invoice = Invoice(customer_name, "EUR")
    invoice.currency_code = invoice.currency_code.upper()
    return invoice


def copy(invoice: Invoice) -> Invoice:
    again = Invoice(invoice.customer_name, invoice.currency_code)
    return again
""",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return write_repository(tmp_path_factory.mktemp("eval") / "shop", FILES)


def test_a_users_repository_is_evaluated_and_nothing_is_done_twice(crosslight, shop):
    arguments = ("eval", shop, "--n", "2", "--json")
    first = crosslight(*arguments)
    assert first.returncode == 0, first
    table = json.loads(first.stdout)
    assert set(table["kinds"]) == {"cross-file", "line", "block"}
    for arms in table["kinds"].values():
        assert set(arms) == {"off", "concatenated", "memories"}
        for figures in arms.values():
            assert figures["n"] == 2
            assert figures["nll_per_byte"]["mean"] > 0
            assert 0 <= figures["exact_match"]["low"] <= figures["exact_match"]["high"] <= 1
    assert "18 of 18 answers\n" in first.stderr
    second = crosslight(*arguments)
    assert "18 of 18 answers, 18 from earlier runs" in second.stderr
    assert json.loads(second.stdout) == table


def test_given_cases_are_completed_whatever_the_disk_says(crosslight, shop, tmp_path):
    case = {
        "repo": str(shop),
        "path": "shop/new.py",
        "prefix": "from shop.billing import Invoice\n\ninvoice = Invoice(",
        "suffix": "\n",
        "target": '"Ada", "EUR")',
    }
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(case) + "\n")
    out = crosslight.ok("eval", "--cases", file, "--arm", "concatenated")
    assert "given (1)" in out
    assert "nats a byte" in out


def test_what_cannot_be_evaluated_is_said_in_one_line(crosslight, shop, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no code" in crosslight.complaint("eval", tmp_path / "empty")
    assert "does not exist" in crosslight.complaint("eval", tmp_path / "gone")
    assert "cannot be read" in crosslight.complaint("eval", "--cases", tmp_path / "gone.jsonl")
    assert "leave PATH out" in crosslight.complaint("eval", shop, "--cases", tmp_path / "gone.jsonl")
