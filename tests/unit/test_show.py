"""What is shown, and the code of each reason not to."""

from dataclasses import replace
from typing import get_args

import pytest
from traces import trace_of

from lsp_server.server.options import SessionOptions
from lsp_server.server.show import EXPLANATIONS, surrounding, why_not_here, why_not_this
from model.postprocess import SuppressionReason


@pytest.mark.parametrize(
    ("changes", "before", "after", "reason"),
    [
        ({}, "x = ", "\n", None),
        ({}, "tot", "\n", None),
        ({}, "tot", "al\n", "inside_word"),
        ({}, "x_", "1", "inside_word"),
        ({}, "f(", ")", None),
        ({}, "", "word", None),
        ({"enabled": False}, "x = ", "", "disabled"),
        ({"disabled_languages": ("python",)}, "x = ", "", "language_disabled"),
        ({"disabled_languages": ("go",)}, "x = ", "", None),
        ({"in_strings": False}, 'x = "a b', '"\n', "in_string"),
        ({"in_strings": False}, "# a b", "\n", None),
        ({"in_comments": False}, "x = 1  # a b", "\n", "in_comment"),
        ({"in_comments": False}, 'x = "# a', '"\n', None),
    ],
)
def test_where_nothing_is_suggested_while_typing_there_is_a_reason(changes, before, after, reason):
    options = replace(SessionOptions(), **changes)
    assert why_not_here(options, "python", "python", before, after) == reason
    assert reason is None or reason in EXPLANATIONS


def test_no_explanation_names_a_command_of_the_protocol_that_nobody_can_type():
    assert not [text for text in EXPLANATIONS.values() if "crosslight." in text]


def test_every_reason_is_explained():
    assert set(get_args(SuppressionReason)) <= set(EXPLANATIONS)


def test_a_language_is_switched_off_by_either_name():
    options = SessionOptions(disabled_languages=("typescriptreact",))
    assert why_not_here(options, "typescriptreact", "tsx", "", "") == "language_disabled"


@pytest.mark.parametrize(
    ("probability", "text", "suppressed", "invoked", "reason"),
    [
        (0.9, "x", None, False, None),
        (0.1, "x", None, False, "improbable"),
        (0.1, "x", None, True, None),
        (None, "x", None, False, None),
        (0.9, "", None, False, "empty"),
        (0.9, "", "parses_worse", True, "parses_worse"),
    ],
)
def test_what_is_not_shown_has_a_reason(probability, text, suppressed, invoked, reason):
    told = replace(trace_of(text), suppression_reason=suppressed, first_token_probability=probability)
    options = SessionOptions(min_probability=0.25)
    assert why_not_this(options, told, invoked=invoked) == reason


@pytest.mark.parametrize(
    ("language", "prefix", "kind"),
    [
        ("python", "x = 1", "code"),
        ("python", "x = 'abc", "string"),
        ("python", "x = 'abc'", "code"),
        ("python", '"""Doc', "string"),
        ("python", '"""Doc."""\n', "code"),
        ("python", 'x = f("a", \'b', "string"),
        ("python", 'x = f("a", ', "code"),
        ("python", "# it's ", "comment"),
        ("python", "# note ", "comment"),
        ("python", "# note\n", "code"),
        ("javascript", "// note", "comment"),
        ("javascript", "/* a\n b", "comment"),
        ("javascript", "let a = `b", "string"),
        ("go", 'x := "a', "string"),
        ("go", "x := 1 // a", "comment"),
        ("rust", "let a = 1; // b", "comment"),
        ("java", "/** Doc", "comment"),
        (None, "anything", "code"),
    ],
)
def test_a_cursor_stands_in_code_a_string_or_a_comment(language, prefix, kind):
    assert surrounding(language, prefix) == kind
