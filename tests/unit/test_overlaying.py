"""Which buffers retrieval is told of, and how often others than one have changed."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lsp_server.server.overlaying import Overlaying


class Told:
    def __init__(self):
        self.texts = []
        self.buffers = Overlaying(lambda path, text: self.texts.append((path, text)))

    def do(self, *calls):
        """Make calls, and wait until all is told."""
        with ThreadPoolExecutor(1) as aside:
            for name, *arguments in calls:
                getattr(self.buffers, name)(*arguments, aside)


def test_edits_elsewhere_are_those_of_other_buffers():
    told = Told()
    told.do(("put", "a.py", "x"), ("put", "b.py", "y"), ("give_back", "a.py"))
    assert told.texts == [("a.py", "x"), ("b.py", "y"), ("a.py", None)]
    assert [told.buffers.n_elsewhere(path) for path in ("a.py", "b.py", "c.py")] == [1, 2, 3]


def test_what_was_never_put_is_not_given_back():
    told = Told()
    told.do(("give_back", "a.py"), ("put", "a.py", "x"), ("give_back", "a.py"), ("give_back", "a.py"))
    assert told.texts == [("a.py", "x"), ("a.py", None)]
    assert told.buffers.n_elsewhere("b.py") == 2


@pytest.mark.parametrize(("saved", "is_told"), [("x = 1\r\n", False), ("x = 2\n", True), (None, True)])
def test_a_buffer_that_was_opened_is_told_of_if_its_file_says_something_else(tmp_path, saved, is_told):
    file = tmp_path / "a.py"
    if saved is not None:
        file.write_bytes(saved.encode())
    told = Told()
    told.do(("put_if_unsaved", "a.py", "x = 1\r\n", file), ("give_back", "a.py"))
    assert told.texts == ([("a.py", "x = 1\r\n"), ("a.py", None)] if is_told else [])
    assert told.buffers.n_elsewhere("b.py") == 2 * is_told


def test_a_text_that_no_file_can_hold_is_told_all_the_same(tmp_path):
    told = Told()
    (tmp_path / "a.py").write_text("x")
    told.do(("put_if_unsaved", "a.py", "\ud800", tmp_path / "a.py"))
    assert told.texts == [("a.py", "\ud800")]
