"""What is kept from one keystroke to the next changes no answer, whatever was typed and wherever."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import INVOICING, write_files

from indexer.build import build_index
from indexer.cached_reader import CachedReader
from indexer.catalogue import Catalogue
from indexer.overlays import Overlays
from indexer.own_file import OwnFiles
from indexer.retrieve import retrieve
from indexer.standing import Standing
from indexer.types import RetrievalQuery, RetrievalResult

EDITED = """\
from billing.invoice import Invoice
from billing.money import (
    Money,
    convert,
)
import billing.money


class Clerk(billing.money.Teller):
    def __init__(self, invoice: Invoice) -> None:
        self.invoice = invoice
        self.money = convert(invoice.total("eur"))

    def first(self) -> Money:
        return self.money

    def remind(self, days: int) -> str:
        open_invoice = self.invoice
        money = self.first()
        if open_invoice.overdue_days(days) > 3:
            return money.shown()
        return ""


def later(clerk: Clerk):
    return clerk.remind(4)
"""
MONEY = """\
class Money:
    def shown(self) -> str:
        return ""

    def add(self, other: "Money") -> "Money":
        return self


class Teller:
    def count(self, money: Money) -> int:
        return 1


def convert(amount: float) -> Money:
    return Money()
"""
FILES = {
    **INVOICING,
    "billing/money.py": MONEY,
    "clerk.py": EDITED,
}
TYPED = [
    *"self.money.s(=:\n",
    "\n        ",
    "money = convert(",
    "invoice: Money",
    "def total(self, x: Invoice",
    ") -> Money:\n        return ",
    "from billing.money import Teller\n",
    "class Late(Clerk):\n    def remind",
    "self.invoice = Money()",
    "\n    = 3",
    "for one in self.invoice.",
    "clerk.first().",
]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[CachedReader]:
    root = write_files(tmp_path / "repository", FILES)
    with Catalogue.open(tmp_path / "catalogue.sqlite") as catalogue:
        build_index(
            root,
            catalogue=catalogue,
            open_vectors=lambda: "none here",
            on_progress=lambda _: None,
            cancelled=lambda: False,
        )
        yield CachedReader(catalogue)


def edited(text: str, at: int, rng: random.Random) -> tuple[str, int]:
    """Return a text and the cursor in it after one more edit: mostly something typed, or else a move."""
    chance = rng.random()
    if chance < 0.1:
        return text, rng.randrange(len(text) + 1)
    if chance < 0.2:
        start = max(0, at - rng.randrange(1, 30))
        return text[:start] + text[at:], start
    typed = rng.choice(TYPED)
    return text[:at] + typed + text[at:], at + len(typed)


@pytest.mark.parametrize("seed", range(6))
def test_a_warm_retriever_answers_as_a_fresh_one(reader: CachedReader, seed: int) -> None:
    rng = random.Random(seed)
    own_files, overlays, standing = OwnFiles(), Overlays(), Standing()
    text, at = EDITED, EDITED.index("        if open_invoice")
    visible = (0, 6, 150)[seed % 3]
    reader.refresh()

    def ask(query: RetrievalQuery, kept: Standing | None) -> RetrievalResult:
        result = retrieve(
            query,
            catalogue=reader,
            vectors=None,
            embedder=None,
            clock=lambda: 0.0,
            own_files=own_files,
            overlays=overlays,
            standing=kept,
        )
        assert not result.late
        return result

    for number in range(120):
        text, at = edited(text, at, rng)
        if number % 40 == 39:
            overlays.put("billing/money.py", f"def convert() -> Invoice: ...\n\n\ndef new_{number}(): ...\n")
        query = RetrievalQuery("clerk.py", text[:at], text[at:], 60, 1.0, visible_lines_before=visible)
        assert ask(query, standing) == ask(query, None), (number, text[:at])
        elsewhere = replace(query, path=None)
        assert ask(elsewhere, standing) == ask(elsewhere, None)
