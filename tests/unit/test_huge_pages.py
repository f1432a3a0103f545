import mmap
import os

import numpy as np
import pytest

from model.huge_pages import added_ranges, huge_pages_for_what_is_allocated


@pytest.mark.parametrize(
    ("before", "after", "added"),
    [
        ([], [(4, 9)], [(4, 9)]),
        ([(4, 9)], [(4, 9)], []),
        ([(4, 9)], [(4, 12)], [(9, 12)]),
        ([(4, 9)], [(1, 9)], [(1, 4)]),
        ([(4, 9), (12, 15)], [(2, 20)], [(2, 4), (9, 12), (15, 20)]),
        ([(4, 9)], [], []),
        ([(4, 9)], [(5, 7), (20, 22)], [(20, 22)]),
    ],
)
def test_what_was_added_is_what_was_not_there_before(before, after, added):
    assert list(added_ranges(before, after)) == added


def test_what_was_allocated_holds_what_it_held():
    with huge_pages_for_what_is_allocated():
        arrays = [np.full(3 << 20, number, np.uint16) for number in range(5)]
    assert all((array == number).all() for number, array in enumerate(arrays))


@pytest.mark.parametrize(
    "name",
    [b"caf\xe9", "line\u2028separator".encode(), b"carriage\rreturn", b"line\nfeed"],
    ids=["not UTF-8", "a separator", "a carriage return", "a line feed"],
)
def test_no_name_of_a_mapped_file_keeps_a_model_from_being_loaded(tmp_path, name):
    file = os.fsencode(tmp_path) + b"/" + name
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
    except OSError:
        pytest.skip("this file system has no such names")
    with os.fdopen(descriptor, "r+b") as opened:
        opened.truncate(mmap.PAGESIZE)
        with mmap.mmap(opened.fileno(), 0), huge_pages_for_what_is_allocated():
            pass
