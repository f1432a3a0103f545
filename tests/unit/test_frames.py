"""When a document's frame is kept, where it begins and ends when it is cut anew."""

from dataclasses import replace

import pytest

from lsp_server.frames import Cut, FrameKeeper

DOCUMENT = ("shop", "app.py")
ABOVE = "import a\n\n\ndef f(x):\n"
BELOW = "\n\n\ndef g(y):\n    return y\n"
TOP = Cut(0, len(ABOVE), 0)

KEPT = {
    "the same again": ("    retu", BELOW),
    "a keystroke": ("    retur", BELOW),
    "a character taken back": ("    ret", BELOW),
    "Enter": ("    return x\n", BELOW),
    "Enter and a keystroke": ("    return x\n    y", BELOW),
    "24 finished lines": ("    return x\n" + "    y = 1\n" * 23 + "    z", BELOW),
    "another line in place of the cursor's": ("    pass\n    x", BELOW),
    "an inserted closer": ("    print(", ")" + BELOW),
    "several inserted closers": ('    print(["', '"])' + BELOW),
    "Enter between brackets": ("    print(\n        ", "\n    )" + BELOW),
    "Enter between braces": ("    f({\n        ", "\n    });" + BELOW),
}
CUT = {
    "an edit above": ("import b\n\n\ndef f(x):\n    retu", BELOW),
    "a line more above": ("import a\nimport b\n\n\ndef f(x):\n    retu", BELOW),
    "a cursor further up": ("import a\n", "\n\ndef f(x):\n    retu" + BELOW),
    "another suffix": ("    retu", BELOW + "\n"),
    "text behind the cursor that is no closer": ("    print(", "x)" + BELOW),
    "a line below that is more than closers": ("    print(\n        ", "\n    ) + 1" + BELOW),
    "25 finished lines": ("    return x\n" + "    y = 1\n" * 24 + "    z", BELOW),
    "few finished lines of many characters": ("    x = '" + "a" * 1600 + "'\n", BELOW),
}


def cut(keeper: FrameKeeper, prefix: str, suffix: str, document=DOCUMENT, *, is_idle=False, start=0) -> Cut:
    """Cut a frame, and remember it as it was computed: from `start` on where the keeper does not mind."""
    one = keeper.cut(document, prefix, suffix, is_idle=is_idle)
    keeper.keep(document, prefix, suffix, replace(one, start=start if one.start is None else one.start))
    return one


def keeper_of(prefix: str = ABOVE + "    retu", suffix: str = BELOW) -> FrameKeeper:
    """Return a keeper that has cut a frame of `ABOVE`."""
    keeper = FrameKeeper()
    assert cut(keeper, prefix, suffix) == replace(TOP, start=None)
    return keeper


@pytest.mark.parametrize(("typed", "suffix"), KEPT.values(), ids=KEPT.keys())
def test_the_frame_is_kept_over(typed, suffix):
    one = cut(keeper_of(), ABOVE + typed, suffix)
    assert (one.start, one.end) == (0, len(ABOVE))
    assert suffix[one.n_hidden :] == BELOW


@pytest.mark.parametrize(("typed", "suffix"), CUT.values(), ids=CUT.keys())
def test_the_frame_is_cut_anew_after(typed, suffix):
    prefix = typed if typed.startswith("import") else ABOVE + typed
    keeper = keeper_of()
    one = cut(keeper, prefix, suffix)
    assert one.end == prefix.rfind("\n") + 1, "at the cursor's line"
    assert cut(keeper, prefix + "\n", suffix).end == one.end, "and it is kept from then on"


@pytest.mark.parametrize("document", [("shop", "cart.py"), ("store", "app.py")])
def test_another_file_has_a_frame_of_its_own(document):
    keeper = keeper_of()
    prefix = ABOVE + "    x = 1\n"
    assert cut(keeper, prefix, BELOW, document) == Cut(None, len(prefix), 0)
    assert cut(keeper, prefix, BELOW) == TOP, "and the first one is kept as well"


def test_lines_that_are_finished_one_by_one_stay_in_the_live_segment_up_to_24():
    keeper = keeper_of()
    ends = [cut(keeper, ABOVE + "    x\n" * n, BELOW).end for n in range(50)]
    assert ends == [len(ABOVE)] * 25 + [len(ABOVE + "    x\n" * 25)] * 25


def test_while_nobody_waits_the_frame_is_cut_anew_after_8_lines():
    keeper = keeper_of()
    ends = [cut(keeper, ABOVE + "    x\n" * n, BELOW, is_idle=True).end for n in range(18)]
    assert ends == [len(ABOVE)] * 9 + [len(ABOVE + "    x\n" * 9)] * 9


def test_while_nobody_waits_closers_below_the_cursor_are_shown():
    assert cut(keeper_of(), ABOVE + "    print(\n        ", "\n    )" + BELOW, is_idle=True).n_hidden == 0


def test_a_forgotten_frame_is_cut_anew():
    keeper = keeper_of()
    keeper.forget()
    assert cut(keeper, ABOVE + "    x\n", BELOW) == Cut(None, len(ABOVE + "    x\n"), 0)


def test_an_empty_file_has_an_empty_frame():
    keeper = FrameKeeper()
    assert cut(keeper, "", "").end == 0
    assert cut(keeper, "x = 1", "").end == 0


# In a file that is longer than a prompt

LINES = [f"line number {number:04} = some_function(argument)\n" for number in range(200)]
START, AT = 60 * len(LINES[0]), 100 * len(LINES[0])
TEXT = "".join(LINES)


def in_long_file() -> FrameKeeper:
    """Return a keeper that has cut a frame of lines 60 to 100."""
    keeper = FrameKeeper()
    assert cut(keeper, TEXT[:AT], TEXT[AT:], start=START) == Cut(None, AT, 0)
    return keeper


def test_a_place_that_was_left_is_cut_as_before():
    keeper = in_long_file()
    cut(keeper, TEXT[:AT] + "x = 1\n" * 5, TEXT[AT:])
    cut(keeper, TEXT[: START - 500], TEXT[START - 500 :], start=1000)
    assert cut(keeper, TEXT[:AT] + "x = 1\n" * 5 + "y", TEXT[AT:]) == Cut(START, AT, 0)


def test_of_two_frames_the_one_that_ends_nearer_to_the_cursor_is_kept():
    keeper, below = in_long_file(), TEXT[AT:]
    further_up = TEXT[: AT - 2 * len(LINES[0])]
    cut(keeper, further_up, below)
    assert cut(keeper, TEXT[:AT] + "x", below).end == AT
    assert cut(keeper, further_up + "x", below).end == len(further_up)


def test_a_place_that_has_moved_is_found_again():
    more = "import more\n"
    assert cut(in_long_file(), more + TEXT[:AT], TEXT[AT:]) == Cut(START + len(more), AT + len(more), 0)


BEGINNINGS = {
    "some lines further down": (TEXT[: AT + 500], TEXT[AT + 500 :], START),
    "some lines further up": (TEXT[: AT - 500], TEXT[AT - 500 :], START),
    "after an edit above the cursor": (TEXT[: AT - 700] + "x\n" + TEXT[AT - 700 : AT], TEXT[AT:], START),
    "after an edit below the cursor": (TEXT[:AT], "\nx = 1" + TEXT[AT:], START),
    "too far up to know enough": (TEXT[: START + 900], TEXT[START + 900 :], None),
    "after an edit near the beginning": (TEXT[: START + 90] + "x\n" + TEXT[START + 90 : AT], TEXT[AT:], None),
}


@pytest.mark.parametrize(("prefix", "suffix", "start"), BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_a_frame_that_is_cut_anew_begins_where_it_has_much_in_common_with_an_earlier_one(
    prefix, suffix, start
):
    assert in_long_file().cut(DOCUMENT, prefix, suffix) == Cut(start, prefix.rfind("\n") + 1, 0)


def test_while_nobody_waits_a_frame_that_is_cut_anew_shows_more():
    prefix, suffix = TEXT[: START + 1500], TEXT[START + 1500 :]
    assert in_long_file().cut(DOCUMENT, prefix, suffix).start == START
    assert in_long_file().cut(DOCUMENT, prefix, suffix, is_idle=True).start is None


def test_only_the_last_places_are_remembered():
    keeper = in_long_file()
    for number in range(20):
        cut(keeper, TEXT[:AT], TEXT[AT:], ("shop", f"{number}.py"))
    assert len(keeper._frames) < 20
    assert cut(keeper, TEXT[:AT], TEXT[AT:]).start is None
