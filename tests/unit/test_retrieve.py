"""Retrieval over an in-memory catalogue: union, exclusion, order, deadline, odd input."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from memory_catalogue import Clock, FixedVectors, MemoryCatalogue, UnitEmbedder, definition

from indexer.retrieve import RANK_CONSTANT, RETRIEVER_WEIGHTS, ROLE_FACTORS, fuse, retrieve, search
from indexer.retrievers import Hit, by_terms, by_vector
from indexer.types import Import, RetrievalQuery, RetrievalResult

INVOICE = definition(
    "billing/invoice.py",
    "Invoice",
    "class Invoice:\n    amount: int\n    client: Client\n    def total(self) -> Money: ...",
    kind="class",
    signature="class Invoice",
)
TOTAL = definition(
    "billing/invoice.py", "Invoice.total", kind="method", signature="def total(self) -> Money", line=4
)
MONEY = definition("billing/money.py", "Money", kind="class", signature="class Money")
CLIENT = definition("billing/client.py", "Client", kind="class", signature="class Client")
FETCH = definition("billing/client.py", "Client.fetch", kind="method", signature="def fetch(self)")
CONVERT = definition("billing/rates.py", "convert", signature="def convert(amount, currency)")
UNRELATED = definition("other/zebra.py", "zebra_crossing")
OWN = definition("app/main.py", "helper", "def helper():\n    return 1", line=2)
ALL = (INVOICE, TOTAL, MONEY, CLIENT, FETCH, CONVERT, UNRELATED, OWN)


def ask(
    prefix: str,
    suffix: str = "",
    *,
    catalogue: MemoryCatalogue | None = None,
    vectors: FixedVectors | None = None,
    clock: Clock | None = None,
    **changes: object,
) -> RetrievalResult:
    query = RetrievalQuery("app/main.py", prefix, suffix, n=10, deadline_ms=1000.0)
    return retrieve(
        replace(query, **changes),  # type: ignore[arg-type]
        catalogue=catalogue or MemoryCatalogue(ALL),
        vectors=vectors,
        embedder=UnitEmbedder() if vectors else None,
        clock=clock or Clock(),
    )


def names(result: RetrievalResult) -> list[str]:
    return [row.definition.qualified_name for row in result.retrieved]


IMPORT = "from billing.invoice import Invoice\n"


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        pytest.param(
            IMPORT + "\n\ndef f():\n    x = Invoice(", "Invoice", id="an imported class that is called"
        ),
        pytest.param(
            IMPORT + "\n\ndef f(it: Invoice):\n    return it.", "Invoice.total", id="member by annotation"
        ),
        pytest.param(
            IMPORT + "\n\ndef f():\n    it = Invoice(3)\n    it.", "Invoice.total", id="member by assignment"
        ),
        pytest.param("def f(invoice):\n    return invoice.", "Invoice.total", id="member by namesake"),
        pytest.param(
            IMPORT + "\n\ndef f(it: Invoice):\n    it.client.", "Client.fetch", id="field of a field"
        ),
        pytest.param(
            IMPORT + "\n\ndef f(it: Invoice):\n    it.total().", "Money", id="what a method returns"
        ),
        pytest.param(
            IMPORT + "\n\nclass Big(Invoice):\n    def f(self):\n        self.", "Invoice.total", id="base"
        ),
        pytest.param("from billing import rates\n\nx = rates.", "convert", id="member of a module"),
        pytest.param("x = conv", "convert", id="a begun name"),
        pytest.param(IMPORT + "\n\ndef f():\n    ", "Invoice", id="an import that is not used yet"),
    ],
)
def test_names_near_the_cursor_find_their_definitions(prefix: str, expected: str) -> None:
    assert expected in names(ask(prefix, retrievers=("symbol",)))[:3]


def test_the_buffers_own_imports_count_before_they_are_saved() -> None:
    saved = {"app/main.py": [(Import("Client", "billing.client", "Client", 0), ("billing/client.py",))]}
    twin = definition("legacy/invoice.py", "Invoice", kind="class", signature="class Invoice(Old)")
    catalogue = MemoryCatalogue((*ALL, twin), imports=saved)
    result = ask(IMPORT + "\nx = Invoice(", catalogue=catalogue, retrievers=("symbol",))
    assert result.retrieved[0].definition == INVOICE


def test_a_reexport_is_followed_to_the_definition() -> None:
    package = {
        "billing/__init__.py": [(Import("Invoice", ".invoice", "Invoice", 0), ("billing/invoice.py",))]
    }
    marker = definition("billing/__init__.py", "VERSION", kind="constant")
    result = ask(
        "from billing import Invoice\nx = Invoice(",
        catalogue=MemoryCatalogue((*ALL, marker), imports=package),
        retrievers=("symbol",),
    )
    assert result.retrieved[0].definition == INVOICE
    assert "import" in result.retrieved[0].reasons[0].detail


def test_what_one_retriever_alone_finds_is_returned() -> None:
    result = ask(IMPORT + "\nx = Invoice(", vectors=FixedVectors([(UNRELATED.id, 0.7)]))
    row = next(row for row in result.retrieved if row.definition == UNRELATED)
    assert [(reason.retriever, reason.rank, reason.detail) for reason in row.reasons] == [
        ("vector", 1, "cosine 0.70")
    ]


def test_agreement_scores_higher_than_one_retriever_alone() -> None:
    hits = {"symbol": [Hit(INVOICE, ""), Hit(MONEY, "")], "bm25": [Hit(MONEY, "")]}
    weights = {"symbol": 1.0, "bm25": 1.0, "vector": 1.0}
    first, second = fuse(hits, 2, weights=weights, role_factors=ROLE_FACTORS)
    assert (first.definition, second.definition) == (MONEY, INVOICE)
    assert first.score == pytest.approx(1 / (RANK_CONSTANT + 1) + 1 / (RANK_CONSTANT + 2))


def test_the_same_text_comes_once() -> None:
    copy = definition("vendor/invoice.py", "Invoice", INVOICE.text, kind="class", signature="class Invoice")
    hits = {"symbol": [Hit(INVOICE, ""), Hit(copy, "")]}
    assert len(fuse(hits, 9, weights={"symbol": 1.0}, role_factors=ROLE_FACTORS)) == 1


def test_tests_and_documentation_come_after_code_of_the_same_rank() -> None:
    hits = {
        "symbol": [Hit(definition("tests/a.py", "a", role="test"), "")],
        "bm25": [Hit(definition("docs/b.md", "b", role="documentation"), "")],
        "vector": [Hit(definition("c.py", "c"), "")],
    }
    weights = {"symbol": 1.0, "bm25": 1.0, "vector": 1.0}
    fused = fuse(hits, 9, weights=weights, role_factors=ROLE_FACTORS)
    assert [row.definition.name for row in fused] == ["c", "a", "b"]


def test_the_files_own_visible_definitions_are_left_out() -> None:
    visible = "def helper():\n    return 1\n\n\nx = helper("
    assert "helper" not in names(ask(visible))


def test_the_files_own_far_definitions_are_kept() -> None:
    far = "def helper():\n    return 1\n" + "\n" * 400 + "x = helper("
    assert "helper" in names(ask(far))
    assert "helper" not in names(ask(far, visible_lines_before=1000))


def test_a_definition_that_the_buffer_no_longer_has_is_left_out() -> None:
    assert "helper" not in names(ask("\n" * 400 + "x = helper("))


def test_order_does_not_depend_on_the_catalogues() -> None:
    prefix = IMPORT + "\n\ndef f(it: Invoice, client: Client):\n    it."
    expected = names(ask(prefix))
    for seed in range(5):
        shuffled = random.Random(seed).sample(ALL, len(ALL))
        assert names(ask(prefix, catalogue=MemoryCatalogue(shuffled))) == expected


def test_n_bounds_the_answer() -> None:
    assert len(ask(IMPORT + "\nx = Invoice(", n=1).retrieved) == 1
    assert ask(IMPORT + "\nx = Invoice(", n=0).retrieved == ()


def test_a_late_retriever_is_left_out_and_named() -> None:
    # The clock is read when retrieval starts, and before and after each retriever: one takes 0.2 s.
    result = ask(
        IMPORT + "\nx = Invoice(",
        clock=Clock(step_s=0.1),
        vectors=FixedVectors([(UNRELATED.id, 0.7)]),
        deadline_ms=250,
    )
    assert result.late == ("bm25", "vector")
    assert {reason.retriever for row in result.retrieved for reason in row.reasons} == {"symbol"}


def test_an_answer_that_took_too_long_is_not_thrown_away() -> None:
    result = ask(IMPORT + "\nx = Invoice(", clock=Clock(step_s=0.1), deadline_ms=250)
    assert result.late == ("bm25",)
    assert result.retrieved[0].definition == INVOICE


def test_nothing_is_asked_once_the_deadline_is_over() -> None:
    catalogue = MemoryCatalogue(ALL, lexical_error="was asked")
    result = ask("x = Invoice(", catalogue=catalogue, clock=Clock(step_s=1.0), deadline_ms=0)
    assert result.retrieved == ()
    assert result.late == ("symbol", "bm25")
    assert result.unavailable == {"vector": "no embedder: no model installed"}


def test_a_retriever_that_fails_costs_only_its_share() -> None:
    result = ask(IMPORT + "\nx = Invoice(", catalogue=MemoryCatalogue(ALL, lexical_error="the disk is gone"))
    assert result.unavailable["bm25"] == "the disk is gone"
    assert result.retrieved[0].definition == INVOICE


@pytest.mark.parametrize(
    ("vectors", "embedder", "reason"),
    [(None, UnitEmbedder(), "no vectors yet"), (FixedVectors([]), None, "no embedder: no model installed")],
)
def test_why_there_are_no_vectors_is_said(vectors, embedder, reason: str) -> None:
    query = RetrievalQuery("app/main.py", "x = ", "", 5, 1000.0)
    result = retrieve(
        query, catalogue=MemoryCatalogue(ALL), vectors=vectors, embedder=embedder, clock=Clock()
    )
    assert result.unavailable == {"vector": reason}


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "\n\n\n",
        "\x00\xff\ufffd" * 50_000,
        "x" * 1_000_000,
        "a.b(" * 250_000,
        "class " * 200_000,
        "def " * 200_000,
        "import a.b\n" * 90_000,
        "from x import (" * 60_000,
        "\t" * 1_000_000,
        "\U0001f600 = " * 100_000,
    ],
    ids=[
        "empty",
        "blank",
        "binary",
        "one word",
        "calls",
        "classes",
        "defs",
        "imports",
        "open",
        "tabs",
        "astral",
    ],
)
@pytest.mark.timeout(20)
def test_odd_input_is_safe(prefix: str) -> None:
    result = ask(prefix, prefix, vectors=FixedVectors([(MONEY.id, 0.1)]))
    assert "Money" in names(result)


def test_a_file_outside_of_the_repository_has_no_imports_but_is_answered() -> None:
    assert "Invoice" in names(ask("x = Invoice(", path=None))


@pytest.mark.parametrize(
    ("path", "language", "is_offered"),
    [
        ("app/main.unknown", "python", True),
        ("app/README.md", "python", True),
        ("app/main.py", "python", True),
        ("app/main.ts", "python", False),
        ("app/main.go", "python", False),
        ("app/main.tsx", "typescript", True),
        ("app/main.js", "tsx", True),
        ("app/main.cpp", "c", True),
        ("app/main.c", "rust", False),
    ],
)
def test_code_is_offered_only_where_its_language_can_be_used(
    path: str, language: str, is_offered: bool
) -> None:
    catalogue = MemoryCatalogue([replace(INVOICE, language=language)])
    found = names(ask("const x = new Invoice(", path=path, catalogue=catalogue))
    assert ("Invoice" in found) == is_offered


def test_documents_speak_of_all_languages() -> None:
    catalogue = MemoryCatalogue([replace(INVOICE, language="markdown", role="documentation")])
    assert "Invoice" in names(ask("const x = new Invoice(", path="app/main.ts", catalogue=catalogue))


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Invoice", "Invoice"),
        ("Invoice.total", "Invoice.total"),
        ("total", "Invoice.total"),
        ("convert", "convert"),
    ],
)
def test_search_puts_the_exact_name_first(question: str, first: str) -> None:
    found = search(
        question,
        catalogue=MemoryCatalogue(ALL),
        vectors=FixedVectors([(UNRELATED.id, 0.9)]),
        embedder=UnitEmbedder(),
        n=5,
    )
    assert found[0].definition.qualified_name == first


def test_search_joins_words_and_vectors() -> None:
    found = search(
        "amount in a currency",
        catalogue=MemoryCatalogue(ALL),
        vectors=FixedVectors([(UNRELATED.id, 0.9)]),
        embedder=UnitEmbedder(),
        n=5,
    )
    assert {"convert", "zebra_crossing"} <= {row.definition.name for row in found}


@pytest.mark.parametrize(("cosine", "is_found"), [(0.2, False), (0.5, True)])
def test_search_shows_nothing_that_is_only_the_nearest_of_what_there_is(
    cosine: float, is_found: bool
) -> None:
    found = search(
        "photosynthesis in plants",
        catalogue=MemoryCatalogue(ALL),
        vectors=FixedVectors([(UNRELATED.id, cosine)]),
        embedder=UnitEmbedder(),
        n=5,
    )
    assert [row.definition for row in found] == [UNRELATED] * is_found


@pytest.mark.parametrize("question", ["", "   ", "???", "\x00"])
def test_search_for_nothing_finds_nothing_by_name(question: str) -> None:
    assert search(question, catalogue=MemoryCatalogue(ALL), vectors=None, embedder=None, n=5) == ()


def test_a_text_without_words_is_near_to_nothing() -> None:
    class ByWords(UnitEmbedder):
        def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return super().embed(texts) * np.array([[bool(text.strip())] for text in texts], dtype=np.float32)

    catalogue, vectors = MemoryCatalogue(ALL), FixedVectors([(UNRELATED.id, 0.0)])
    assert by_vector("", catalogue, vectors, ByWords()) == []
    assert by_vector("word", catalogue, vectors, ByWords()) != []


def test_the_terms_that_are_shown_include_those_of_the_name() -> None:
    class ByName(MemoryCatalogue):
        def bm25(self, *_: object, **__: object) -> list[tuple[str, float]]:
            return [(UNRELATED.id, 1.0)]

    (hit,) = by_terms("zebra", ByName([replace(UNRELATED, text="pass")]))
    assert hit.detail == "terms: zebra"


def test_what_was_named_in_recent_edits_comes_before_its_neighbour_and_never_among_the_best():
    rows = [definition("lib.py", f"convert_{name}", f"def convert_{name}(): ...") for name in "abcdef"]
    hits = {"symbol": [Hit(row, "") for row in rows]}

    def order(*recent):
        fused = fuse(
            hits, 6, weights=RETRIEVER_WEIGHTS, role_factors=ROLE_FACTORS,
            is_recent=lambda one: one.name in recent,
        )  # fmt: skip
        return "".join(row.definition.name[-1] for row in fused)

    assert order() == "abcdef"
    assert order("convert_f") == "abcdfe"
    assert order("convert_b", "convert_c") == "abcdef"
