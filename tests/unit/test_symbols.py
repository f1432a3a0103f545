"""Reading names, receivers, headers and declarations off the text around a cursor."""

from __future__ import annotations

import pytest

from indexer.buffer import import_statements
from indexer.declarations import chain_at_end, declared, return_type, returned
from indexer.headers import enclosing_class, enclosing_function, open_call
from indexer.symbols import read_surroundings
from indexer.window import MAX_LINE_CHARACTERS, names_in, window_after, window_before

PYTHON = """\
class Billing(Base[Money], metaclass=Meta):
    def __init__(self, client: Client, *, retries: int = 3) -> None:
        self.client = client
        self.pool = await Pool.create(3)

    async def total(
        self,
        invoice: Invoice,
        currency: "Currency",
    ) -> Money:
        value = await convert(invoice.amount, currency)
        with Session(a) as session:
            pass
        for item in self.items.values():
            if isinstance(node, (Leaf, Branch)):
                """


@pytest.mark.parametrize(
    ("text", "chain", "partial"),
    [
        ("x = ", (), ""),
        ("x = fo", (), "fo"),
        ("return self.client.fe", ("self", "client"), "fe"),
        ("get_provider().", ("get_provider()",), ""),
        ("print(self.client.get(1, [2])[0].na", ("self", "client", "get()[]"), "na"),
        ("foo(a.b(", (), ""),
        ("std::vector::be", ("std", "vector"), "be"),
        ("node->ne", ("node",), "ne"),
        ("user?.na", ("user",), "na"),
        ('x = ".".', (), ""),
        ("", (), ""),
    ],
)
def test_the_chain_before_the_cursor(text: str, chain: tuple[str, ...], partial: str) -> None:
    assert chain_at_end(text) == (chain, partial)


@pytest.mark.parametrize(
    ("name", "types", "values"),
    [
        ("client", ("Client",), ()),
        ("self.client", (), (("client",),)),
        ("self.pool", (), (("Pool", "create()"),)),
        ("invoice", ("Invoice",), ()),
        ("currency", ("Currency",), ()),
        ("value", (), (("convert()",),)),
        ("session", (), (("Session()",),)),
        ("item", (), (("self", "items", "values()[]"),)),
        ("node", ("Leaf", "Branch"), ()),
        ("nothing", (), ()),
    ],
)
def test_how_a_name_is_declared(
    name: str, types: tuple[str, ...], values: tuple[tuple[str, ...], ...]
) -> None:
    found = declared(name, PYTHON)
    assert (found.types, found.values) == (types, values)


@pytest.mark.parametrize(
    ("name", "line", "types", "values"),
    [
        ("total", "const total: Money = sum(rows);", ("Money",), (("sum()",),)),
        ("it", "const it = new Invoice(3);", (), (("Invoice()",),)),
        ("it", "it := billing.NewInvoice(3)", (), (("billing", "NewInvoice()"),)),
        ("it", "Invoice it = make();", ("Invoice",), (("make()",),)),
        ("it", "let it = Invoice::new(3);", (), (("Invoice", "new()"),)),
        ("it", "if it == Invoice(3):", (), ()),
        ("it", "unit = Invoice(3)", (), ()),
    ],
)
def test_declarations_in_other_languages(
    name: str, line: str, types: tuple[str, ...], values: tuple[tuple[str, ...], ...]
) -> None:
    found = declared(name, line)
    assert (found.types, found.values) == (types, values)


@pytest.mark.parametrize(
    ("signature", "names"),
    [
        ("def f(a: X) -> Foo[Bar]:", ("Foo", "Bar")),
        ("function f(a: X): Promise<Foo> {", ("Promise", "Foo")),
        ("fn f(a: X) -> Foo {", ("Foo",)),
        ("def f(a: X):", ()),
    ],
)
def test_return_types(signature: str, names: tuple[str, ...]) -> None:
    assert return_type(signature) == names


def test_the_return_type_of_a_function_over_several_lines() -> None:
    assert returned("total", PYTHON) == ("Money",)
    assert returned("absent", PYTHON) == ()


def test_what_encloses_the_cursor() -> None:
    assert enclosing_class(PYTHON) == ("Billing", ("Base", "Money", "metaclass", "Meta"))
    name, header = enclosing_function(PYTHON)
    assert name == "total"
    assert names_in(header) == ("invoice", "Invoice", "currency", "Currency", "Money")


@pytest.mark.parametrize(
    ("text", "class_name", "bases", "function_name"),
    [
        ("class A extends B {\n  total(x) {\n    ", "A", ("B",), "total"),
        (
            "public class A implements B {\n    public Money total(Invoice i) {\n        ",
            "A",
            ("B",),
            "total",
        ),
        ("impl Shape for Circle {\n    fn area(&self) -> f64 {\n        ", "Shape", ("Circle",), "area"),
        ("func (b *Billing) Total(i Invoice) Money {\n\t", "", (), "Total"),
        ("def outer():\n    pass\n\n\nx = ", "", (), ""),
        ("class A:\n    pass\n\n\nclass B(C):\n    x = ", "B", ("C",), ""),
        ("", "", (), ""),
    ],
)
def test_enclosing_headers_by_language(
    text: str, class_name: str, bases: tuple[str, ...], function_name: str
) -> None:
    assert enclosing_class(text)[0] == class_name
    assert set(bases) <= set(enclosing_class(text)[1])
    assert enclosing_function(text)[0] == function_name


@pytest.mark.parametrize(
    ("text", "callee"),
    [
        ("x = foo(", "foo"),
        ("x = a.foo(1, bar(2), ", "foo"),
        ("foo([x for x in ", "foo"),
        ("foo()", ""),
        ('foo(")", ', "foo"),
        ("if (", ""),
        ("foo({", ""),
    ],
)
def test_the_call_that_is_open(text: str, callee: str) -> None:
    assert open_call(text) == callee


def test_mentions_are_nearest_first_and_counted() -> None:
    around = read_surroundings("alpha = 1\nbeta = alpha\ngamma.delta(al", ", alpha)\nomega()\n")
    first = [(m.name, m.n_lines, m.after) for m in around.mentions[:3]]
    assert first == [("delta", 0, False), ("gamma", 0, False), ("alpha", 0, True)]
    by_name = {m.name: m for m in around.mentions}
    assert by_name["delta"].receiver == ("gamma",)
    assert by_name["delta"].called
    assert by_name["alpha"].n_uses == 3
    assert around.partial == "al"
    assert "al" not in by_name


def test_keywords_are_no_names() -> None:
    assert names_in("async def f(self, x: int) -> None: return await x") == ("f", "x")


@pytest.mark.parametrize("text", ["x" * 10**6, "a\n" * 10**6, "é(" * 10**6])
def test_windows_have_bounds(text: str) -> None:
    assert len(window_before(text)) <= 40_000
    assert len(window_after(text)) <= 41 * (MAX_LINE_CHARACTERS + 1)


def test_import_statements_are_taken_whole() -> None:
    buffer = (
        "import a\nx = 1\nfrom b import (\n    c,\n    d,\n)\ndef f():\n    from e import g\n    y = (1,\n"
    )
    assert import_statements(buffer) == "import a\nfrom b import (\n    c,\n    d,\n)\nfrom e import g"


@pytest.mark.parametrize(
    "line",
    [
        "import { a } from './a'",
        "const b = require('./b')",
        "export * from './c'",
        '#include "d.h"',
        "use crate::e::F;",
        "using Acme.Billing;",
        "require_relative 'g'",
    ],
)
def test_import_statements_of_other_languages(line: str) -> None:
    assert import_statements(f"x\n{line}\ny\n") == line
