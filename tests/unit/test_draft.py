"""What is proposed to come next, with a tokenizer of one id a character."""

import pytest
from fake_model import FakeCodec

from model.draft import Drafts
from model.prompt import PromptDefinition, PromptRequest, build_prompt

CODEC = FakeCodec(["alpha", "beta"])


def begin(line, *, before="", suffix="", definitions=(), examples=(), drafts=None):
    """Return what drafts behind a line of which all but the last word stands in the prompt."""
    sources = [PromptDefinition("d.py", text) for text in definitions]
    request = PromptRequest("r", "p.py", before + line, suffix, sources)
    prompt = build_prompt(CODEC, request)
    return (drafts or Drafts(CODEC)).begin(prompt, examples), prompt


def proposed(line, n=16, **around):
    """Return what is proposed behind a line, that of it which the prompt leaves open included."""
    lookup, prompt = begin(line, **around)
    known, last = prompt.draft[:-1], prompt.draft[-1:]
    return CODEC.decode(lookup.propose(n, start=CODEC.decode(last), after=known)).decode()


@pytest.mark.parametrize(
    "around",
    [
        {"before": "total = alpha;\n"},
        {"suffix": "\ntotal = alpha;\n"},
        {"definitions": ["total = alpha;"]},
        {"examples": ["total = alpha;"]},
    ],
    ids=lambda around: next(iter(around)),
)
def test_what_followed_the_same_words_elsewhere_is_proposed(around):
    assert proposed("total = ", **around).startswith(" ")
    assert "alpha".startswith(proposed("total =", **around).removeprefix("=").strip()[:5])


def test_the_longest_match_counts_and_not_the_nearest():
    before = "the total=1\n" + "a subtotal=2\n" + "b subtotal=3\n"
    assert proposed("the total=", before=before).startswith("=1")


def test_of_equally_long_matches_the_most_frequent_continuation_is_proposed_from_its_nearest_place():
    examples = ["x+alpha 1", "x+beta", "x+alpha 2", "x+alpha 3"]
    assert proposed("x+a", examples=examples).startswith("alpha 1")


def test_what_was_typed_of_the_first_word_holds():
    before = "x = beta\ny = beta\nz = alpha\n"
    lookup, _ = begin("", before=before)
    assert CODEC.decode(lookup.propose(1, start=b"al")) == b"alpha"
    assert CODEC.decode(lookup.propose(1, start=b"be")) == b"beta"
    assert lookup.propose(1, start=b"zeta") == []


def test_control_tokens_are_never_proposed_and_nothing_behind_them():
    lookup, prompt = begin("", before="x\n", suffix="\ny")
    for token in [*prompt.frame, *prompt.live]:
        lookup.accept(token)
        assert not set(lookup.propose(99)) & set(CODEC.control.all_ids)


def test_nothing_known_proposes_nothing():
    lookup, _ = begin("")
    assert lookup.propose(16) == []


def test_no_more_is_proposed_than_asked_for():
    before = "total = 123456789\n" * 4
    for n in range(5):
        assert len(proposed("total =", n, before=before)) <= n


def test_a_proposal_changes_nothing():
    lookup, _ = begin("total =", before="total = alpha\n" * 3)
    first = lookup.propose(8, start=b"=", after=[CODEC.id_of("x")])
    assert lookup.propose(8, start=b"=", after=[CODEC.id_of("x")]) == first


def test_the_text_itself_is_looked_up_in_too():
    lookup, _ = begin("")
    for token in CODEC.encode("q=alpha;q="):
        lookup.accept(token)
    assert CODEC.decode(lookup.propose(1)) == b"alpha"


def test_what_an_earlier_completion_wrote_is_proposed_again():
    drafts = Drafts(CODEC)
    lookup, _ = begin("x = ", drafts=drafts)
    for token in CODEC.encode(" alpha"):
        lookup.accept(token)
    lookup, _ = begin("x = ", drafts=drafts)
    assert CODEC.decode(lookup.propose(9, start=b" ")) == b" alpha"[: len(b" ")] + b"alpha"


def test_drafts_grow_shorter_while_they_are_wrong_and_longer_while_they_are_right():
    drafts = Drafts(CODEC)

    def outcomes(n, *, right):
        for i in range(n):
            lookup, _ = begin("", before=f"k{i}=abcdefghij\n", drafts=drafts)
            for token in CODEC.encode(f"k{i}="):
                lookup.accept(token)
            (token, *_) = lookup.propose(16)
            lookup.accept(token if right else CODEC.id_of("#"))

    def length():
        lookup, _ = begin("", before="k=abcdefghij\n", drafts=drafts)
        return len(lookup.propose(16, after=CODEC.encode("k=")))

    usual = length()
    outcomes(40, right=False)
    shorter = length()
    outcomes(80, right=True)
    assert shorter < usual < length()


def test_many_tokens_have_room():
    lookup, _ = begin("")
    for token in CODEC.encode("ab" * 2_000):
        lookup.accept(token)
    assert CODEC.decode(lookup.propose(4)) == b"abab"
