"""An editor's settings: what is read, and what is said of what cannot be."""

import pytest

from lsp_server.server.options import SessionOptions, read_options


@pytest.mark.parametrize("sent", [None, {}, [], {"crosslight": {}}])
def test_nothing_means_the_defaults(sent):
    assert read_options(sent).options == SessionOptions()
    assert read_options(sent).problems == ()


@pytest.mark.parametrize("wrapped", [False, True])
def test_values_are_read_in_camel_case(wrapped):
    table = {"disabledLanguages": ["markdown"], "minProbability": 1, "multiLine": "never", "debounceMs": 0}
    read = read_options({"crosslight": table} if wrapped else table)
    assert read.problems == ()
    assert read.options == SessionOptions(
        disabled_languages=("markdown",), min_probability=1, multi_line="never", debounce_ms=0
    )


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"enabeld": False}, "unknown setting `crosslight.enabeld`"),
        ({"in_strings": False}, "unknown setting `crosslight.in_strings`"),
        ({"enabled": "no"}, "`crosslight.enabled` must be true or false"),
        ({"enabled": 1}, "`crosslight.enabled` must be true or false"),
        ({"minProbability": 1.5}, "`crosslight.minProbability` must be at most 1.0"),
        ({"minProbability": True}, "`crosslight.minProbability` must be a number"),
        ({"disabledLanguages": "markdown"}, "must be a list of strings"),
        ({"disabledLanguages": [1]}, "must be a list of strings"),
        ({"multiLine": True}, "must be one of 'auto', 'never'"),
        ("yes", "must be an object"),
        ({"crosslight": 3}, "must be an object"),
    ],
)
def test_a_bad_value_is_named_and_keeps_its_default(sent, said):
    read = read_options(sent)
    assert read.options == SessionOptions()
    assert len(read.problems) == 1
    assert said in read.problems[0]


def test_every_problem_is_named():
    assert len(read_options({"a": 1, "b": 2, "inStrings": 3}).problems) == 3
