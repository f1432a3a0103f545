"""Where generated text repeats what follows the cursor, or itself."""

import pytest

from model.stops import line_end, repeats_following, repeats_itself, repeats_lines


@pytest.mark.parametrize(
    ("generated", "expected"),
    [(b"abc", None), (b"abc\n", 3), (b"a\r\nb", 1), (b"\n", 0), (b"a\nb\r", 1)],
)
def test_line_end(generated, expected):
    assert line_end(generated) == expected


@pytest.mark.parametrize(
    ("line", "generated", "next_line", "kept"),
    [
        ("    x", " = 1\n    return x\n", "    return x", " = 1"),
        ("    x", " = 1\n    return x", "    return x", None),  # not finished yet
        ("    x", " = 1\n        return x\n", "    return x", None),  # deeper: another line
        ("    x", " = 1\n    return x  \n", "    return x", " = 1"),
        ("  ", "if (a) {\n    b();\n  }\n}\n", "}", "if (a) {\n    b();\n  }"),
        ("    re", "turn x\n", "    return x", ""),
        ("", "}\n", "}", None),  # a lone bracket on the cursor's own line
        ("x", "y\n", "", None),
    ],
)
def test_stops_before_a_line_that_follows_the_cursor(line, generated, next_line, kept):
    keep = repeats_following(generated.encode(), line=line.encode(), next_line=next_line.encode())
    assert (None if keep is None else generated[:keep]) == kept


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([1, 2, 3] * 7, None),  # 21 tokens
        ([1, 2, 3] * 8, 3),
        ([9, 9] + [1, 2, 3] * 8, 5),
        ([7] * 23, None),
        ([7] * 24, 1),
        (list(range(12)) * 2, None),  # two rounds are no loop
        (list(range(12)) * 3, 12),
        (list(range(100)), None),
    ],
)
def test_a_loop_of_three_rounds_is_cut_after_the_first(ids, expected):
    assert repeats_itself(ids, [1] * len(ids)) == expected


@pytest.mark.parametrize(
    ("generated", "kept"),
    [
        ("a\nx = 1\nx = 1\nx = 1\n", "a\nx = 1"),
        ("x\ny\ny\n", None),
        ("\n}\n}\n}\n", None),  # closing brackets may repeat
    ],
)
def test_three_equal_lines_are_cut_after_the_first(generated, kept):
    keep = repeats_lines(generated.encode())
    assert (None if keep is None else generated[:keep]) == kept
