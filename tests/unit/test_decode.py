"""Decoding on a decoder without weights."""

import math
from dataclasses import replace

import pytest
from fake_model import FakeCodec, FakeDecoder, continues

from model.decode import DecodeOptions, generate
from model.prompt import PromptRequest, build_prompt

WORDS = [" return", " re", "re", "turn", " value", "\n", "    ", "   ", " =", "=="]


def run(
    line,
    writes,
    *,
    suffix="",
    opening="",
    codec=None,
    decoder=None,
    clock=lambda: 0.0,
    cancelled=None,
    stop_rule=None,
    **options,
):
    """Complete `line`, with a model that writes `writes` from the line's start on."""
    codec = codec or FakeCodec(WORDS)
    decoder = decoder or FakeDecoder(codec, continues(codec, writes))
    prompt = build_prompt(codec, PromptRequest("r", "p.py", "a = 1\n" + line, suffix, (), opening))
    generation = generate(
        decoder,
        codec,
        prompt,
        options=DecodeOptions(**options),
        stop_rule=stop_rule,
        clock=clock,
        cancelled=cancelled,
    )
    return generation, decoder


@pytest.mark.parametrize(
    ("line", "writes", "text"),
    [
        ("x = ", "x = 1", "1"),
        ("    re", "    return value", "turn value"),
        ("    ", "    return value", "return value"),
        ("  ret", "  return", "urn"),
        ("x =", "x == y", "= y"),  # the typed bytes end inside of a token
        ("", "value", "value"),
        ("x = 'gr", "x = 'größe'", "öße'"),
        ("x = 'ö", "x = 'öß'", "ß'"),
        ("x", "x", ""),
    ],
)
def test_typed_bytes_are_typed_again_and_are_not_in_the_text(line, writes, text):
    generation, _ = run(line, writes)
    assert (generation.text, generation.stop_reason) == (text, "control_token")


def test_typed_bytes_hold_even_against_the_model():
    generation, _ = run("x = val", "x = other")
    assert FakeCodec(WORDS).decode(generation.token_ids).startswith(b" val")


def one_at_a_time(line, writes):
    """The reference: no draft, so each token costs a pass of its own."""
    codec = FakeCodec(WORDS)
    decoder = FakeDecoder(codec, continues(codec, writes))
    prompt = build_prompt(codec, PromptRequest("r", "p.py", "a = 1\n" + line, ""))
    return generate(decoder, codec, replace(prompt, draft=()), clock=lambda: 0.0)


@pytest.mark.parametrize(
    "line", ["", "    ", "    r", "    ret", "    return", "    return v", "    return value"]
)
def test_reading_the_draft_saves_passes(line):
    drafted, decoder = run(line, "    return value")
    reference = one_at_a_time(line, "    return value")
    assert drafted.token_ids == reference.token_ids
    assert drafted.text == reference.text
    assert drafted.n_passes <= reference.n_passes
    assert drafted.n_passes == len(decoder.passes)


@pytest.mark.parametrize(
    ("writes", "options", "text", "reason"),
    [
        ("x = 1\ny = 2", {}, "1", "line_end"),
        ("x = 1\r\ny = 2", {}, "1", "line_end"),
        ("x = 1\ny = 2", {"single_line": False}, "1\ny = 2", "control_token"),
        ("x = 123456", {"max_tokens": 3}, "12", "max_tokens"),  # the healed space counts too
        ("x = 1\nyy = 2", {"max_tokens": 6, "single_line": False}, "1", "max_tokens"),  # whole lines
        ("x = 1234", {"max_tokens": 3, "single_line": False}, "12", "max_tokens"),
        ("x = " + "ab" * 40, {"max_tokens": 80}, "ab", "repetition"),
        ("x = 1\nb\nb\nb\nc", {"single_line": False}, "1\nb", "repetition"),
        ("x = 1\nend()\nc", {"single_line": False, "suffix": "\n\nend()\n"}, "1", "repeats_suffix"),
    ],
)
def test_stops(writes, options, text, reason):
    generation, _ = run("x = ", writes, **options)
    assert (generation.text, generation.stop_reason) == (text, reason)


class StopAt:
    def __init__(self, mark):
        self.mark = mark

    def check(self, generated):
        at = generated.find(self.mark)
        return at if at >= 0 else None


def test_a_stop_rule_cuts_a_block_and_is_not_asked_for_a_line():
    assert run("x = ", "x = 1;2\n", single_line=False, stop_rule=StopAt(b";"))[0].stop_reason == "scope_end"
    assert run("x = ", "x = 1;2\n", stop_rule=StopAt(b";"))[0].text == "1;2"


@pytest.mark.parametrize(
    "name", ["end_of_text", "fim_prefix", "fim_suffix", "fim_middle", "repo_name", "file_sep"]
)
def test_any_control_token_ends_the_text_and_is_not_in_it(name):
    codec = FakeCodec()

    def scores(ids):
        return (
            {getattr(codec.control, name): 5.0}
            if codec.token_bytes(ids[-1]) == b"1"
            else {codec.id_of("1"): 5.0}
        )

    generation, _ = run("x =", "", codec=codec, decoder=FakeDecoder(codec, scores))
    assert (generation.text, generation.stop_reason) == ("1", "control_token")


def test_half_a_character_is_never_in_the_text():
    codec = FakeCodec()
    for n in range(1, 8):
        text = run("x = ", "x = a€€", codec=codec, max_tokens=n)[0].text
        assert text == "a€€"[: len(text)]


def test_a_block_neither_ends_empty_nor_with_a_header():
    codec = FakeCodec()
    nexts = {b" ": "a", b"a": ":", b":": "b"}

    def scores(ids):
        """Would always end, and knows at each step what else it would write."""
        last = codec.token_bytes(ids[-1])
        return {codec.control.end_of_text: 9.0, codec.id_of(nexts.get(last, "?")): 5.0}

    def block(line):
        decoder = FakeDecoder(codec, scores)
        return run(line, "", codec=codec, decoder=decoder, opening="\n ", single_line=False)[0].text

    assert block("") == "\n a"
    nexts[b" "] = ":"
    assert block("") == "\n :b"


@pytest.mark.parametrize(
    ("written", "goes_on"),
    [
        ('"""Doc."""', True),
        ("'''Doc.\n\n    More.\n    '''", True),
        ('r"""Doc."""', True),
        ('# why\n    """Doc."""\n    # how', True),
        ("# why\n    # how", True),
        ("// why\n    // how\n", True),
        ('"""Doc."""\n    x', False),
        ('x = """Doc."""', False),
        ("x  # why", False),
        ("# why\n    x", False),
        ("'Doc.'", False),
    ],
)
def test_a_block_does_not_end_with_what_only_documents_it(written, goes_on):
    codec = FakeCodec()
    whole = "\n    " + written
    body = "\n    y"

    def scores(ids):
        """Writes the block, then would end, and knows a body else."""
        text = b"".join(map(codec.token_bytes, ids)).decode().rpartition("if x:")[2]
        if len(text) < len(whole):
            return {codec.id_of(whole[len(text)]): 9.0}
        rest = body[len(text) - len(whole) :]
        return {codec.control.end_of_text: 9.0, codec.id_of(rest[:1] or "?"): 5.0}

    decoder = FakeDecoder(codec, scores)
    generation, _ = run("if x:", "", codec=codec, decoder=decoder, opening="\n    ", single_line=False)
    assert generation.text == whole + (body if goes_on else "")


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n  "])
def test_behind_a_docstring_the_body_is_led_to_its_indentation(end):
    quotes = '"""' + end
    codec = FakeCodec([quotes, "    ", "\n\n"])
    decoder = FakeDecoder(codec, continues(codec, f'if x:\n    """Doc{quotes}class A'))
    generation, _ = run("if x:", "", codec=codec, decoder=decoder, opening="\n    ", single_line=False)
    lines = generation.text.split("\n")
    assert lines[1] == '    """Doc"""'
    assert lines[-1].startswith("    ")


@pytest.mark.parametrize("line", ['    """Doc."""\n    ', "    '''Doc.'''\n    "])
def test_a_docstring_is_not_followed_by_another(line):
    codec = FakeCodec(["   ", ' """', '"""'])

    def scores(ids):
        if codec.token_bytes(ids[-1]) == b" ":
            return {codec.id_of('"""'): 9.0, codec.id_of("y"): 5.0}
        return {codec.id_of(' """'): 9.0, codec.id_of('"""'): 9.0, codec.id_of(" "): 5.0}

    decoder = FakeDecoder(codec, scores)
    generation, _ = run(line, "", codec=codec, decoder=decoder, single_line=False, max_tokens=2)
    assert not generation.text.strip().startswith('"')


def test_what_the_completion_begins_with_is_in_the_text():
    generation, _ = run("if x:", "if x:\n    value", opening="\n    ", single_line=False)
    assert generation.text == "\n    value"


def test_what_the_buffer_holds_is_not_computed_again():
    codec = FakeCodec(WORDS)
    decoder = FakeDecoder(codec, continues(codec, "x = value"))
    first, _ = run("x = v", "", codec=codec, decoder=decoder)
    n_first = sum(decoder.passes)
    second, _ = run("x = va", "", codec=codec, decoder=decoder)
    assert first.n_reused_tokens == 0
    assert second.n_reused_tokens == second.n_prompt_tokens - 1
    assert sum(decoder.passes) - n_first < n_first / 4
    assert second.text == "lue"


class Clock:
    """Advances by one second a call."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def test_at_the_deadline_what_was_generated_is_kept():
    generation, _ = run("x = ", "x = 123456789", clock=Clock(), deadline_ms=5_000)
    assert generation.stop_reason == "deadline"
    assert generation.text
    assert "123456789".startswith(generation.text)


@pytest.mark.parametrize(
    ("text", "options", "kept"),
    [
        ("x = 123456789", {}, "1"),
        ("x = 1\n    y = 2\n    z = 3", {"single_line": False}, "1"),
    ],
)
def test_after_enough_time_it_ends_with_the_first_thing_that_is_whole(text, options, kept):
    generation, _ = run("x = ", text, clock=Clock(), enough_ms=1, **options)
    assert (generation.stop_reason, generation.text) == ("deadline", kept)


def test_a_deadline_in_the_prefill_keeps_what_was_computed():
    codec = FakeCodec()
    decoder = FakeDecoder(codec, continues(codec, "x"))
    prompt = build_prompt(codec, PromptRequest("r", "p.py", "a = 1\n" * 80, ""))
    options = DecodeOptions(deadline_ms=1_000)
    generation = generate(decoder, codec, prompt, options=options, clock=Clock())
    assert (generation.stop_reason, generation.text, generation.token_ids) == ("deadline", "", ())
    assert decoder.ids == list(prompt.concatenated()[0].token_ids[:256])
    again = generate(decoder, codec, prompt, options=options, clock=Clock())
    assert (generation.n_reused_tokens, again.n_reused_tokens) == (0, 256)


@pytest.mark.parametrize("at_pass", [0, 1, 3])
def test_a_cancelled_run_returns_what_it_has(at_pass):
    codec = FakeCodec()
    decoder = FakeDecoder(codec, continues(codec, "x = 123456"))
    decoder.cancel_at_pass = at_pass
    generation, _ = run("x = ", "", codec=codec, decoder=decoder)
    assert generation.stop_reason == "cancelled"
    assert "123456".startswith(generation.text)


@pytest.mark.parametrize(("n_passes", "text"), [(0, ""), (1, "1"), (3, "123")])
def test_a_generation_is_cancelled_between_passes(n_passes, text):
    codec = FakeCodec()
    decoder = FakeDecoder(codec, continues(codec, "x = 12345"))
    generation, _ = run(
        "x = ", "", codec=codec, decoder=decoder, cancelled=lambda: len(decoder.passes) == n_passes
    )
    assert (generation.text, generation.stop_reason) == (text, "cancelled")
    assert generation.n_passes == n_passes


def test_a_generation_that_is_cancelled_in_the_prefill_has_no_text():
    generation, _ = run("if x:", "", opening="\n    ", single_line=False, cancelled=lambda: True)
    assert (generation.text, generation.stop_reason) == ("", "cancelled")


def test_log_probabilities_are_those_of_the_texts_tokens_among_the_allowed_ones():
    codec = FakeCodec([" 1"])
    scores = {codec.id_of(" 1"): 1.0, codec.id_of(" "): 0.5, codec.control.end_of_text: 5.0}
    decoder = FakeDecoder(
        codec, lambda ids: {codec.id_of("1"): 5.0} if codec.decode(ids[-1:]) == b" " else scores
    )
    generation, _ = run("x = ", "", codec=codec, decoder=decoder, n_log_probabilities=2)
    assert generation.text == "1"
    assert generation.log_probabilities == (pytest.approx(-math.log(1 + math.exp(-0.5))),)


def test_tokens_that_only_type_again_have_no_log_probability():
    generation, _ = run("x = ", "x = 12", codec=FakeCodec(), n_log_probabilities=9)
    assert len(generation.token_ids) == 3
    assert len(generation.log_probabilities) == 2
    assert all(-10 < value < 0 for value in generation.log_probabilities)


@pytest.mark.parametrize("opening", ["", "\n    "])
@pytest.mark.parametrize("typed", ["", "ret", "return val"])
def test_how_tokens_are_spread_over_passes_changes_nothing(typed, opening):
    """The decoder says what it is given, token by token; what is left in its buffer must not be seen."""
    writes = "    return value"
    fresh, _ = run("    " + typed, writes, opening=opening)
    decoder = FakeDecoder(FakeCodec(WORDS), continues(FakeCodec(WORDS), writes))
    for n in range(len(typed) + 1):
        reused, _ = run("    " + typed[:n], writes, opening=opening, decoder=decoder)
    assert (reused.text, reused.token_ids) == (fresh.text, fresh.token_ids)
