"""What holds from one keystroke of a document to the next, so that it is worked out once.

A keystroke changes a line. What the names of a buffer mean depends on the catalogue, on what the file imports
and defines, and on unsaved buffers beside it; all of that mostly stays. So what was worked out is kept with
what it was worked out from, which is compared at each retrieval; an answer is the same with and without.
Where the file's own definitions stand moves with each line that is typed above them: what is kept has the
places of the past, and `current` gives today's. This file does not know how names are resolved or ranked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from indexer.infer import Inference
from indexer.resolve import DefinitionSource, Resolver
from indexer.symbols import BufferReader
from indexer.types import Definition, Import, is_same_but_for_span

__all__ = ["Document", "Standing"]

_MAX_DOCUMENTS = 4
_MAX_ANSWERS = 20_000
"""Of one document; whoever scrolls through a large file asks for no more."""

Imports = Sequence[tuple[Import, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What names meant, and what that was worked out from."""

    own: tuple[Definition, ...]
    imports: Imports
    n_overlaid: int
    inference: Inference


@dataclass(slots=True)
class Document:
    """One document; for one thread at a time."""

    reader: BufferReader = field(default_factory=BufferReader)
    _meaning: _Meaning | None = None
    _now: dict[str, Definition] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget what names meant: the catalogue has changed."""
        self._meaning = None

    def inference(
        self,
        path: str | None,
        source: DefinitionSource,
        imports: Imports,
        own: Sequence[Definition],
        n_overlaid: int,
    ) -> Inference:
        """Return what knows the meaning of names here: the last one, if nothing it was made from has changed.

        Args:
            path: The document's.
            source: The catalogue with the buffers over it.
            imports: The buffer's.
            own: What the buffer defines.
            n_overlaid: How often other buffers have changed.
        """
        self._now = {definition.id: definition for definition in own}
        kept = self._meaning
        if (
            kept is None
            or kept.n_overlaid != n_overlaid
            or kept.imports != imports
            or len(kept.own) != len(own)
            or not all(map(is_same_but_for_span, kept.own, own))
            or kept.inference.resolver.n_kept > _MAX_ANSWERS
        ):
            inference = Inference(Resolver(source, path, imports), path)
            kept = self._meaning = _Meaning(tuple(own), imports, n_overlaid, inference)
        return kept.inference

    def current(self, definition: Definition) -> Definition:
        """Return a definition that was found as it stands now."""
        return self._now.get(definition.id, definition)


class Standing:
    """The documents that were retrieved for last; for one thread at a time."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str | None, Document] = OrderedDict()  # least recently used first

    def document(self, path: str | None) -> Document:
        """Return what is kept of a document."""
        document = self._documents.setdefault(path, Document())
        self._documents.move_to_end(path)
        while len(self._documents) > _MAX_DOCUMENTS:
            self._documents.popitem(last=False)
        return document

    def forget(self) -> None:
        """Forget all that depends on the catalogue; to be called whenever it has changed."""
        for document in self._documents.values():
            document.forget()
