"""What a completion's trace tells of where it came from."""

from __future__ import annotations

import numpy as np
import pytest
from traces import trace_of as a_trace

from lsp_server.explain import explained
from lsp_server.trace import CompletionTrace, DefinitionTrace


def trace_of(n_definitions: int) -> CompletionTrace:
    definitions = tuple(
        DefinitionTrace(rank, f"{rank}.py", 1, "function", f"f{rank}", (), 1.0, 10)
        for rank in range(1, n_definitions + 1)
    )
    return a_trace("x", retrieved=definitions)


def test_shares_are_of_the_attention_on_definitions_and_sum_to_one():
    attention = np.array([[0.3, 0.1], [0.1, 0.1]], np.float32)
    explanation = explained(trace_of(2), [0, 1], attention, [b"a", b"b"])
    assert [one.attention_share for one in explanation.retrieved] == pytest.approx([5 / 6, 1 / 6])  # squares


def test_a_definition_that_was_left_out_has_no_share():
    attention = np.array([[0.2, 0.2]], np.float32)
    explanation = explained(trace_of(3), [0, 2], attention, [b"a"])
    assert [one.attention_share for one in explanation.retrieved] == [
        pytest.approx(0.5),
        None,
        pytest.approx(0.5),
    ]


def test_each_identifier_names_the_definition_it_attended_to_most_over_its_tokens():
    tokens = [b"to", b"tal", b"(", b"item", b")"]
    attention = np.array([[0.4, 0.1], [0.0, 0.1], [0.0, 0.9], [0.0, 0.6], [0.9, 0.0]], np.float32)
    sources = explained(trace_of(2), [0, 1], attention, tokens).sources
    assert [(one.text, one.rank) for one in sources] == [("total", 1), ("item", 2)]
    assert [one.share for one in sources] == pytest.approx([0.2, 0.6])


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 2)])
def test_without_attention_there_is_nothing_to_tell(shape):
    trace = trace_of(2)
    assert explained(trace, range(shape[1]), np.zeros(shape, np.float32), [b"a", b"b", b"c"]) == trace


def test_of_a_long_completion_only_what_was_looked_at_is_told():
    attention = np.array([[0.4], [0.4]], np.float32)
    sources = explained(trace_of(1), [0], attention, [b"one", b" ", b"two"]).sources
    assert [one.text for one in sources] == ["one"]


def test_keywords_come_from_nowhere():
    tokens = [b"self", b".total", b" for", b" item"]
    attention = np.full((4, 1), 0.4, np.float32)
    sources = explained(trace_of(1), [0], attention, tokens).sources
    assert [one.text for one in sources] == ["total", "item"]
