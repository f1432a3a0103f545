"""Drafts decide on the passes that a text takes, and on nothing else: not with any drafter."""

import random
from dataclasses import replace

import pytest
from fake_model import FakeCodec, FakeDecoder, continues
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decode import DecodeOptions, generate
from model.draft import Drafts
from model.prompt import PromptRequest, build_prompt

WORDS = [" return", " re", "re", "turn", " value", "\n", "    ", "   ", " =", "==", '"""', '"""\n']
CODEC = FakeCodec(WORDS)
OUTSIDE = [-1, CODEC.vocab_size, CODEC.vocab_size + 7, *CODEC.control.all_ids]


class Fixed:
    """Proposes the same tokens always, or what a function makes of the tokens accepted so far."""

    def __init__(self, propose):
        self.make = propose
        self.accepted = []
        self.asked = []

    def propose(self, n_most, *, start=b"", after=()):
        self.asked.append((n_most, start, tuple(after)))
        return self.make([*self.accepted, *after])

    def accept(self, token):
        self.accepted.append(token)


def complete(line, writes, drafter, *, suffix="", opening="", decoder=None, **options):
    prompt = build_prompt(CODEC, PromptRequest("r", "p.py", "a = 1\n" + line, suffix, (), opening))
    decoder = decoder or FakeDecoder(CODEC, continues(CODEC, writes))
    options = DecodeOptions(n_log_probabilities=9, **options)
    made = generate(decoder, CODEC, prompt, options=options, drafter=drafter, clock=lambda: 0.0)
    return made, decoder


def as_without(made):
    """What of a generation drafts must not change."""
    return replace(made, n_passes=0, n_drafted_tokens=0, n_accepted_tokens=0, elapsed_ms={})


LINES = [
    ("x = ", "x = 123456\ny", {}),
    ("    ret", "    return value\nmore", {}),
    ("    re", "    return value == 1\n", {"max_tokens": 3}),
    ("", "value = 1\n", {}),
    ("x = 'gr", "x = 'größe'\n", {}),
    ("x = ", "x = " + "ab" * 40, {"max_tokens": 80}),
    ("x = ", "x = 1\nb\nb\nb\nc", {"single_line": False}),
    ("x = ", "x = 1\nend()\nc", {"single_line": False, "suffix": "\n\nend()\n"}),
    ("if x:", 'if x:\n    """Doc"""\n    return value\n', {"single_line": False, "opening": "\n    "}),
    ("if x:", 'if x:\n    """Doc"""class A', {"single_line": False, "opening": "\n    "}),
    ('    """Doc."""\n    ', '    """Doc."""\n    value', {"single_line": False}),
]
"""The line, what the model writes from its start on, and how it is asked."""
TRUTH = [CODEC.encode(writes) for _, writes, _ in LINES]
DRAFTERS = {
    "nothing": lambda _: [],
    "always the same": lambda _: CODEC.encode("value = 1"),
    "no token": lambda _: OUTSIDE,
    "too long": lambda _: CODEC.encode("ab" * 40),
    "a line's end": lambda _: [CODEC.id_of("\n")] * 9,
}


@pytest.mark.parametrize(("line", "writes", "options"), LINES)
@pytest.mark.parametrize("name", DRAFTERS)
def test_a_wrong_drafter_changes_nothing(line, writes, options, name):
    reference, _ = complete(line, writes, None, **options)
    made, decoder = complete(line, writes, Fixed(DRAFTERS[name]), **options)
    assert as_without(made) == as_without(reference)
    # A guess that begins with what is typed is read in place of it, and may cost the row after that.
    assert made.n_passes == len(decoder.passes) <= reference.n_passes + 1
    assert 0 <= made.n_accepted_tokens <= made.n_drafted_tokens


@pytest.mark.parametrize(("line", "writes", "options"), LINES)
def test_an_oracle_saves_passes_and_changes_nothing(line, writes, options):
    reference, _ = complete(line, writes, None, **options)
    wanted = list(reference.token_ids)

    def oracle(accepted):
        n = len(accepted)
        return wanted[n:] if wanted[:n] == accepted else []

    made, _ = complete(line, writes, Fixed(oracle), **options)
    assert as_without(made) == as_without(reference)
    assert made.n_passes <= min(2 + len(wanted) // 16, reference.n_passes)
    assert made.n_accepted_tokens >= min(16, len(wanted) - 3)


@given(seed=st.integers(0, 2**32), case=st.sampled_from(LINES), n=st.integers(0, 40))
def test_random_drafts_change_nothing(seed, case, n):
    """Half of the proposed tokens are right, as long as all before them are."""
    line, writes, options = case
    reference, _ = complete(line, writes, None, **options)
    wanted = list(reference.token_ids)
    draw = random.Random(seed)

    def propose(accepted):
        true = wanted[len(accepted) :]
        return [
            true[i] if i < len(true) and draw.random() < 0.7 else draw.randrange(-2, CODEC.vocab_size + 2)
            for i in range(n)
        ]

    made, _ = complete(line, writes, Fixed(propose), **options)
    assert as_without(made) == as_without(reference)


@given(case=st.sampled_from(LINES), typed=st.integers(0, 12))
@settings(max_examples=20)
def test_lookups_change_nothing_over_keystrokes(case, typed):
    """The buffer and the drafts are those of the keystroke before."""
    _, writes, options = case
    drafts = Drafts(CODEC)
    decoder = FakeDecoder(CODEC, continues(CODEC, writes))
    options = {**options, "opening": ""}
    for end in range(typed + 1):
        line = writes.partition("\n")[0][:end]
        prompt = build_prompt(CODEC, PromptRequest("r", "p.py", "a = 1\n" + line, ""))
        made, _ = complete(line, writes, drafts.begin(prompt), decoder=decoder, **options)
        reference, _ = complete(line, writes, None, **options)
        assert as_without(replace(made, n_reused_tokens=0)) == as_without(reference)


def test_a_draft_ends_where_no_more_may_be_generated():
    drafter = Fixed(lambda _: CODEC.encode("0" * 40))
    made, decoder = complete("x =", "x =" + "0" * 40, drafter, max_tokens=6)
    assert len(made.token_ids) == 6
    n_prompt = made.n_prompt_tokens
    assert len(decoder.ids) <= n_prompt + 5
    assert all(n_most <= 5 for n_most, _, _ in drafter.asked)


@pytest.mark.parametrize("room", range(1, 12))
def test_a_draft_ends_where_the_buffer_does(room):
    writes = "x = 12345\n"
    reference, _ = complete("x = ", writes, None)
    wanted = list(reference.token_ids)
    decoder = FakeDecoder(CODEC, continues(CODEC, writes))
    decoder.capacity_tokens = reference.n_prompt_tokens + room

    def generated():
        return complete("x = ", writes, Fixed(lambda a: [*wanted[len(a) :], *wanted]), decoder=decoder)[0]

    if room >= len(wanted) - 1:
        assert as_without(generated()) == as_without(reference)
    else:
        with pytest.raises(AssertionError):
            generated()


def test_no_pass_is_made_for_the_token_behind_a_lines_end():
    made, decoder = complete("x = ", "x = 12\ny", Fixed(lambda a: CODEC.encode(" 12\ny = 3")[len(a) :]))
    assert (made.text, made.n_passes) == ("12", 1)
    assert CODEC.id_of("\n") not in decoder.ids[made.n_prompt_tokens :]


def test_offered_and_accepted_tokens_are_counted():
    made, _ = complete("x = ", "x = 12\ny", Fixed(lambda a: CODEC.encode(" 13")[len(a) :]))
    assert (made.n_drafted_tokens, made.n_accepted_tokens) == (3, 2)


def test_a_draft_is_asked_for_what_is_typed_already():
    drafter = Fixed(lambda _: [])
    complete("    return va", "    return value", drafter)
    assert drafter.asked[0][1:] == (b"a", tuple(CODEC.encode(" v")))
