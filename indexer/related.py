"""The definitions that an open file is likely to need soon, wherever its cursor goes.

They are for whoever prepares definitions ahead of time: what retrieval will return is mostly among them.
Names are followed through imports and counted; this file does not know what a cursor needs, nor who asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from indexer.buffer import imports_of_buffer
from indexer.own_file import OwnFiles, StampedSource, WithBuffer, header_line, visible_lines
from indexer.resolve import TYPE_KINDS, Resolver
from indexer.retrieve import can_be_used
from indexer.types import Definition, Reference, RelatedQuery, RetrievalQuery
from indexer.window import IDENTIFIER, KEYWORDS

_MAX_IMPORTS = 80
_MAX_MODULES = 12
_MAX_MEMBERS = 60
_MAX_NEIGHBOUR_FILES = 8
_MAX_IMPORTERS = 40
"""A module that more files import than this says little about any of them."""


class RelatedSource(StampedSource, Protocol):
    """What is asked of a catalogue here, beyond what retrieval asks."""

    def importers_of(self, path: str) -> list[str]:
        """Return the files that import a file."""
        ...

    def references_in(self, path: str) -> list[Reference]:
        """Return the uses of names in one file, as it was saved."""
        ...


def related(query: RelatedQuery, *, catalogue: RelatedSource, own_files: OwnFiles) -> tuple[Definition, ...]:
    """Return the definitions that a file is likely to need, likeliest first, each once.

    First those that it imports by name, the most used first, each class with those of its members that the
    file names; then its own; then neighbours: other members of the imported classes, other public definitions
    of the imported modules by how many files use them, and what files that import the same import besides.
    """
    own, n_uses = _own(query, catalogue, own_files)
    source = WithBuffer(catalogue, query.path, own)
    imports = imports_of_buffer(query.prefix or "", query.path, n_uses, source)
    resolver = Resolver(source, query.path, imports)
    resolver.prefetch(list(resolver.own_imports)[:_MAX_IMPORTS])
    found: dict[str, Definition] = {}
    for definition in _in_order(query, catalogue, resolver, own, n_uses):
        if len(found) >= query.n:
            break
        is_fit = definition.role != "test" or "test" in query.path.lower()
        if is_fit and can_be_used(definition, query.path):
            found.setdefault(definition.id, definition)
    return tuple(found.values())


def _in_order(
    query: RelatedQuery,
    catalogue: RelatedSource,
    resolver: Resolver,
    own: Sequence[Definition],
    n_uses: Mapping[str, int],
) -> Iterator[Definition]:
    imported = _imported(query.path, resolver, n_uses)
    members = {
        definition.id: resolver.members(definition)[:_MAX_MEMBERS]
        for definition in imported
        if definition.kind in TYPE_KINDS
    }
    for definition in imported:
        yield definition
        yield from (member for member in members.get(definition.id, ()) if n_uses.get(member.name))
    yield from sorted(own, key=lambda d: (-n_uses.get(d.name, 0), d.span.start_byte))
    for some in members.values():
        yield from some
    modules = _modules(query.path, resolver, n_uses)
    public = [
        d
        for module in modules
        for d in resolver.in_file(module)
        if "." not in d.qualified_name and not d.name.startswith("_")
    ]
    yield from _most_used(public, catalogue)
    yield from _neighbours(query.path, modules, catalogue, resolver)


def _own(
    query: RelatedQuery, catalogue: RelatedSource, own_files: OwnFiles
) -> tuple[Sequence[Definition], Mapping[str, int]]:
    """Return the file's own definitions out of sight, and how often it uses each name."""
    if query.prefix is None:
        uses = Counter(use.name for use in catalogue.references_in(query.path))
        uses.update(imp.local_name for imp, _ in catalogue.imports_of(query.path))
        return catalogue.definitions_in(query.path), uses
    shown = RetrievalQuery(
        query.path,
        query.prefix,
        query.suffix,
        query.n,
        deadline_ms=0.0,
        visible_lines_before=query.visible_lines_before,
        visible_lines_after=query.visible_lines_after,
    )
    lines = visible_lines(shown)
    own = [d for d in own_files.definitions(shown, catalogue) if header_line(d) not in lines]
    names = IDENTIFIER.findall(query.prefix + "\n" + query.suffix)
    return own, Counter(name for name in names if name not in KEYWORDS)


def _imported(path: str, resolver: Resolver, n_uses: Mapping[str, int]) -> list[Definition]:
    """Return what the file imports by name, and what it names of imported modules, the most used first."""
    scored: dict[str, tuple[float, Definition]] = {}
    for name in list(resolver.own_imports)[:_MAX_IMPORTS]:
        for definition in resolver.imported(name, path):
            scored.setdefault(definition.id, (float(n_uses.get(name, 0)), definition))
    for module in resolver.own_modules()[:_MAX_MODULES]:
        for definition in resolver.module_members(module, path):
            if uses := n_uses.get(definition.name, 0):
                scored.setdefault(definition.id, (float(min(uses, n_uses.get(module, 0))), definition))
    ranked = sorted(scored.values(), key=lambda row: (-row[0], row[1].path, row[1].span.start_byte))
    return [definition for _, definition in ranked]


def _modules(path: str, resolver: Resolver, n_uses: Mapping[str, int]) -> list[str]:
    """Return the files that the imported names are defined in, those of the most used names first."""
    files: Counter[str] = Counter()
    for name, (_, targets) in resolver.own_imports.items():
        defined_in = [definition.path for definition in resolver.imported(name, path)] or targets[:1]
        for target in defined_in:
            files[target] += 1 + n_uses.get(name, 0)
    files.pop(path, None)
    return [file for file, _ in sorted(files.items(), key=lambda row: (-row[1], row[0]))[:_MAX_MODULES]]


def _neighbours(
    path: str, modules: Iterable[str], catalogue: RelatedSource, resolver: Resolver
) -> Iterator[Definition]:
    """Yield what the files import that import the same modules as this one, the most often imported first."""
    shared: Counter[str] = Counter()
    for module in modules:
        importers = catalogue.importers_of(module)
        if len(importers) <= _MAX_IMPORTERS:
            shared.update(importer for importer in importers if importer != path)
    nearest = sorted(shared.items(), key=lambda row: (-row[1], row[0]))[:_MAX_NEIGHBOUR_FILES]
    counts: Counter[str] = Counter()
    definitions: dict[str, Definition] = {}
    for file, n_shared in nearest:
        for imp, _ in catalogue.imports_of(file)[:_MAX_IMPORTS]:
            for definition in resolver.imported(imp.local_name, file):
                definitions[definition.id] = definition
                counts[definition.id] += n_shared
    yield from sorted(definitions.values(), key=lambda d: (-counts[d.id], d.path, d.span.start_byte))


def _most_used(definitions: Sequence[Definition], catalogue: RelatedSource) -> list[Definition]:
    users = catalogue.count_users({definition.name for definition in definitions})
    return sorted(definitions, key=lambda d: (-users.get(d.name, 0), d.path, d.span.start_byte))
