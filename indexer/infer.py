"""From values to classes: what a value near the cursor may be an instance of.

Types are followed as a reader would: the annotation of a name, the class that is called to make it, the
return type of the function that gives it, the field of a class that it is read from. Nothing is executed
and nothing is certain; a wrong guess costs a place in a ranking.

Most of what is asked at one keystroke was asked at the one before. An answer is kept as long as none of the
names that it was read from stands on a line that has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from indexer.affixes import n_common_at_end, n_common_at_start
from indexer.declarations import MAX_HEADER_LINES, Chain, declared, return_type, returned
from indexer.resolve import TYPE_KINDS, Resolved, Resolver
from indexer.types import Definition
from indexer.window import KEYWORDS

_MAX_STEPS = 5
_MAX_CLASSES = 3
_MAX_KNOWN = 500
_OWN = frozenset({"self", "this", "cls", "super()"})


@dataclass(frozen=True, slots=True)
class _Known:
    """The classes of one value."""

    classes: tuple[Definition, ...]
    declared: frozenset[str]
    """The names whose declarations in the text were read."""
    returned: frozenset[str]
    """The names whose functions' headers were looked for."""


class Inference:
    """Answers what values are instances of, at one cursor after the other."""

    def __init__(self, resolver: Resolver, path: str | None) -> None:
        """Start without a cursor.

        Args:
            resolver: Knows what names mean.
            path: The file, None for one outside of the repository.
        """
        self.resolver = resolver
        self._path = path
        self._text = ""
        self._own_bases: tuple[Definition, ...] = ()
        self._known: dict[Chain, _Known] = {}
        self._fields: dict[tuple[str, str], tuple[Definition, ...]] = {}
        self._declared: set[str] = set()
        self._returned: set[str] = set()

    def move_to(self, text: str, own_bases: Sequence[Definition]) -> None:
        """Go on at another cursor of the file.

        Args:
            text: The code before the cursor.
            own_bases: The bases of the class that the cursor is in.
        """
        bases = tuple(own_bases)
        is_full = len(self._known) > _MAX_KNOWN
        if is_full or [cls.id for cls in bases] != [cls.id for cls in self._own_bases]:
            self._known.clear()
        elif text != self._text and self._known:
            changed, around = _changed_lines(self._text, text)
            self._known = {
                chain: known
                for chain, known in self._known.items()
                if not any(name in changed for name in known.declared)
                and not any(f"{name}(" in around for name in known.returned)
            }
        self._text, self._own_bases = text, bases

    def classes_of(self, chain: Chain) -> tuple[Definition, ...]:
        """Return the classes that a value may be of, likeliest first; none for `self`."""
        known = self._known.get(chain)
        if known is None:
            self._declared, self._returned = set(), set()
            classes = self._infer(chain, _MAX_STEPS) or self._namesakes(chain)
            known = _Known(classes, frozenset(self._declared), frozenset(self._returned))
            self._known[chain] = known
        return known.classes

    def member(self, cls: Definition, name: str) -> Definition | None:
        """Return the member of that name, of a class or its bases."""
        for owner in self.resolver.owners(cls):
            for definition in self.resolver.members(owner):
                if definition.name == name:
                    return definition
        return None

    def _infer(self, chain: Chain, steps: int) -> tuple[Definition, ...]:
        if not chain or steps == 0:
            return ()
        *before, last = chain
        name = last.rstrip("()[]")
        if not before:
            return self._of_name(name, "(" in last, steps) if last not in _OWN else ()
        plain = "(" not in last
        if plain and (found := self._of_declaration(".".join((*before, name)), steps)):
            return found
        if len(before) == 1 and before[0] in _OWN:
            if not plain and (types := self._types_returned(name)):
                return self._of_types(types, self._path)
            owners = self._own_bases
        else:
            owners = self._infer(tuple(before), steps - 1)
            if not owners and (found := self._of_module(before[-1], name)):
                return found
        return _unique(cls for owner in owners[:2] for cls in self._of_field(owner, name))

    def _namesakes(self, chain: Chain) -> tuple[Definition, ...]:
        name = namesake(chain)
        return _unique(self.resolver.classes(name, self._path)) if name else ()

    def _of_name(self, name: str, called: bool, steps: int) -> tuple[Definition, ...]:
        """Return the classes of a bare name, or of what calling it gives."""
        if called and (types := self._types_returned(name)):
            return self._of_types(types, self._path)
        if not called and (found := self._of_declaration(name, steps)):
            return found
        if name in KEYWORDS:
            return ()
        return self._given(
            self.resolver.resolve(name, self._path)[:1] if called or name[:1].isupper() else ()
        )

    def _of_declaration(self, name: str, steps: int) -> tuple[Definition, ...]:
        """Return the classes that the text before the cursor declares for a name or a chain."""
        self._declared.add(name)
        known = declared(name, self._text)
        if found := self._of_types(known.types, self._path):
            return found
        values = [value for value in known.values if ".".join(value).rstrip("()[]") != name]
        return _unique(cls for value in values[:3] for cls in self._infer(value, steps - 1))

    def _types_returned(self, name: str) -> tuple[str, ...]:
        self._returned.add(name)
        return returned(name, self._text)

    def _of_types(self, names: Sequence[str], path: str | None) -> tuple[Definition, ...]:
        return _unique(cls for name in names[:8] for cls in self.resolver.classes(name, path))

    def _of_field(self, owner: Definition, name: str) -> Iterable[Definition]:
        """Return the classes of a field or of what a method gives, seen from the owner's file."""
        key = (owner.id, name)
        if key not in self._fields:
            self._fields[key] = tuple(self._read_field(owner, name))
        return self._fields[key]

    def _read_field(self, owner: Definition, name: str) -> Iterable[Definition]:
        for cls in self.resolver.owners(owner):
            known = declared(name, cls.text)
            if found := self._of_types(known.types, cls.path):
                return found
            values = [value for value in known.values if len(value) == 1 and "(" in value[0]]
            if found := self._of_types([value[0].rstrip("()[]") for value in values], cls.path):
                return found
        method = self.member(owner, name)
        return self._of_types(return_type(method.signature), method.path) if method is not None else ()

    def _of_module(self, module: str, name: str) -> tuple[Definition, ...]:
        """Return the classes of what `module.name` gives."""
        found = self.resolver.resolve(name, self._path, module)
        return self._given(row for row in found[:1] if row.via == "module")

    def _given(self, resolved: Iterable[Resolved]) -> tuple[Definition, ...]:
        found: list[Definition] = []
        for row in resolved:
            definition = row.definition
            if definition.kind in TYPE_KINDS:
                found.append(definition)
            else:
                found += self._of_types(return_type(definition.signature), definition.path)
        return _unique(found)


def _changed_lines(old: str, new: str) -> tuple[str, str]:
    """Return the whole lines of both texts in which they differ, and those with the lines above them.

    Above stand as many as a function's header may have, which then reaches into what differs.
    """
    start = n_common_at_start(old, new)
    n_end = n_common_at_end(old, new, min(len(old), len(new)) - start)
    first = old.rfind("\n", 0, start) + 1
    above = first
    for _ in range(MAX_HEADER_LINES):
        above = old.rfind("\n", 0, max(0, above - 1)) + 1
    ends = [text.find("\n", len(text) - n_end) for text in (old, new)]
    pieces = [text[first : end if end >= 0 else None] for text, end in zip((old, new), ends, strict=True)]
    changed = "\n".join(pieces)
    return changed, old[above:first] + changed


def namesake(chain: Chain) -> str:
    """Return the name of the class that a value would be named after: `RunState` for `self._run_state`."""
    if not chain or chain[-1] in _OWN:
        return ""
    words = chain[-1].rstrip("()[]").strip("_").split("_")
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if len(name) > 2 else ""


def _unique(classes: Iterable[Definition]) -> tuple[Definition, ...]:
    return tuple({cls.id: cls for cls in classes}.values())[:_MAX_CLASSES]
