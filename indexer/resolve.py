"""From names to definitions: what a name means as seen from a file, through its imports and re-exports.

Everything is asked of the catalogue once and kept, since the same few files and names come up again and
again around a cursor, and from one keystroke to the next. No answer depends on what was asked before it, so
what is kept may serve as long as catalogue and imports stay the same. This file does not know the buffer, nor
how results are ranked.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from indexer.types import Definition, Import
from indexer.window import names_in

_MAX_SAME_NAME = 24
"""A name with more definitions than this is looked up only in the files that an import points to."""
_MAX_REEXPORTS = 4
_MAX_OWNERS = 5
_MAX_GUESSES = 2
"""With more definitions than this, a bare name does not tell which class is meant."""

TYPE_KINDS = frozenset({"class", "interface", "type"})

Via = Literal["import", "module", "file", "name"]
"""How a name was resolved: through an import, as an attribute of an imported module, in the same file, or
only because definitions of that name exist."""


class DefinitionSource(Protocol):
    """What retrieval asks of a catalogue; `catalogue_reader.py` answers it."""

    def definitions(self, ids: Sequence[str]) -> list[Definition]:
        """Return the definitions with these ids, in that order."""
        ...

    def definitions_named(self, names: Collection[str]) -> list[Definition]:
        """Return every definition with one of these names."""
        ...

    def definitions_in(self, path: str) -> list[Definition]:
        """Return the definitions of one file."""
        ...

    def count_named(self, names: Collection[str]) -> Mapping[str, int]:
        """Return how many definitions each of these names has; a name without one may be missing."""
        ...

    def names_starting(self, prefix: str, n: int) -> list[str]:
        """Return names of definitions that begin so, shortest first."""
        ...

    def count_users(self, names: Collection[str]) -> Mapping[str, int]:
        """Return in how many files each of these names is used; an unused name may be missing."""
        ...

    def imports_of(self, path: str) -> list[tuple[Import, tuple[str, ...]]]:
        """Return the imports of one file with the repository's files they may mean, best first."""
        ...

    def files(self) -> Collection[str]:
        """Return every indexed path; a `RepoFiles` need not be arranged again."""
        ...

    def bm25(self, terms: Iterable[str], n: int, exclude_path: str | None = None) -> list[tuple[str, float]]:
        """Return (definition id, score), best first."""
        ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """A definition that a name may mean."""

    definition: Definition
    via: Via
    n_rivals: int
    """How many definitions the name may mean as well, this one included."""


class Resolver:
    """Answers what names mean, as long as catalogue and imports stay as they are."""

    def __init__(
        self,
        catalogue: DefinitionSource,
        path: str | None,
        imports: Sequence[tuple[Import, tuple[str, ...]]],
    ) -> None:
        """Start with the imports of the buffer, which may differ from those of the file on disk."""
        self._catalogue = catalogue
        self._path = path
        self._imports: dict[str, dict[str, tuple[Import, tuple[str, ...]]]] = {}
        self._stars: dict[str, list[str]] = {}
        self._named: dict[str, list[Definition]] = {}
        self._in_file: dict[str, list[Definition]] = {}
        self._resolved: dict[tuple[str, str | None, str], list[Resolved]] = {}
        self._members: dict[str, list[Definition]] = {}
        self._classes: dict[tuple[str, str | None], list[Definition]] = {}
        self._bases: dict[str, list[Definition]] = {}
        self._owners: dict[str, list[Definition]] = {}
        self.own_imports = self._table(path or "", imports)

    @property
    def n_kept(self) -> int:
        """How many answers are kept."""
        return len(self._resolved) + len(self._named) + len(self._classes)

    def prefetch(self, names: Collection[str]) -> None:
        """Read the definitions of many names at once; names with too many are passed over."""
        unknown = {name for name in names if name not in self._named and not name.startswith("__")}
        counts = self._catalogue.count_named(unknown)
        wanted = [name for name in unknown if 0 < counts.get(name, 0) <= _MAX_SAME_NAME]
        found: dict[str, list[Definition]] = {name: [] for name in names if name not in self._named}
        for definition in self._catalogue.definitions_named(wanted):
            found[definition.name].append(definition)
        self._named.update(found)  # only now: a catalogue that fails leaves nothing half known

    def named(self, name: str) -> list[Definition]:
        """Return the definitions of this name, or none when there are too many to tell them apart."""
        if name not in self._named:
            self.prefetch([name])
        return self._named[name]

    def in_file(self, path: str) -> list[Definition]:
        """Return the definitions of one file."""
        if path not in self._in_file:
            self._in_file[path] = self._catalogue.definitions_in(path)
        return self._in_file[path]

    def resolve(self, name: str, path: str | None, receiver: str = "") -> list[Resolved]:
        """Return what `name` may mean in the file `path`, best first.

        Args:
            name: The name as that file writes it.
            path: The file, None for one outside of the repository.
            receiver: The name before the dot, if there is one.
        """
        key = (name, path, receiver)
        if key not in self._resolved:
            self._resolved[key] = self._resolve(name, path, receiver)
        return self._resolved[key]

    def _resolve(self, name: str, path: str | None, receiver: str) -> list[Resolved]:
        if receiver:
            members = self._of_module(name, path or "", receiver)
            return _resolved(members, "module") if members else _resolved(self.named(name), "name")
        if found := self.imported(name, path):
            return _resolved(found, "import")
        if path and (own := self._top_level(name, path)):
            return _resolved(own, "file")
        return _resolved(self.named(name), "name")

    def imported(self, local_name: str, path: str | None) -> list[Definition]:
        """Return the definitions that an imported name means, through re-exports."""
        return self._follow(local_name, path or "", _MAX_REEXPORTS)

    def members(self, cls: Definition) -> list[Definition]:
        """Return the definitions directly inside of a class."""
        if cls.id not in self._members:
            start = cls.qualified_name + "."
            self._members[cls.id] = [
                d for d in self.in_file(cls.path) if d.qualified_name.startswith(start) and d.id != cls.id
            ]
        return self._members[cls.id]

    def bases(self, cls: Definition) -> list[Definition]:
        """Return the classes that the header of a class names."""
        if cls.id not in self._bases:
            names = [name for name in names_in(cls.signature) if name != cls.name]
            self._bases[cls.id] = [found for name in names for found in self.classes(name, cls.path)]
        return self._bases[cls.id]

    def owners(self, cls: Definition) -> list[Definition]:
        """Return a class and its bases: those whose members its instances have."""
        if cls.id not in self._owners:
            found = {cls.id: cls}
            queue = [cls]
            while queue and len(found) < _MAX_OWNERS:
                for base in self.bases(queue.pop(0)):
                    if base.id not in found:
                        found[base.id] = base
                        queue.append(base)
            self._owners[cls.id] = list(found.values())
        return self._owners[cls.id]

    def classes(self, name: str, path: str | None) -> list[Definition]:
        """Return the class that a name means in a file, if it is known which."""
        key = (name, path)
        if key not in self._classes:
            self._classes[key] = [
                found.definition
                for found in self.resolve(name, path)[:1]
                if found.definition.kind in TYPE_KINDS
                and (found.via != "name" or found.n_rivals <= _MAX_GUESSES)
            ]
        return self._classes[key]

    def own_modules(self) -> list[str]:
        """Return the local names of the repository's modules that the buffer imports."""
        return [
            name
            for name, (imp, targets) in self.own_imports.items()
            if targets and (imp.name is None or _stem(targets[0]) == imp.name)
        ]

    def module_members(self, local_name: str, path: str | None) -> list[Definition]:
        """Return what an imported module defines at its top level."""
        imported = self._table(path or "").get(local_name)
        if imported is None:
            return []
        imp, targets = imported
        for target in targets[:2]:
            if imp.name is None or _stem(target) == imp.name:
                return [d for d in self.in_file(target) if "." not in d.qualified_name]
        return []

    def mentioned(self, definition: Definition) -> list[Definition]:
        """Return what the header of a definition refers to: the types it takes and gives, its bases."""
        names = [name for name in names_in(definition.signature) if name != definition.name]
        self.prefetch([name for name in names if name[:1].isupper()])
        found = [
            found for name in names if name[:1].isupper() for found in self.classes(name, definition.path)
        ]
        return [d for d in found if d.id != definition.id]

    def _top_level(self, name: str, path: str) -> list[Definition]:
        return [d for d in self.in_file(path) if d.name == name and d.qualified_name == name]

    def _of_module(self, name: str, path: str, receiver: str) -> list[Definition]:
        """Return what `receiver.name` means when the receiver is an imported module."""
        imported = self._table(path).get(receiver)
        if imported is None:
            return []
        for target in imported[1][:2]:
            if found := self._in_module(name, target, _MAX_REEXPORTS):
                return found
        return []

    def _follow(self, local_name: str, path: str, depth: int) -> list[Definition]:
        imported = self._table(path).get(local_name)
        if imported is None:
            for star in self._stars.get(path, ())[:8] if depth > 0 else ():
                if found := self._in_module(local_name, star, depth - 1):
                    return found
            return []
        imp, targets = imported
        if imp.name is None:
            return []
        for target in targets[:3]:
            if found := self._in_module(imp.name, target, depth):
                return found
        # Assigned, generated or re-exported in a way that was not understood: the nearest one of that name.
        folders = {posixpath.dirname(target) for target in targets}
        return [d for d in self.named(imp.name) if any(d.path.startswith(f + "/") for f in folders if f)][:2]

    def _in_module(self, name: str, path: str, depth: int) -> list[Definition]:
        """Return what `name` means inside of a module: defined there, or imported there from elsewhere."""
        candidates = self._named.get(name) or self.in_file(path)
        found = [d for d in candidates if d.path == path and d.name == name]
        if len(found) > 1:  # in the file's order, whichever names were read before
            found.sort(key=lambda d: (d.span.start_byte, -d.span.end_byte))
        top_level = [d for d in found if d.qualified_name == name]
        if top_level or depth == 0:
            return top_level or found
        return self._follow(name, path, depth - 1) or found

    def _table(
        self, path: str, imports: Sequence[tuple[Import, tuple[str, ...]]] | None = None
    ) -> dict[str, tuple[Import, tuple[str, ...]]]:
        """Return the imports of a file by local name."""
        if path not in self._imports:
            rows = self._catalogue.imports_of(path) if imports is None and path else imports or ()
            self._imports[path] = {imp.local_name: (imp, targets) for imp, targets in rows}
            self._stars[path] = [targets[0] for imp, targets in rows if imp.name == "*" and targets]
        return self._imports[path]


def _stem(path: str) -> str:
    """Return what a file is imported as: its name, or its folder's where that stands for the folder."""
    stem = posixpath.splitext(posixpath.basename(path))[0]
    return posixpath.basename(posixpath.dirname(path)) if stem in {"__init__", "index", "mod"} else stem


def _resolved(definitions: Sequence[Definition], via: Via) -> list[Resolved]:
    return [Resolved(definition, via, len(definitions)) for definition in definitions]
