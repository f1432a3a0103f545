"""What a connection carries: each definition once, and still the whole result at its other end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import wire
from indexer.types import Definition, Reason, RetrievalQuery, RetrievalResult, Retrieved, Span
from indexer.wire import Held, Sent, query_from_json, query_to_json


def definition(name: str, text: str, at: int) -> Definition:
    return Definition(
        id=f"id of {name}",
        path="a/b.py",
        language="python",
        kind="function",
        role="source",
        name=name,
        qualified_name=name,
        signature=f"def {name}()",
        docstring="",
        span=Span(at, at + 1, at, at + 1),
        text=text,
        content_hash="of the file on the disk",
    )


definitions = st.builds(definition, st.sampled_from("abcdef"), st.sampled_from(["x", "y"]), st.integers(0, 3))
rows = st.builds(
    Retrieved,
    definitions,
    st.floats(0, 1),
    st.tuples(st.builds(Reason, st.just("symbol"), st.integers(1, 40), st.text(max_size=5))),
)
results = st.builds(
    RetrievalResult,
    st.lists(rows, max_size=5).map(tuple),
    st.sampled_from([(), ("vector",)]),
    st.just({"bm25": "why"}),
    st.just({"total": 1.5}),
)


def carried(message: dict[str, Any]) -> Any:
    return json.loads(json.dumps(message))


@given(results=st.lists(results, max_size=8))
def test_whatever_was_carried_before_a_result_arrives_as_it_was_sent(results: list[RetrievalResult]) -> None:
    sent, held = Sent(), Held()
    for result in results:
        assert held.result_from_json(carried(sent.result_to_json(result))) == result


@given(results=st.lists(results, min_size=3, max_size=8))
def test_both_ends_forget_together(results: list[RetrievalResult]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "_MAX_HELD", 2)
        sent, held = Sent(), Held()
        for result in results:
            assert held.result_from_json(carried(sent.result_to_json(result))) == result
            assert sent._definitions == held._definitions
            assert len(held._definitions) <= 2 + 5


def test_a_definition_is_carried_once_and_then_named() -> None:
    one = definition("total", "def total():\n    return 1\n", 7)
    below = replace(one, span=Span(9, 10, 9, 10))
    less = replace(below, text="def total():")
    sent, held = Sent(), Held()
    messages = []
    for found in (one, one, replace(one), below, less, one):
        message = carried(sent.result_to_json(RetrievalResult((Retrieved(found, 1.0, ()),), (), {}, {})))
        messages.append(message["retrieved"][0][0])
        assert held.result_from_json(message).retrieved[0].definition == found
    assert messages[1:4] == [one.id, one.id, [one.id, [9, 10, 9, 10]]]
    assert [less.text in message for message in messages[4:]] == [True, False]
    assert one.text in messages[5]


def test_a_query_arrives_as_it_was_sent() -> None:
    query = RetrievalQuery("a.py", "x = \ud800", "\n", 60, 250.0, ("bm25",), 3, 4, ("b.py",))
    assert query_from_json(carried(query_to_json(query))) == query
