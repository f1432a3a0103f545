"""What is named near the cursor, read off the text.

The text around a cursor is code that does not parse yet, in any language; so names, calls, receivers and
enclosing headers are read by their look, which is right often rather than always. This file does not know
what the names mean in the repository; that is `resolve.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from indexer.declarations import Chain, chain_at_end, return_type
from indexer.headers import enclosing_class, enclosing_function, open_call
from indexer.window import (
    IDENTIFIER,
    KEYWORDS,
    names_in,
    window_after,
    window_before,
)

_LINES_BEFORE = 120
_COUNTED_CHARACTERS = 100_000
_ATTRIBUTE = re.compile(r"(?<![\w.])(self|this)\.([^\W\d]\w*)\s*(?::[^=\n]*)?=(?!=)")
_USE = re.compile(r"((?:[^\W\d]\w*(?:\?\.|\.|::|->))*)([^\W\d]\w*)(\s*[({])?")


@dataclass(frozen=True, slots=True)
class Mention:
    """The use of a name that lies nearest to the cursor."""

    name: str
    n_lines: int
    """Lines between it and the cursor; 0 on the cursor's own line."""
    after: bool
    receiver: Chain
    """What stands before the dot: `("self", "client")` in `self.client.get`; empty without one."""
    called: bool
    n_uses: int
    """In the window, strings and comments included."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around the cursor."""

    mentions: tuple[Mention, ...]
    """One a name, nearest first; keywords and the name being typed are left out."""
    partial: str
    """The name being typed, empty if none is begun."""
    receiver: Chain
    """What stands before it, `("self", "client")` for `self.client.`; empty without a dot."""
    callee: str
    """The name of the innermost call that is still open at the cursor."""
    class_name: str
    bases: tuple[str, ...]
    """The class around the cursor and the names in its header."""
    function_name: str
    signature_names: tuple[str, ...]
    """Names in the header of the function around the cursor: its parameters and their types."""
    return_names: tuple[str, ...]
    """Names in the type that this function is said to return."""
    before: str
    """The end of the prefix, as far back as anything is read."""
    attributes: frozenset[Chain]
    """What `before` sets of the object around it: `("self", "client")`."""
    n_uses: Mapping[str, int]
    """How often each name stands in the buffer, import statements included."""


class BufferReader:
    """Reads one buffer at one keystroke after the other; what stands above the cursor's line is kept."""

    def __init__(self) -> None:
        self._counted: tuple[str, str] | None = None
        self._n_uses: Counter[str] = Counter()
        self._above: str | None = None
        self._attributes: frozenset[Chain] = frozenset()

    def n_uses(self, prefix: str, suffix: str) -> Counter[str]:
        """Return how often each name stands in a buffer; not to be changed."""
        prefix, suffix = prefix[-_COUNTED_CHARACTERS:], suffix[:_COUNTED_CHARACTERS]
        above, line = _cut(prefix)
        if self._counted != (above, suffix):
            self._counted = (above, suffix)
            self._n_uses = Counter(IDENTIFIER.findall(f"{above}\n{suffix}"))
        n_uses = self._n_uses.copy()
        n_uses.update(IDENTIFIER.findall(line))
        return n_uses

    def attributes(self, before: str) -> frozenset[Chain]:
        """Return what code sets of the object around it."""
        above, line = _cut(before)
        if line.lstrip().startswith((":", "=")):  # may go on with what the line above begins
            return frozenset(_ATTRIBUTE.findall(before))
        if self._above != above:
            self._above, self._attributes = above, frozenset(_ATTRIBUTE.findall(above))
        return self._attributes.union(_ATTRIBUTE.findall(line))


def _cut(text: str) -> tuple[str, str]:
    """Return the whole lines of a text, and the last one."""
    at = text.rfind("\n") + 1
    return text[:at], text[at:]


def read_surroundings(prefix: str, suffix: str, reader: BufferReader | None = None) -> Surroundings:
    """Read what is named around a cursor.

    Args:
        prefix: The text before the cursor; only its end is read.
        suffix: The text after it; only its beginning is read.
        reader: The one that read this buffer before, if one did.
    """
    reader = reader or BufferReader()
    before = window_before(prefix)
    receiver, partial = chain_at_end(before)
    class_name, bases = enclosing_class(before)
    function_name, signature = enclosing_function(before)
    return Surroundings(
        mentions=tuple(_mentions(before[: len(before) - len(partial)], window_after(suffix))),
        partial=partial,
        receiver=receiver,
        callee=open_call(before),
        class_name=class_name,
        bases=bases,
        function_name=function_name,
        signature_names=names_in(signature),
        return_names=return_type(signature),
        before=before,
        attributes=reader.attributes(before),
        n_uses=reader.n_uses(prefix, suffix),
    )


def _mentions(before: str, after: str) -> Iterator[Mention]:
    nearest: dict[str, tuple[int, bool, Chain, bool]] = {}
    n_uses: Counter[str] = Counter()
    for n_lines, is_after, line in _by_distance(before, after):
        uses = _uses(line)
        for name, receiver, called in uses if is_after else reversed(uses):
            n_uses[name] += 1
            nearest.setdefault(name, (n_lines, is_after, receiver, called))
    for name, (n_lines, is_after, receiver, called) in nearest.items():
        yield Mention(name, n_lines, is_after, receiver, called, n_uses[name])


def _by_distance(before: str, after: str) -> list[tuple[int, bool, str]]:
    """Return (distance, whether it is below the cursor, line), nearest first."""
    above = before.rsplit("\n", _LINES_BEFORE + 1)[-_LINES_BEFORE - 1 :]
    rows = [(n, False, line) for n, line in enumerate(reversed(above))]
    rows += [(n, True, line) for n, line in enumerate(after.split("\n"))]
    return sorted(rows, key=lambda row: row[:2])


@lru_cache(maxsize=1 << 11)
def _uses(line: str) -> tuple[tuple[str, Chain, bool], ...]:
    """Return (name, what stands before its dot, whether it is called) of each name in a line."""
    return tuple(use for match in _USE.finditer(line) for use in _parts(match))


def _parts(match: re.Match[str]) -> Iterator[tuple[str, Chain, bool]]:
    """Yield (name, what stands before its dot, whether it is called) for each name of a dotted one."""
    names = (*IDENTIFIER.findall(match[1]), match[2])
    for at, name in enumerate(names):
        if name not in KEYWORDS:
            yield name, names[:at], at == len(names) - 1 and match[3] is not None
