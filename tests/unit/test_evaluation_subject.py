"""What may be retrieved for a case, and what a subject makes of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_model import FakeCodec, FakeDecoder, continues

from indexer.errors import WorkerError
from indexer.parse import parse_file
from indexer.types import Reason, RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.completer import RunningModel
from lsp_server.config import Settings
from lsp_server.evaluation.arms import make_subjects, unhurried
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.evaluation.subject import CompleterSubject

FILE = '''LIMITS = {
    "low": 1,
    "high": secret_table(),
}


class Store:
    """Things."""

    size: int = secret_field

    def load(self):
        first = 1
        return secret_call(first)

    def outer(self):
        def inner():
            return secret_inner
        return inner


def other():
    return 2
'''
TARGETS = [
    "secret_table(),",
    "secret_field",
    "secret_call(first)",
    "secret_inner",
    "first = 1\n        return secret_call(first)",
]
QUERY = RetrievalQuery("app.py", "", "", 20, 1000.0)


def everything(query):
    """The worst that an index can do: all of the file as its author wrote it, and of another one."""
    definitions = [
        *parse_file("app.py", FILE.encode()).definitions,
        *parse_file("lib.py", FILE.encode()).definitions,
    ]
    rows = [Retrieved(d, 1.0, (Reason("symbol", i, "all"),)) for i, d in enumerate(definitions, 1)]
    return RetrievalResult(tuple(rows[: query.n]), (), {}, {})


def case_of(target):
    prefix, _, suffix = FILE.partition(target)
    return Case(Path("/shop"), "app.py", prefix, suffix, target)


@pytest.mark.parametrize("target", TARGETS)
def test_the_cases_own_file_is_never_retrieved_with_the_target_in_it(target):
    result = without_own_target(case_of(target), everything)(replace(QUERY, n=100))
    own = [row.definition for row in result.retrieved if row.definition.path == "app.py"]
    assert own  # what does not hold the target stays
    for definition in own:
        for line in target.split("\n"):
            if "secret" in line:
                assert line.strip() not in definition.text + definition.signature
    assert any(row.definition.path == "lib.py" for row in result.retrieved)


def test_no_more_is_retrieved_than_was_asked_for():
    result = without_own_target(case_of("secret_field"), everything)(replace(QUERY, n=2))
    assert len(result.retrieved) == 2


CODEC = FakeCodec(["alpha", " =", "("])
CASE = Case(Path("/shop"), "app.py", "x = al", "\n", "pha")


def subject(text, retrieve=None):
    model = RunningModel("fake", "cpu", CODEC, FakeDecoder(CODEC, continues(CODEC, text)))
    retrieve_for = None if retrieve is None else (lambda _: retrieve)
    return CompleterSubject(
        "arm", model, Settings(), retrieve_for=retrieve_for, key_of=lambda case: "k"
    ), model


def test_an_answer_is_what_a_user_would_see():
    one, model = subject("x = alpha")
    model.decoder.ids = [1, 2, 3]
    answer = one.answer(CASE)
    assert (answer.text, answer.replaces, answer.suppression_reason) == ("pha", 0, None)
    assert answer.n_definitions == 0
    assert answer.n_scored_bytes == 3
    assert 0 <= answer.nats < 5


def test_definitions_reach_the_completion_and_the_likelihood():
    one, model = subject("x = alpha", everything)
    answer = one.answer(CASE)
    assert answer.n_definitions > 0
    assert "secret_table" in CODEC.decode(model.decoder.ids).decode()  # scored by the same prompt


def test_a_measurement_does_not_go_on_without_retrieval():
    def fail(query):
        raise WorkerError("the index worker ended")

    one, _ = subject("x = alpha", fail)
    with pytest.raises(WorkerError, match="ended"):
        one.answer(CASE)


def test_each_arm_has_its_key():
    model = RunningModel("fake", "cpu", CODEC, FakeDecoder(CODEC, continues(CODEC, "x")))
    states = {"now": "1"}
    off, concatenated = make_subjects(
        ["concatenated", "off"],
        model=model,
        settings=unhurried(Settings()),
        fingerprint="f",
        retrieve_for=lambda _: everything,
        state_of=lambda _: states["now"],
    )
    before = off.key(CASE), concatenated.key(CASE)
    states["now"] = "2"
    assert off.key(CASE) == before[0]  # no other file has a part in it
    assert concatenated.key(CASE) != before[1]
