"""When a document's frame is kept, and when it is cut anew."""

import pytest

from lsp_server.frames import FrameKeeper

DOCUMENT = ("shop", "app.py")
ABOVE = "import a\n\n\ndef f(x):\n"
BELOW = "\n\n\ndef g(y):\n    return y\n"

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
}
CUT = {
    "an edit above": ("import b\n\n\ndef f(x):\n    retu", BELOW),
    "a line more above": ("import a\nimport b\n\n\ndef f(x):\n    retu", BELOW),
    "a cursor further up": ("import a\n", "\n\ndef f(x):\n    retu" + BELOW),
    "another suffix": ("    retu", BELOW + "\n"),
    "text behind the cursor that is no closer": ("    print(", "x)" + BELOW),
    "25 finished lines": ("    return x\n" + "    y = 1\n" * 24 + "    z", BELOW),
    "few finished lines of many characters": ("    x = '" + "a" * 1600 + "'\n", BELOW),
}


def keeper_of(prefix: str = ABOVE + "    retu", suffix: str = BELOW) -> FrameKeeper:
    """Return a keeper that has cut a frame of `ABOVE`."""
    keeper = FrameKeeper()
    assert keeper.n_characters(DOCUMENT, prefix, suffix) == len(ABOVE)
    return keeper


@pytest.mark.parametrize(("typed", "suffix"), KEPT.values(), ids=KEPT.keys())
def test_the_frame_is_kept_over(typed, suffix):
    assert keeper_of().n_characters(DOCUMENT, ABOVE + typed, suffix) == len(ABOVE)


@pytest.mark.parametrize(("typed", "suffix"), CUT.values(), ids=CUT.keys())
def test_the_frame_is_cut_anew_after(typed, suffix):
    prefix = typed if typed.startswith("import") else ABOVE + typed
    keeper = keeper_of()
    cut = keeper.n_characters(DOCUMENT, prefix, suffix)
    assert cut == prefix.rfind("\n") + 1, "at the cursor's line"
    assert keeper.n_characters(DOCUMENT, prefix + "\n", suffix) == cut, "and it is kept from then on"


@pytest.mark.parametrize("document", [("shop", "cart.py"), ("store", "app.py")])
def test_another_file_has_a_frame_of_its_own(document):
    keeper = keeper_of()
    prefix = ABOVE + "    x = 1\n"
    assert keeper.n_characters(document, prefix, BELOW) == len(prefix)


def test_lines_that_are_finished_one_by_one_stay_in_the_live_segment_up_to_24():
    keeper = keeper_of()
    cuts = [keeper.n_characters(DOCUMENT, ABOVE + "    x\n" * n, BELOW) for n in range(50)]
    assert cuts == [len(ABOVE)] * 25 + [len(ABOVE + "    x\n" * 25)] * 25


def test_a_forgotten_frame_is_cut_anew():
    keeper = keeper_of()
    keeper.forget()
    assert keeper.n_characters(DOCUMENT, ABOVE + "    x\n", BELOW) == len(ABOVE + "    x\n")


def test_an_empty_file_has_an_empty_frame():
    keeper = FrameKeeper()
    assert keeper.n_characters(DOCUMENT, "", "") == 0
    assert keeper.n_characters(DOCUMENT, "x = 1", "") == 0
