"""From values to classes: what a value near the cursor may be an instance of.

Types are followed as a reader would: the annotation of a name, the class that is called to make it, the
return type of the function that gives it, the field of a class that it is read from. Nothing is executed
and nothing is certain; a wrong guess costs a place in a ranking.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from indexer.declarations import Chain, declared, return_type, returned
from indexer.resolve import TYPE_KINDS, Resolved, Resolver
from indexer.types import Definition
from indexer.window import KEYWORDS

_MAX_STEPS = 5
_MAX_CLASSES = 3
_MAX_OWNERS = 5
_OWN = frozenset({"self", "this", "cls", "super()"})


class Inference:
    """Answers what values are instances of, for the time of one retrieval."""

    def __init__(
        self, resolver: Resolver, text: str, path: str | None, own_bases: Sequence[Definition]
    ) -> None:
        """Start at a cursor.

        Args:
            resolver: Knows what names mean.
            text: The code before the cursor.
            path: Its file, None for one outside of the repository.
            own_bases: The bases of the class that the cursor is in.
        """
        self._resolver = resolver
        self._text = text
        self._path = path
        self._own_bases = tuple(own_bases)
        self._known: dict[Chain, tuple[Definition, ...]] = {}

    def classes_of(self, chain: Chain) -> tuple[Definition, ...]:
        """Return the classes that a value may be of, likeliest first; none for `self`."""
        if chain not in self._known:
            self._known[chain] = ()  # a value that is declared by way of itself ends here
            self._known[chain] = self._infer(chain, _MAX_STEPS) or self._namesakes(chain)
        return self._known[chain]

    def owners(self, cls: Definition) -> list[Definition]:
        """Return a class and its bases: those whose members its instances have."""
        found = {cls.id: cls}
        queue = [cls]
        while queue and len(found) < _MAX_OWNERS:
            for base in self._resolver.bases(queue.pop(0)):
                if base.id not in found:
                    found[base.id] = base
                    queue.append(base)
        return list(found.values())

    def member(self, cls: Definition, name: str) -> Definition | None:
        """Return the member of that name, of a class or its bases."""
        for owner in self.owners(cls):
            for definition in self._resolver.members(owner):
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
            if not plain and (types := returned(name, self._text)):
                return self._of_types(types, self._path)
            owners = self._own_bases
        else:
            owners = self._infer(tuple(before), steps - 1)
            if not owners and (found := self._of_module(before[-1], name)):
                return found
        return _unique(cls for owner in owners[:2] for cls in self._of_field(owner, name))

    def _namesakes(self, chain: Chain) -> tuple[Definition, ...]:
        name = namesake(chain)
        return _unique(self._resolver.classes(name, self._path)) if name else ()

    def _of_name(self, name: str, called: bool, steps: int) -> tuple[Definition, ...]:
        """Return the classes of a bare name, or of what calling it gives."""
        if called and (types := returned(name, self._text)):
            return self._of_types(types, self._path)
        if not called and (found := self._of_declaration(name, steps)):
            return found
        if name in KEYWORDS:
            return ()
        return self._given(
            self._resolver.resolve(name, self._path)[:1] if called or name[:1].isupper() else ()
        )

    def _of_declaration(self, name: str, steps: int) -> tuple[Definition, ...]:
        """Return the classes that the text before the cursor declares for a name or a chain."""
        known = declared(name, self._text)
        if found := self._of_types(known.types, self._path):
            return found
        values = [value for value in known.values if ".".join(value).rstrip("()[]") != name]
        return _unique(cls for value in values[:3] for cls in self._infer(value, steps - 1))

    def _of_types(self, names: Sequence[str], path: str | None) -> tuple[Definition, ...]:
        return _unique(cls for name in names[:8] for cls in self._resolver.classes(name, path))

    def _of_field(self, owner: Definition, name: str) -> Iterable[Definition]:
        """Return the classes of a field or of what a method gives, seen from the owner's file."""
        for cls in self.owners(owner):
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
        found = self._resolver.resolve(name, self._path, module)
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


def namesake(chain: Chain) -> str:
    """Return the name of the class that a value would be named after: `RunState` for `self._run_state`."""
    if not chain or chain[-1] in _OWN:
        return ""
    words = chain[-1].rstrip("()[]").strip("_").split("_")
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if len(name) > 2 else ""


def _unique(classes: Iterable[Definition]) -> tuple[Definition, ...]:
    return tuple({cls.id: cls for cls in classes}.values())[:_MAX_CLASSES]
