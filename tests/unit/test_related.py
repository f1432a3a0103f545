"""What an open file is likely to need: in which order, from the buffer as it is, each definition once."""

from __future__ import annotations

from memory_catalogue import MemoryCatalogue, definition

from indexer.own_file import OwnFiles
from indexer.related import related
from indexer.types import Import, RelatedQuery

PATH = "app/main.py"
INVOICE = definition("billing/invoice.py", "Invoice", kind="class", signature="class Invoice")
TOTAL = definition("billing/invoice.py", "Invoice.total", kind="method", line=1)
OVERDUE = definition("billing/invoice.py", "Invoice.overdue", kind="method", line=2)
ISSUE = definition("billing/invoice.py", "issue", line=9)
CANCEL = definition("billing/invoice.py", "cancel", line=12)
PRIVATE = definition("billing/invoice.py", "_checked", line=15)
CONVERT = definition("billing/rates.py", "convert")
ROUND = definition("billing/rates.py", "round_up", line=4)
TEST = definition("tests/test_it.py", "test_it", role="test")
MAIL = definition("mail.py", "send")
FAR = definition("far.py", "far_away")
OWN = definition(PATH, "remind", "def remind(): ...")


def from_module(module: str, name: str, path: str) -> tuple[Import, tuple[str, ...]]:
    return Import(name, module, name, 0), (path,)


CATALOGUE = MemoryCatalogue(
    [INVOICE, TOTAL, OVERDUE, ISSUE, CANCEL, PRIVATE, CONVERT, ROUND, TEST, MAIL, FAR, OWN],
    imports={
        PATH: [
            from_module("billing.rates", "convert", "billing/rates.py"),
            from_module("billing.invoice", "Invoice", "billing/invoice.py"),
        ],
        "shop.py": [
            from_module("billing.invoice", "Invoice", "billing/invoice.py"),
            from_module("mail", "send", "mail.py"),
        ],
        "elsewhere.py": [from_module("far", "far_away", "far.py")],
    },
    users={"cancel": 7, "issue": 2},
    uses={PATH: ["Invoice", "Invoice", "total", "convert", "remind"]},
)


def names(n: int = 99, prefix: str | None = None, visible_lines_before: int = 0) -> list[str]:
    query = RelatedQuery(PATH, n, prefix, visible_lines_before=visible_lines_before)
    found = related(query, catalogue=CATALOGUE, own_files=OwnFiles())
    assert len({d.id for d in found}) == len(found)
    return [d.qualified_name for d in found]


def test_imports_come_first_then_the_files_own_then_neighbours() -> None:
    assert names() == [
        "Invoice",  # used twice
        "Invoice.total",  # named in the file
        "convert",
        "remind",
        "Invoice.overdue",
        "cancel",  # in more files than the next
        "issue",
        "round_up",
        "send",  # what another file imports that imports the same
    ]


def test_n_bounds_the_answer_and_keeps_its_beginning() -> None:
    assert names(3) == names()[:3]
    assert names(0) == []


def test_an_unsaved_import_counts() -> None:
    assert names(prefix="from mail import send\n\nsend(send)\n")[0] == "send"


def test_an_import_that_was_deleted_does_not_count() -> None:
    assert "far_away" not in names(prefix="x = 1\n")
    assert "Invoice" not in names(prefix="x = 1\n")


def test_own_definitions_are_those_of_the_buffer_out_of_sight() -> None:
    text = "def first(): ...\n\n\n\ndef second(): ...\n"
    assert names(prefix=text) == ["first", "second"]
    assert names(prefix=text, visible_lines_before=3) == ["first"]


def test_a_file_that_is_not_indexed_has_what_its_buffer_imports() -> None:
    query = RelatedQuery("new.py", 2, "from billing.invoice import Invoice\nInvoice.overdue\n")
    found = related(query, catalogue=CATALOGUE, own_files=OwnFiles())
    assert found == (INVOICE, OVERDUE)


def test_of_an_imported_module_what_is_named_comes_first() -> None:
    query = RelatedQuery("new.py", 1, "from billing import rates\nrates.round_up(1)\n")
    assert related(query, catalogue=CATALOGUE, own_files=OwnFiles()) == (ROUND,)


def test_a_file_that_nobody_knows_has_nothing() -> None:
    assert related(RelatedQuery("gone.py", 5), catalogue=CATALOGUE, own_files=OwnFiles()) == ()
