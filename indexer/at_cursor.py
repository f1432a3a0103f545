"""The text around one cursor, read once for all who ask what syntax says there.

Reading costs milliseconds, and each keystroke asks several times: whether a block begins here, with what, and
where it ends. So the source is cut and read when somebody first needs it, and not again.
"""

from __future__ import annotations

from functools import cached_property

from indexer.blocks import Reading, read, split_rest
from indexer.lexemes import lexemes, source_after, source_before

__all__ = ["AtCursor"]


class AtCursor:
    """One cursor's surroundings. For one thread."""

    def __init__(self, language: str | None, prefix: str, suffix: str) -> None:
        """Read nothing yet.

        Args:
            language: By the index's names; None if unknown.
            prefix: Text before the cursor, of any length.
            suffix: Text after the cursor.
        """
        self.language = language
        self.prefix = prefix
        self.suffix = suffix

    @cached_property
    def source(self) -> bytes:
        """The end of the text before the cursor, from where reading is safe."""
        return source_before(self.language, self.prefix)

    @cached_property
    def reading(self) -> Reading:
        """What the lexemes of `source` say."""
        return read(self.language, self.source, lexemes(self.language, self.source))

    @cached_property
    def rest(self) -> bytes:
        """The rest of the cursor's line, without white space at its end."""
        return self._after[0]

    @cached_property
    def below(self) -> bytes:
        """The first lines below the cursor's."""
        return self._after[1]

    @cached_property
    def _after(self) -> tuple[bytes, bytes]:
        return split_rest(source_after(self.suffix))
