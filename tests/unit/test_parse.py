"""One snippet a language in, rows out; then what holds for all languages and all bytes."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.parse import parse_file
from indexer.source import decode_source
from indexer.types import Definition, Import, ParsedFile

PYTHON = '''
import os.path as p, sys
from ..billing import (invoice as inv, Line)
from . import x
from m import *

MAX_RETRIES = 3
Vector = list[float]
app = FastAPI()
logger = get_logger()
plain = 1
__all__ = ["Invoice"]

# About invoices.
@dataclass
class Invoice(Base, abc.ABC, Generic[T]):
    """An invoice.

    More of it.
    """

    number: str
    TABLE = {
        1: 2,
        2: 2,
        3: 2,
        4: 2,
        5: 2,
        6: 3,
    }

    def __init__(self, a, b: int):
        super().__init__()
        self.a = a
        self.b: int = b
        self.a = 2

    # The sum.
    @property
    def total(self, currency: str = "x") -> Money:  # noqa
        """Sum of the lines."""
        def inner(): pass
        return sum(self.lines)

    class Meta:
        def f(self): return 1

async def go(a,
       b): return await total(a)
'''

TYPESCRIPT = """
import d, { a as b } from './x';
import * as ns from "../ns";
import './side';
export { q as r } from './q';
export * from './all';
const { u, v: w } = require('m');
/** Adds. */
export const add = (a: number, b: number): number => { return a + b; };
export const LIMIT = 3;
export type ID = string | number;
enum Color { Red }
/**
 * An invoice.
 *
 * More of it.
 */
@Component({selector: 'x'})
export class Invoice<T> extends Base implements Priced {
  private readonly n: number = 1;
  constructor(private x: Foo) { super(); this.n = x.n; }
  total(c: Currency): Money { return new Money(c); }
  handler = (e) => { go(e); };
}
export interface Priced { get(): Money }
function over(a: string): void;
function over(a: any) { }
"""

JAVASCRIPT = """
const Foo = require('./foo');
class A extends Foo { static x = () => { y(); }; #p() {} }
exports.hello = function hello(n) { return n };
Foo.prototype.bar = function () { return <Button/> };
function* gen() {}
export default function main() {}
"""

GO = """
package billing
import (
  "fmt"
  m "github.com/acme/app/money"
)
// MaxLines is the limit.
const MaxLines = 3
// Invoice is one.
type Invoice struct {
  Number string
}
type Priced interface { Price() m.Money }
// Total sums.
func (i *Invoice) Total(c string) (m.Money, error) { return fmt.Sum(i) }
func New() *Invoice { return &Invoice{} }
"""

RUST = """
use std::collections::{HashMap, hash_map::{Entry as E, self}};
use crate::money::*;
mod money;
/// An invoice.
#[derive(Debug)]
pub struct Invoice { pub number: String }
impl Invoice {
    /// A new one.
    pub fn new(n: &str) -> Self { make(n) }
}
impl<T> Priced for Wrapper<T> { fn price(&self) -> Money { calc(1) } }
pub trait Priced { fn price(&self) -> Money; }
pub type Id = u64;
const MAX: usize = 3;
macro_rules! sq { ($x:expr) => { $x * $x } }
mod tests { fn helper() {} }
"""

JAVA = """
package com.acme.billing;
import com.acme.money.Money;
import static com.acme.Util.max;
import java.util.*;
/** An invoice. */
@Entity
public class Invoice extends Base {
  private final Money total = Money.ZERO;
  public Invoice(Money m) { this.total = m; }
  @Override
  public Money total(String currency) { return compute(currency); }
}
record Line(int n) {}
interface Priced { Money total(String c); }
enum Kind { A, B }
"""

C = """
#include "billing/invoice.h"
#include <stdio.h>
#define MAX_LINES 10
#define SQ(x) ((x)*(x))
/* An invoice. */
struct invoice { int number; };
typedef struct { int a; } line_t;
enum color { RED };
static const int table[] = { 1, 2 };
int total(struct invoice *i, void (*cb)(int));
/* Sums. */
static char *name_of(const struct invoice *i) { return lookup(i->number); }
"""

CPP = """
#include "a.h"
namespace acme {
// An invoice.
class Invoice : public Base {
 public:
  explicit Invoice(int n) : n_(n) { init(); }
  int total() const { return sum(n_); }
  int later(int a);
  bool operator==(const Invoice& o) const { return true; }
 private:
  int n_;
};
template <typename T> T biggest(T a, T b) { return a > b ? a : b; }
using Id = unsigned long;
}
int acme::Invoice::later(int a) { return std::max(a, 1); }
class Forward;
"""

CSHARP = """
using System.Text;
using M = Acme.Money;
namespace Acme.Billing;
/// <summary>An invoice.</summary>
[Serializable]
public class Invoice : Base, IPriced {
  private readonly int _n;
  public Invoice(int n) { _n = n; }
  public Money Total(string c) => Compute(c);
}
public interface IPriced { Money Total(string c); }
public enum Kind { A, B }
"""

RUBY = """
require 'json'
require_relative '../money'
MAX = 3
module Billing
  # An invoice.
  class Invoice < Base
    def initialize(n)
      @n = n
    end
    # The sum.
    def total(c)
      compute(c)
    end
  end
end
"""

PHP = r"""<?php
namespace Acme\Billing;
use Acme\Money\Money as M;
use Acme\{Foo, Bar as B};
require_once __DIR__ . '/lib.php';
const LIMIT = 3;
/** An invoice. */
final class Invoice extends Base implements Priced {
  private int $n = 1;
  public function total(string $c): M { return compute($c); }
}
interface Priced { public function total(string $c): M; }
function helper() { return new Invoice(1); }
"""

BASH = """#!/bin/bash
source "$(dirname "$0")/lib.sh"
. ./x.sh
LIMIT=3
# Builds it.
build() {
  compile "$1"
}
"""

SNIPPETS = {
    "pkg/a.py": (
        PYTHON,
        """
        constant MAX_RETRIES, constant Vector, constant app, class Invoice, method
        Invoice.__init__, method Invoice.total, class Invoice.Meta, method Invoice.Meta.f,
        function go
        """,
        """
        p=os.path, sys=sys, inv=..billing:invoice, Line=..billing:Line, x=.:x, *=m:*
        """,
        "Base ABC Generic Money sum dataclass FastAPI",
    ),
    "a.ts": (
        TYPESCRIPT,
        """
        function add, constant LIMIT, type ID, type Color, class Invoice, method
        Invoice.constructor, method Invoice.total, method Invoice.handler, interface Priced,
        method Priced.get, function over, function over
        """,
        """
        d=./x:default, b=./x:a, ns=../ns, =./side, r=./q:q, *=./all:*, u=m:u, w=m:v
        """,
        "Base Priced Foo Currency Money go",
    ),
    "a.js": (
        JAVASCRIPT,
        """
        class A, method A.x, method A.#p, function exports.hello, method Foo.bar, function gen,
        function main
        """,
        """
        Foo=./foo
        """,
        "Foo y Button",
    ),
    "a.go": (
        GO,
        """
        constant MaxLines, class Invoice, interface Priced, method Invoice.Total, function New
        """,
        """
        fmt=fmt, m=github.com/acme/app/money
        """,
        "Sum Money Invoice",
    ),
    "src/a.rs": (
        RUST,
        """
        class Invoice, method Invoice.new, method Wrapper.price, interface Priced, method
        Priced.price, type Id, constant MAX, macro sq, module tests, function tests.helper
        """,
        """
        HashMap=std::collections:HashMap, E=std::collections::hash_map:Entry,
        hash_map=std::collections:hash_map, *=crate::money:*, money=self::money
        """,
        "make Priced Money calc",
    ),
    "A.java": (
        JAVA,
        """
        class Invoice, method Invoice.Invoice, method Invoice.total, class Line, interface
        Priced, method Priced.total, class Kind
        """,
        """
        Money=com.acme.money.Money:Money, max=com.acme.Util:max, *=java.util:*
        """,
        "Base Money Entity Override compute",
    ),
    "a.c": (
        C,
        """
        macro MAX_LINES, macro SQ, class invoice, type line_t, type color, constant table,
        function total, function name_of
        """,
        """
        *=billing/invoice.h:*, *=stdio.h:*
        """,
        "invoice lookup",
    ),
    "a.cpp": (
        CPP,
        """
        class Invoice, method Invoice.Invoice, method Invoice.total, method Invoice.operator==,
        function biggest, type Id, method Invoice.later
        """,
        """
        *=a.h:*
        """,
        "Base init sum max",
    ),
    "A.cs": (
        CSHARP,
        """
        class Invoice, method Invoice.Invoice, method Invoice.Total, interface IPriced, method
        IPriced.Total, type Kind
        """,
        """
        *=System.Text:*, M=Acme.Money:Money
        """,
        "Serializable Base IPriced Compute Money",
    ),
    "a.rb": (
        RUBY,
        """
        constant MAX, module Billing, class Billing.Invoice, method Billing.Invoice.initialize,
        method Billing.Invoice.total
        """,
        """
        *=json:*, *=../money:*
        """,
        "Base compute",
    ),
    "a.php": (
        PHP,
        """
        constant LIMIT, class Invoice, method Invoice.total, interface Priced, method
        Priced.total, function helper
        """,
        r"""
        M=Acme\Money\Money:Money, Foo=Acme\Foo:Foo, B=Acme\Bar:Bar, *=lib.php:*
        """,
        "Base Priced M compute Invoice",
    ),
    "a.sh": (
        BASH,
        """
        constant LIMIT, function build
        """,
        """
        *=lib.sh:*, *=./x.sh:*
        """,
        "compile",
    ),
}
"""Path -> source, definitions, imports as `local name=module:name`, and some of the references."""


def shown(imp: Import) -> str:
    return f"{imp.local_name}={imp.module}" + (f":{imp.name}" if imp.name is not None else "")


def named(parsed: ParsedFile, qualified_name: str) -> Definition:
    return next(one for one in parsed.definitions if one.qualified_name == qualified_name)


@pytest.mark.parametrize("path", SNIPPETS)
def test_definitions_imports_and_references(path: str) -> None:
    source, definitions, imports, references = SNIPPETS[path]
    parsed = parse_file(path, source.encode())
    assert ", ".join(f"{one.kind} {one.qualified_name}" for one in parsed.definitions) == " ".join(
        definitions.split()
    )
    assert sorted(map(shown, parsed.imports)) == sorted(" ".join(imports.split()).split(", "))
    assert set(references.split()) <= {one.name for one in parsed.references}
    assert not parsed.has_errors
    assert parsed.role == "source"


@pytest.mark.parametrize(
    ("path", "name", "signature", "docstring"),
    [
        ("pkg/a.py", "Invoice", "class Invoice(Base, abc.ABC, Generic[T])", "An invoice.\n\nMore of it."),
        ("pkg/a.py", "Invoice.total", 'def total(self, currency: str = "x") -> Money', "Sum of the lines."),
        ("pkg/a.py", "go", "async def go(a, b)", ""),
        ("pkg/a.py", "MAX_RETRIES", "MAX_RETRIES = 3", ""),
        ("a.ts", "add", "export const add = (a: number, b: number): number", "Adds."),
        (
            "a.ts",
            "Invoice",
            "export class Invoice<T> extends Base implements Priced",
            "An invoice.\n\nMore of it.",
        ),
        ("a.go", "Invoice.Total", "func (i *Invoice) Total(c string) (m.Money, error)", "Total sums."),
        ("a.go", "Invoice", "type Invoice struct", "Invoice is one."),
        ("src/a.rs", "Invoice", "pub struct Invoice", "An invoice."),
        ("src/a.rs", "Invoice.new", "pub fn new(n: &str) -> Self", "A new one."),
        ("A.java", "Invoice.total", "public Money total(String currency)", ""),
        ("A.java", "Invoice", "public class Invoice extends Base", "An invoice."),
        ("a.c", "name_of", "static char *name_of(const struct invoice *i)", "Sums."),
        ("a.c", "total", "int total(struct invoice *i, void (*cb)(int))", ""),
        ("a.cpp", "Invoice", "class Invoice : public Base", "An invoice."),
        ("A.cs", "Invoice", "public class Invoice : Base, IPriced", "<summary>An invoice.</summary>"),
        ("a.rb", "Billing.Invoice.total", "def total(c)", "The sum."),
        ("a.php", "Invoice", "final class Invoice extends Base implements Priced", "An invoice."),
        ("a.sh", "build", "build()", "Builds it."),
    ],
)
def test_signature_and_docstring(path: str, name: str, signature: str, docstring: str) -> None:
    one = named(parse_file(path, SNIPPETS[path][0].encode()), name)
    assert (one.signature, one.docstring) == (signature, docstring)


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        (
            "pkg/a.py",
            "Invoice",
            '''
            # About invoices.
            @dataclass
            class Invoice(Base, abc.ABC, Generic[T]):
                """An invoice."""
                number: str
                TABLE = { ...
                def __init__(self, a, b: int):
                    self.a = a
                    self.b: int = b
                @property
                def total(self, currency: str = "x") -> Money:  # noqa
                    ...
                class Meta: ...
            ''',
        ),
        (
            "a.ts",
            "Invoice",
            """
            /**
             * An invoice.
             */
            @Component({selector: 'x'})
            export class Invoice<T> extends Base implements Priced {
              private readonly n: number = 1;
              constructor(private x: Foo) { ... }
              total(c: Currency): Money { ... }
              handler = (e) => { ... };
            }
            """,
        ),
        (
            "A.java",
            "Invoice",
            """
            /** An invoice. */
            @Entity
            public class Invoice extends Base {
              private final Money total = Money.ZERO;
              public Invoice(Money m) { ... }
              @Override
              public Money total(String currency) { ... }
            }
            """,
        ),
        (
            "A.cs",
            "Invoice",
            """
            /// <summary>An invoice.</summary>
            [Serializable]
            public class Invoice : Base, IPriced {
              private readonly int _n;
              public Invoice(int n) { ... }
              public Money Total(string c) => ...;
            }
            """,
        ),
        (
            "a.rb",
            "Billing.Invoice",
            """
            # An invoice.
            class Invoice < Base
              def initialize(n) @n = n; ... end
              def total(c) ... end
            end
            """,
        ),
    ],
)
def test_a_class_is_its_skeleton(path: str, name: str, expected: str) -> None:
    assert named(parse_file(path, SNIPPETS[path][0].encode()), name).text == dedent(expected).strip()


def test_a_method_is_dedented_with_its_decorators_and_the_comment_above() -> None:
    parsed = parse_file("pkg/a.py", PYTHON.encode())
    total = named(parsed, "Invoice.total")
    assert total.text.startswith("# The sum.\n@property\ndef total(")
    assert total.text.endswith("\n    return sum(self.lines)")
    lines = PYTHON.split("\n")
    assert lines[total.span.start_line] == "    # The sum."
    assert lines[total.span.end_line - 1].strip() == "return sum(self.lines)"
    assert PYTHON.encode()[total.span.start_byte : total.span.end_byte].startswith(b"# The sum.")


def test_overloads_have_ids_of_their_own() -> None:
    parsed = parse_file("a.ts", TYPESCRIPT.encode())
    assert len({one.id for one in parsed.definitions}) == len(parsed.definitions)


def test_ids_and_hashes_do_not_change_when_a_definition_moves() -> None:
    before = parse_file("pkg/a.py", PYTHON.encode())
    after = parse_file("pkg/a.py", b"import new\n\n\n" + PYTHON.encode())
    assert [(one.id, one.content_hash) for one in before.definitions] == [
        (one.id, one.content_hash) for one in after.definitions
    ]
    assert before.definitions[0].span != after.definitions[0].span


def test_the_hash_changes_with_the_text_and_the_id_does_not() -> None:
    before = named(parse_file("pkg/a.py", PYTHON.encode()), "go")
    after = named(parse_file("pkg/a.py", PYTHON.replace("await total", "await other").encode()), "go")
    assert before.id == after.id
    assert before.content_hash != after.content_hash


def test_a_method_body_does_not_change_its_class() -> None:
    before = named(parse_file("pkg/a.py", PYTHON.encode()), "Invoice")
    after = named(parse_file("pkg/a.py", PYTHON.replace("sum(self", "max(self").encode()), "Invoice")
    assert before.content_hash == after.content_hash


def test_only_long_functions_inside_functions_are_definitions() -> None:
    def nested(n_lines: int) -> str:
        return "def outer():\n    def inner():\n" + "        work()\n" * n_lines

    assert len(parse_file("a.py", nested(5).encode()).definitions) == 1
    assert len(parse_file("a.py", nested(40).encode()).definitions) == 2


def test_a_long_table_is_cut() -> None:
    source = "TABLE = {\n" + "    1: 2,\n" * 100 + "}\n"
    (table,) = parse_file("a.py", source.encode()).definitions
    assert table.text.count("\n") == 12
    assert table.text.endswith("...")
    assert table.span.end_line == 102


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        (
            "a.py",
            "def ok(): pass\nx = = 1\nclass Also:\n    def fine(self): pass\n    def cut(",
            {"ok", "fine"},
        ),
        ("a.ts", "function ok() {}\nfunction (((\nclass Also { fine() {} }\n", {"ok"}),
        ("a.go", "package a\nfunc Ok() {}\nfunc Broken( {\n", {"Ok"}),
    ],
)
def test_broken_code_gives_what_can_be_parsed(path: str, source: str, expected: set[str]) -> None:
    parsed = parse_file(path, source.encode())
    assert parsed.has_errors
    assert expected <= {one.name for one in parsed.definitions}


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("a/b.py", "source"),
        ("tests/b.py", "test"),
        ("a/test_b.py", "test"),
        ("conftest.py", "test"),
        ("a/b_test.go", "test"),
        ("a/b.spec.ts", "test"),
        ("a/__tests__/b.tsx", "test"),
        ("src/test/java/BTest.java", "test"),
        ("spec/b_spec.rb", "test"),
        ("a/testing.py", "source"),
        ("a/contest.py", "source"),
        ("tests/README.md", "documentation"),
    ],
)
def test_role(path: str, role: str) -> None:
    assert parse_file(path, b"").role == role


def test_markdown_by_heading() -> None:
    source = "intro\n\n# Title\ntext\n## Sub\n```\n# no heading\n```\nOther\n=====\nmore\n"
    parsed = parse_file("docs/guide.md", source.encode())
    assert [(one.qualified_name, one.signature, one.kind) for one in parsed.definitions] == [
        ("guide", "guide", "section"),
        ("Title", "Title", "section"),
        ("Title.Sub", "Title > Sub", "section"),
        ("Other", "Other", "section"),
    ]
    assert parsed.definitions[2].text == "## Sub\n```\n# no heading\n```"


def test_restructured_text_by_heading() -> None:
    source = "=====\nTitle\n=====\n\nintro\n\nPart\n----\n\ntext\n\nSub\n~~~\nmore\n\nNext\n----\nend\n"
    parsed = parse_file("index.rst", source.encode())
    assert [one.qualified_name for one in parsed.definitions] == [
        "Title", "Title.Part", "Title.Part.Sub", "Title.Next",
    ]  # fmt: skip


def test_a_long_section_is_cut_at_an_empty_line() -> None:
    source = "# Long\n" + ("line\n" * 9 + "\n") * 20
    parts = parse_file("a.md", source.encode()).definitions
    assert len(parts) > 2
    assert all(part.qualified_name == "Long" for part in parts)
    assert len({part.id for part in parts}) == len(parts)
    assert sum(part.text.count("line") for part in parts) == 180


def test_windows_line_ends_become_newlines_in_texts_only() -> None:
    source = PYTHON.replace("\n", "\r\n").encode()
    parsed, plain = parse_file("pkg/a.py", source), parse_file("pkg/a.py", PYTHON.encode())
    assert [one.text for one in parsed.definitions] == [one.text for one in plain.definitions]
    assert [one.span.start_line for one in parsed.definitions] == [
        one.span.start_line for one in plain.definitions
    ]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_any_encoding_is_read(encoding: str) -> None:
    (one,) = parse_file("a.py", "def größe(): return 'é'\n".encode(encoding)).definitions
    assert (one.name, one.text) == ("größe", "def größe(): return 'é'")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a.py", b"(" * 100_000),
        ("a.py", b"x = " + b"[" * 20_000 + b"]" * 20_000),
        ("a.py", b"".join(b" " * depth + b"class A%d:\n" % depth for depth in range(1000))),
        ("a.js", b"function a(){" * 20_000),
        ("a.rs", b"mod a{" * 20_000),
        ("a.rs", b"use a::{" * 5_000),
        ("a.md", b"#" * 100_000),
    ],
)
def test_deep_nesting_does_not_reach_the_recursion_limit(path: str, source: bytes) -> None:
    parse_file(path, source)


PATHS = [*SNIPPETS, "a.tsx", "a.md", "a.rst", "a.txt", "a.h"]


def check_invariants(path: str, source: bytes) -> None:
    parsed = parse_file(path, source)
    data = decode_source(source).encode()
    n_lines = data.count(b"\n") + 1
    for one in parsed.definitions:
        assert 0 <= one.span.start_byte < one.span.end_byte <= len(data)
        assert 0 <= one.span.start_line < one.span.end_line <= n_lines
        assert data.count(b"\n", 0, one.span.start_byte) == one.span.start_line
        assert one.name
        assert "\n" not in one.signature
    assert len({one.id for one in parsed.definitions}) == len(parsed.definitions)
    assert all(0 <= one.line < n_lines for one in (*parsed.references, *parsed.imports))


@settings(deadline=None)
@given(st.sampled_from(PATHS), st.binary(max_size=300))
def test_random_bytes_never_raise_and_spans_lie_within_the_file(path: str, source: bytes) -> None:
    check_invariants(path, source)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(list(SNIPPETS)), st.data())
def test_mutated_sources_never_raise_and_spans_lie_within_the_file(path: str, data: st.DataObject) -> None:
    source = bytearray(SNIPPETS[path][0].encode())
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(source)))
        end = data.draw(st.integers(start, min(len(source), start + 40)))
        source[start:end] = data.draw(
            st.sampled_from([b"", b"(", b"{", b"\n", b"'", b'"""', b"/*", b"\xff", b"\r", b"#", b" "])
        )
    check_invariants(path, bytes(source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a.md", "# a" + " " * 19_000 + "b\n"),
        ("a.sh", ". " + "a/" * 9_000 + "$x\n"),
        ("a.py", "#" + "*" * 19_000 + "x\ndef f(): #" + ":#" * 9_000 + "\n  pass\n"),
        ("a.js", "// x" + " " * 19_000 + "x\nfunction f() {}\n"),
    ],
)
def test_lines_of_one_character_cost_no_more_than_others(path: str, source: str) -> None:
    assert parse_file(path, source.encode()).n_lines


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# A", "A"),
        ("## A ##", "A"),
        ("# C#", "C#"),
        ("# #", "untitled"),
        ("#", "untitled"),
        ("# A # b #", "A # b"),
    ],
)
def test_marks_that_close_a_heading_are_no_part_of_its_title(line: str, title: str) -> None:
    (section,) = parse_file("a.md", f"{line}\n\ntext\n".encode()).definitions
    assert section.name == title
