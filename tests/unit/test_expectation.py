"""What a line asks for, and which definitions fit."""

from __future__ import annotations

import pytest
from memory_catalogue import definition

from indexer.expectation import Expectation
from indexer.symbols import read_surroundings

ERROR = definition("e.py", "UserError", kind="class", signature="class UserError(Exception)")
INVOICE = definition("i.py", "Invoice", kind="class", signature="class Invoice")
FETCH = definition("c.py", "fetch", signature="async def fetch() -> Invoice")
MAKE = definition("c.py", "make", signature="def make(invoice: Invoice, n: int) -> Invoice")
OTHER = definition("c.py", "other", signature="def other() -> int")
METHOD = definition("c.py", "C.total", kind="method", signature="def total(self)")


def signs(line: str, found: object = INVOICE, header: str = "") -> set[str]:
    around = read_surroundings(f"{header}    {line}", "")
    named = Expectation(around, [MAKE]).signs(found)  # type: ignore[arg-type]
    return {sign if value > 0 else f"-{sign}" for sign, value in named.items()}


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ("raise ", ERROR, {"raised"}),
        ("raise Us", ERROR, {"raised"}),
        ("except (KeyError, ", ERROR, {"raised"}),
        ("throw new ", ERROR, {"raised", "as_type"}),
        ("x = ", ERROR, {"unraised"}),
        ("x = await ", FETCH, {"awaited"}),
        ("x = await ", OTHER, {"-awaited"}),
        ("x = ", FETCH, {"unawaited"}),
        ("", FETCH, set()),
        ("", METHOD, {"statement_method"}),
        ("def f(a: ", INVOICE, {"as_type"}),
        ("def f(a) -> ", INVOICE, {"as_type"}),
        ("isinstance(x, ", INVOICE, {"as_type"}),
        ("x: ", INVOICE, {"as_type"}),
        ("x = ", INVOICE, set()),
        ("x: Invoice = ", INVOICE, {"fits_type"}),
        ("x: Invoice = ", MAKE, {"fits_type"}),
        ("x: list[Invoice] = await ", FETCH, {"fits_type", "awaited"}),
        ("x: Invoice = ", OTHER, set()),
        ("y = make(invoice=", INVOICE, {"fits_type"}),
        ("y = make(invoice=", OTHER, set()),
        ("y = make(n=", INVOICE, set()),
    ],
)
def test_what_a_line_asks_for(line: str, found: object, expected: set[str]) -> None:
    assert signs(line, found) == expected


def test_a_return_asks_for_what_the_function_is_said_to_return() -> None:
    header = "def f(a: int) -> Invoice:\n"
    assert signs("return ", INVOICE, header) == {"fits_type"}
    assert signs("return ", OTHER, header) == set()


@pytest.mark.parametrize("line", ["(" * 5_000, "raise " * 1_000, "isinstance(" * 500, "x: " * 1_000, "\x00"])
@pytest.mark.timeout(5)
def test_odd_lines_are_safe(line: str) -> None:
    signs(line, ERROR)
