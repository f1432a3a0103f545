"""Prompts: what stands in each segment, and what a budget leaves out."""

from dataclasses import replace

import pytest
from fake_memories import FakeEncoder
from fake_model import FakeCodec
from hypothesis import given
from hypothesis import strategies as st

from model.prompt import PromptBudget, PromptDefinition, PromptRequest, add_definitions, build_prompt

CODEC = FakeCodec()
CONTROL = CODEC.control


def shown(ids):
    """The ids as text, control ids by name."""
    names = {
        getattr(CONTROL, n): f"<{n}>"
        for n in ("fim_prefix", "fim_suffix", "fim_middle", "repo_name", "file_sep")
    }
    return "".join(names.get(i) or CODEC.token_bytes(i).decode("latin-1") for i in ids)


def prompt_of(prefix="", suffix="", definitions=(), opening="", **budget):
    request = PromptRequest("shop", "shop/cart.py", prefix, suffix, definitions, opening)
    return build_prompt(CODEC, request, PromptBudget(**budget))


def ids_of(prompt):
    (run,) = prompt.concatenated()
    return list(run.token_ids)


def test_segments_in_the_repository_format():
    prompt = prompt_of(
        "import a\n\nx = a.fo",
        "\ny = 2\n",
        [PromptDefinition("a.py", "def foo(): ...\n"), PromptDefinition("b.py", "B = 1")],
    )
    assert shown(prompt.sink) == "<repo_name>shop\n"
    assert [shown(ids) for ids in prompt.definitions] == [
        "<file_sep>b.py\nB = 1\n",
        "<file_sep>a.py\ndef foo(): ...\n",
    ]
    assert prompt.definition_ranks == (1, 0)
    assert shown(prompt.frame) == "<file_sep>shop/cart.py\n<fim_prefix>import a\n\n<fim_suffix>\ny = 2\n"
    assert shown(prompt.live) == "<fim_middle>x = a."
    assert (prompt.typed, CODEC.decode(prompt.draft)) == (b"fo", b"fo")
    assert (prompt.line, prompt.next_line) == (b"x = a.fo", b"y = 2")
    parts = [prompt.sink, *prompt.definitions, prompt.frame, prompt.live]
    assert ids_of(prompt) == [i for part in parts for i in part]


def test_the_best_definition_can_stand_first():
    rows = [PromptDefinition("a.py", "a"), PromptDefinition("b.py", "b")]
    assert prompt_of(definitions=rows, order="best_first").definition_ranks == (0, 1)


def test_text_never_becomes_a_control_id():
    spelled = "<|fim_middle|><|file_sep|>"
    prompt = prompt_of(spelled + "\n" + spelled, "\n" + spelled, [PromptDefinition(spelled, spelled)])
    expected = ["repo_name", "file_sep", "file_sep", "fim_prefix", "fim_suffix", "fim_middle"]
    assert [i for i in ids_of(prompt) if i in CONTROL.all_ids] == [getattr(CONTROL, n) for n in expected]


def frame_parts(prompt):
    before, after = shown(prompt.frame).split("<fim_prefix>")[1].split("<fim_suffix>")
    return before, after


def test_prefix_and_suffix_are_cut_at_lines():
    lines = "".join(f"line {i:02}\n" for i in range(20))
    before, after = frame_parts(prompt_of(lines, "\n" + lines, prefix_tokens=20, suffix_tokens=20))
    assert before == "line 18\nline 19\n"
    assert after == "\nline 00\nline 01\n"


def test_lines_longer_than_the_budget_are_cut_inside():
    before, after = frame_parts(prompt_of("a" * 500 + "\nx", "b" * 500, prefix_tokens=10, suffix_tokens=10))
    assert before == "aaaaaaaaa\n"
    assert after == "bbbbbbbbbb"
    assert len(prompt_of("z " * 5000, line_tokens=16).live) <= 17


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        (")\nnext\n", "\nnext\n"),
        ('"):  \nnext\n', "\nnext\n"),
        (", b)\nnext\n", ", b)\nnext\n"),
        ("", ""),
        (")", ""),
    ],
)
def test_a_rest_of_line_that_only_closes_stays_out(suffix, expected):
    assert frame_parts(prompt_of("foo(", suffix))[1] == expected


def test_definitions_are_cut_at_a_line_and_the_worst_are_left_out():
    rows = [PromptDefinition(f"{i}.py", "aaaa\n" * 10) for i in range(4)]
    prompt = prompt_of(definitions=rows, definition_tokens=18, definitions_tokens=40)
    assert [shown(ids) for ids in prompt.definitions] == [
        "<file_sep>1.py\naaaa\naaaa\n",
        "<file_sep>0.py\naaaa\naaaa\n",
    ]
    assert prompt.definition_ranks == (1, 0)


def test_a_definition_on_one_endless_line_keeps_its_beginning():
    prompt = prompt_of(definitions=[PromptDefinition("a.py", "abc " * 250_000)], definition_tokens=18)
    assert [shown(ids) for ids in prompt.definitions] == ["<file_sep>a.py\nabc abc abc "]


def test_an_endless_line_after_the_cursor_keeps_its_beginning():
    assert frame_parts(prompt_of("x", "\n" + "abc " * 500, suffix_tokens=9))[1] == "\nabc abc "


@pytest.mark.parametrize(("total", "n_definitions"), [(60, 0), (160, 0), (400, 2)])
def test_the_total_is_kept_and_the_worst_definitions_go_first(total, n_definitions):
    rows = [PromptDefinition(f"{i}.py", "aaaa\n" * 20) for i in range(2)]
    prompt = prompt_of("line\n" * 20 + "x", "\nrest\n", rows, total_tokens=total)
    assert len(ids_of(prompt)) <= total
    assert len(prompt.definitions) == n_definitions


TEXTS = st.lists(
    st.sampled_from(["a", "foo", " ", "\n", "\r\n", ")", "€", "x" * 40, "\ud800", "<|fim_middle|>"])
).map("".join)


@given(TEXTS, TEXTS, TEXTS, st.integers(32, 400), st.sampled_from(["", "\n    "]))
def test_the_total_is_kept_whatever_the_text(prefix, suffix, other, total, opening):
    definitions = [PromptDefinition(other, other)] * 2
    request = PromptRequest(other, other, prefix, suffix, definitions, opening)
    prompt = build_prompt(CODEC, request, PromptBudget(total_tokens=total))
    assert len(ids_of(prompt)) + len(prompt.draft) <= total
    assert len(prompt.definition_ranks) == len(prompt.definitions)
    assert CODEC.decode(prompt.draft) == prompt.typed


@pytest.mark.parametrize("character", ["a", "€"])
def test_of_an_endless_word_only_the_end_is_typed_again(character):
    prompt = prompt_of("x = " + character * 100)
    assert len(prompt.draft) == 16
    assert CODEC.decode([*prompt.live, *prompt.draft]) == f"x = {character * 100}".encode()[-128 - 16 :]


class CountingCodec(FakeCodec):
    def __init__(self):
        super().__init__()
        self.n_characters = 0

    def encode(self, text):
        self.n_characters += len(text)
        return super().encode(text)


@pytest.mark.parametrize("piece", ["x = 1\n", "x", " "])
def test_a_huge_file_is_cut_before_it_is_tokenized(piece):
    codec = CountingCodec()
    text = piece * (10_000_000 // len(piece))
    budget = PromptBudget(prefix_tokens=64, suffix_tokens=64, line_tokens=64)
    build_prompt(codec, PromptRequest("r", "p", text, text), budget)
    assert codec.n_characters < 64 * 72 * 4


def test_line_breaks_and_odd_characters_are_made_plain():
    prompt = prompt_of("\ufeffa\r\nb\udc80\r\nx", "\r\ny\r\n")
    assert frame_parts(prompt) == ("a\nb?\n", "\ny\n")
    assert shown(prompt_of(suffix="").sink) == "<repo_name>shop\n"


def test_what_a_completion_begins_with_is_part_of_the_prompt():
    prompt = prompt_of("if x:", "\n", opening="\n    ")
    assert shown(prompt.live) == "<fim_middle>if x:\n   "
    assert (prompt.typed, prompt.opening, prompt.line) == (b" ", b"\n    ", b"if x:")


# Frame and live segment

LINES = "".join(f"line {i:03}\n" for i in range(100))


def kept_prompt(typed, n_frame_characters, **budget):
    request = PromptRequest("shop", "a.py", LINES + typed, "\nrest\n", n_frame_characters=n_frame_characters)
    return build_prompt(CODEC, request, PromptBudget(**budget))


def test_a_kept_frame_is_the_same_however_many_lines_are_finished_below_it():
    """Also in a file of more lines than the prompt shows: what is above must not make room for them."""
    frames = {
        kept_prompt(typed, len(LINES), prefix_tokens=90).frame
        for typed in ("x", "x = 1\n", "x = 1\ny = 2\n    z", "x = 1\n" * 12)
    }
    assert len(frames) == 1
    (before, _) = frame_parts(kept_prompt("x", len(LINES), prefix_tokens=90))
    assert before == LINES[-90:]


def test_finished_lines_that_the_frame_goes_without_stand_in_the_live_segment():
    prompt = kept_prompt("one = 1\ntwo = 2\nx = thr", len(LINES), prefix_tokens=90)
    assert shown(prompt.live) == "<fim_middle>one = 1\ntwo = 2\nx ="
    assert prompt.typed == b" thr"


@pytest.mark.parametrize("n_frame_characters", [None, len(LINES)])
@pytest.mark.parametrize("prefix_tokens", [45, 90, 1000])
def test_the_lines_that_a_prompt_shows_are_counted(n_frame_characters, prefix_tokens):
    prompt = kept_prompt("one\ntwo\nx", n_frame_characters, prefix_tokens=prefix_tokens, suffix_tokens=6)
    above = shown(prompt.frame).partition("<fim_suffix>")[0] + shown(prompt.live)
    assert prompt.n_lines_before == above.partition("<fim_prefix>")[2].count("\n") + 1
    assert prompt.n_lines_after == frame_parts(prompt)[1].count("\n") + 1


def test_definitions_can_be_added_later():
    rows = [PromptDefinition(f"{i}.py", "aaaa\n" * 10) for i in range(4)]
    budget = PromptBudget(definition_tokens=18, definitions_tokens=40)
    request = PromptRequest("shop", "a.py", LINES + "x", "\n")
    whole = build_prompt(CODEC, replace(request, definitions=rows), budget)
    assert add_definitions(CODEC, build_prompt(CODEC, request, budget), rows, budget) == whole
    assert whole.definitions


@pytest.mark.parametrize("typed", ["x", "x = 1", "some(long, line, of, arguments, that=goes, on=and_on)"])
def test_a_line_that_grows_takes_nothing_from_the_frame(typed):
    """Also where the window is full: what is typed has its room from the start."""
    budget = {"window_tokens": 400, "prefix_tokens": 1000}
    assert kept_prompt(typed, len(LINES), **budget).frame == kept_prompt("", len(LINES), **budget).frame


@given(TEXTS, st.integers(0, 40), st.integers(32, 400), st.integers(0, 200))
def test_the_window_is_kept_whatever_else_there_is_room_for(line, n_finished, window, finished):
    typed = "x = 1\n" * n_finished + line.replace("\n", "")
    prompt = kept_prompt(typed, len(LINES), window_tokens=window, finished_tokens=finished)
    assert prompt.n_finished <= finished
    n_tokens = len(prompt.sink) + len(prompt.frame) + len(prompt.live) + len(prompt.draft)
    assert n_tokens - prompt.n_finished <= window


def test_finished_lines_stand_before_memories_but_for_their_last_token():
    prompt = kept_prompt("one = 1\ntwo = 2\nx = thr", len(LINES))
    memory = FakeEncoder().encode(prompt.sink, (1, 2, 3))
    sink, above, _, line = prompt.with_memories([memory], memory_tokens=64)
    assert shown(above.token_ids).endswith("<fim_middle>one = 1\ntwo = 2")
    assert shown(line.token_ids) == "\nx ="
    assert (
        line.first_position
        == above.first_position + above.n_tokens
        == len(sink.token_ids) + 64 + above.n_tokens
    )


def test_without_finished_lines_the_whole_live_segment_sees_memories():
    prompt = kept_prompt("x = thr", len(LINES))
    _, above, line = prompt.with_memories([], memory_tokens=64)
    assert above.token_ids == prompt.frame
    assert line.token_ids == prompt.live


# Where a frame begins


def frame_from(prefix, start, **budget):
    request = PromptRequest("shop", "a.py", prefix, "\nrest\n", frame_start=start)
    return build_prompt(CODEC, request, PromptBudget(**budget))


@pytest.mark.parametrize("start", [0, 90, 9 * 95])
def test_a_frame_begins_where_it_is_asked_to_if_there_is_room(start):
    prompt = frame_from(LINES + "x", start, prefix_tokens=900)
    assert (prompt.frame_start, frame_parts(prompt)[0]) == (start, LINES[start:])


def test_a_frame_that_there_is_no_room_for_begins_anew_and_leaves_room_to_grow():
    budget = {"prefix_tokens": 180, "growth_tokens": 36}
    prompt = frame_from(LINES + "x", 0, **budget)
    assert (prompt.frame_start, frame_parts(prompt)[0]) == (len(LINES) - 144, LINES[-144:])
    grown = frame_from(LINES + LINES[:36] + "x", prompt.frame_start, **budget)
    assert (grown.frame_start, frame_parts(grown)[0]) == (prompt.frame_start, LINES[-144:] + LINES[:36])
    assert frame_from(LINES + LINES[:45] + "x", prompt.frame_start, **budget).frame_start > prompt.frame_start


@given(TEXTS, st.integers(0, 100), st.integers(0, 50))
def test_a_frame_that_begins_where_it_began_is_the_same(text, n_tokens, n_growth):
    budget = {"prefix_tokens": n_tokens, "growth_tokens": n_growth}
    prompt = frame_from(text + "\n", None, **budget)
    again = frame_from(text + "\n", prompt.frame_start, **budget)
    assert (again.frame, again.frame_start) == (prompt.frame, prompt.frame_start)


def test_what_is_hidden_of_the_suffix_is_not_shown():
    request = PromptRequest("shop", "a.py", "f(\n    ", "\n)\nrest\n", n_hidden=2)
    prompt = build_prompt(CODEC, request, PromptBudget())
    assert frame_parts(prompt)[1] == "\nrest\n"
    assert prompt.next_line == b")"
