"""What holds of fitted text whatever the file and the model say."""

from hypothesis import given
from hypothesis import strategies as st

from model.postprocess import finish

LANGUAGES = st.sampled_from(["python", "javascript", "rust", "c", "bash", "php", "markdown", None])
CONTROL = ["<|fim_suffix|>", "<|file_sep|>", "<|endo", "ftext|>"]
PIECES = [
    *("a", "foo", "=", ".", "\\", "€", "self", "def f():", "return x", "#", "//", "/*", "*/"),
    *("(", ")", "[", "]", "{", "}", '"', "'", "`", '"""', ":", ";", ",", "```\n"),
    *(" ", "    ", "\t", "\n", "\n    ", "\r\n", "\r", "\x0c", "\u2028", "\0", "\ufffd", "\ud800"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
SPELLING = st.lists(st.sampled_from(PIECES + 4 * CONTROL), max_size=12).map("".join)


@given(TEXTS, TEXTS, TEXTS, LANGUAGES)
def test_text_is_empty_if_and_only_if_it_is_suppressed(prefix, suffix, generated, language):
    done = finish(generated, prefix=prefix, suffix=suffix, language=language)
    assert bool(done.text.strip()) is (done.suppressed is None)
    assert not (done.suppressed and done.n_replaced)


@given(TEXTS, TEXTS, SPELLING, LANGUAGES)
def test_text_never_spells_a_control_token(prefix, suffix, generated, language):
    done = finish(generated, prefix=prefix, suffix=suffix, language=language)
    assert not any(f"<|{name}|>" in done.text for name in ("fim_suffix", "file_sep", "endoftext"))


@given(TEXTS, TEXTS, TEXTS, LANGUAGES)
def test_replaced_characters_are_on_the_line_and_occur_in_the_text_in_order(
    prefix, suffix, generated, language
):
    done = finish(generated, prefix=prefix, suffix=suffix, language=language)
    replaced, text = suffix[: done.n_replaced], iter(done.text)
    assert "\n" not in replaced
    assert all(character in text for character in replaced)


@given(TEXTS, TEXTS, TEXTS, LANGUAGES)
def test_no_later_line_is_the_next_line_again(prefix, suffix, generated, language):
    done = finish(generated, prefix=prefix, suffix="\n" + suffix, language=language)
    next_line = next((line.rstrip() for line in suffix.split("\n") if line.strip()), None)
    assert next_line not in [line.rstrip() for line in done.text.split("\n")[1:]]


@given(TEXTS, TEXTS, LANGUAGES)
def test_finishing_finished_text_changes_nothing(prefix, generated, language):
    once = finish(generated, prefix=prefix, suffix="\n", language=language)
    assert finish(once.text, prefix=prefix, suffix="\n", language=language).text == once.text
