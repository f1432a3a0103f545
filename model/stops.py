"""Where generated text is cut: where it begins to repeat itself or what follows, and where it broke off.

Pure functions over bytes and ids; those that look for a reason to stop return how many bytes to keep, or
None. What a syntactic scope is, and when the time is over, is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "line_end",
    "repeats_following",
    "repeats_itself",
    "repeats_lines",
    "whole_characters",
    "whole_lines",
]

_LONGEST_PERIOD_TOKENS = 32
_FEWEST_REPEATED_TOKENS = 24
"""A loop counts from three rounds on, and from this many tokens: `0, 0, 0` is no loop yet."""
_REPEATED_LINES = 3


def line_end(generated: bytes) -> int | None:
    """Return the length of the first line without its break, once there is a break."""
    ends = [at for at in (generated.find(b"\n"), generated.find(b"\r")) if at >= 0]
    return min(ends, default=None)


def repeats_following(generated: bytes, *, line: bytes, next_line: bytes) -> int | None:
    """Return where a finished line of `generated` starts that equals the next line after the cursor.

    Lines are compared with their indentation: `return x` one level deeper is another line.

    Args:
        generated: All bytes after the cursor.
        line: The cursor's line up to the cursor, which the first generated line continues.
        next_line: The first line after the cursor's that is not blank; empty if there is none.
    """
    target = next_line.rstrip()
    if not target:
        return None
    start = 0
    while (end := generated.find(b"\n", start)) >= 0:
        text = (line if start == 0 else b"") + generated[start:end]
        # The cursor's own line may rightly be a lone bracket like the next one.
        if text.rstrip() == target and (start > 0 or _has_word(text)):
            return max(0, start - 1)
        start = end + 1
    return None


def repeats_itself(token_ids: Sequence[int], token_lengths: Sequence[int]) -> int | None:
    """Return the bytes up to the end of the first round, if the ids end in a loop of at least three.

    Args:
        token_ids: The generated ids.
        token_lengths: The bytes that each contributed to the generated text.
    """
    n = len(token_ids)
    for period in range(1, min(_LONGEST_PERIOD_TOKENS, n // 3) + 1):
        n_looped = max(3 * period, -(-_FEWEST_REPEATED_TOKENS // period) * period)
        if n_looped > n:
            continue
        tail = list(token_ids[n - n_looped :])
        if tail[period:] == tail[:-period]:
            return sum(token_lengths[: n - n_looped + period])
    return None


def repeats_lines(generated: bytes) -> int | None:
    """Return the bytes up to the end of the first of three equal finished lines in a row."""
    lines = generated.split(b"\n")[:-1]
    last = lines[-_REPEATED_LINES:]
    if len(lines) <= _REPEATED_LINES or len(set(last)) != 1 or not _has_word(last[0]):
        return None
    return len(b"\n".join(lines[: 1 - _REPEATED_LINES]))


def whole_lines(block: bytes) -> int:
    """Return the length of a block without the line that it broke off in, if that is not its only one."""
    end = block.rfind(b"\n")
    return end if block[: max(end, 0)].strip() else len(block)


def whole_characters(data: bytes) -> str:
    """Return the characters up to the first byte that begins none, or whose character is not whole yet."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start].decode()


def _has_word(line: bytes) -> bool:
    return any(byte >= 0x80 or chr(byte).isalnum() for byte in line)
