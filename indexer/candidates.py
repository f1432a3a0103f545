"""Candidates: the definitions that the names near a cursor may mean, each with what speaks for it.

A candidate's score is a weighted sum of the signs below. The weights are fitted, not chosen: `--fit` of
`bench/retrieval.py` maximizes the likelihood of the definitions that authors used next, over the development
packages, and prints this table. This file does not know the other retrievers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from indexer.declarations import Chain
from indexer.expectation import Expectation
from indexer.infer import Inference, namesake
from indexer.resolve import TYPE_KINDS, DefinitionSource, Resolved
from indexer.symbols import Mention, Surroundings
from indexer.terms import split_identifiers
from indexer.types import Definition

SIGN_WEIGHTS: Mapping[str, float] = {
    # How its name came up
    "imported": 0.82,
    "unused_import": 4.09,
    "by_name": 0.63,
    "by_type": 0.74,
    "before": 0.31,
    "same_line": 1.66,
    "after": 0.53,
    "called": 0.83,
    "callee": 1.74,
    "signature": 0.06,
    "hop": 0.66,
    # Values whose class is known
    "receiver_class": 2.45,
    "receiver_member": 2.8,
    "next_class": 1.56,
    "next_member": 1.25,
    "scope_class": 0.82,
    "scope_member": 1.98,
    "scope_module": -0.87,
    "crowd": 0.15,
    "base": 0.76,
    "base_member": 0.26,
    "own_member": 0.38,
    "overridden": 0.43,
    # What is typed already
    "typed": 2.21,
    "typed_otherwise": -2.26,
    "dotted_free": -0.48,
    # What it is
    "popularity": 0.16,
    "is_class": 0.17,
    "is_method": -1.94,
    "is_constant": 0.49,
    "same_folder": 0.59,
    "uses_in_file": 0.16,
    # What the line asks for
    "raised": 2.19,
    "unraised": 0.33,
    "awaited": 1.49,
    "unawaited": -0.78,
    "as_type": 0.45,
    "fits_type": 0.6,
    "statement_method": -0.22,
    # What it is called
    "echoes_line": 1.56,
    "echoes_near": 1.36,
    "echoes_function": 0.96,
}
"""Sign -> weight; higher speaks for the definition."""

_MAX_MENTIONS = 120
_MAX_IMPORTS = 80
_MAX_HOPS = 8
_MAX_VALUES = 40
_MAX_MEMBERS = 150
"""Of one class or module; a longer list is a table, not an interface."""
_N_BEGUN_NAMES = 40
_FAR_LINES = 24
"""The distance that a value counts as having when it was declared, but not named near the cursor."""
_ECHO_LINES = 6
_NEARNESS_LINES = 8.0
"""At this distance a name weighs half of what it does on the cursor's line."""
_SELF = frozenset({"self", "this", "cls", "super()"})


@dataclass(slots=True)
class Candidate:
    """A definition, and what speaks for it."""

    definition: Definition
    signs: dict[str, float] = field(default_factory=dict)
    detail: str = ""
    """The first reason found, for people."""

    @property
    def score(self) -> float:
        """Higher is better."""
        total = 0.0
        for sign, value in self.signs.items():
            total += SIGN_WEIGHTS[sign] * value
        return total


def find_candidates(
    around: Surroundings, *, path: str | None, inference: Inference, source: DefinitionSource
) -> list[Candidate]:
    """Return the definitions that names near the cursor may mean, best first.

    Args:
        around: What is named near the cursor.
        path: The file being edited, None for one outside of the repository.
        inference: Knows the buffer's imports; it is moved to the cursor.
        source: The catalogue.
    """
    resolver = inference.resolver
    begun = source.names_starting(around.partial, _N_BEGUN_NAMES) if len(around.partial) > 1 else []
    mentions = around.mentions[:_MAX_MENTIONS]
    imported = list(resolver.own_imports)[:_MAX_IMPORTS]
    values = _values(around, resolver.own_modules())
    namesakes = [namesake(chain) for chain, _ in values]
    resolver.prefetch([*(mention.name for mention in mentions), *imported, *begun, *around.bases, *namesakes])
    gathering = _Gathering(around, path, inference)
    gathering.add_mentions(mentions)
    gathering.add_imports(imported)
    gathering.add_receiver()
    gathering.add_values(values)
    gathering.add_bases()
    gathering.add_begun(begun)
    gathering.add_hops()
    candidates = list(gathering.candidates.values())
    users = source.count_users({candidate.definition.name for candidate in candidates})
    echoes = _Echoes(around)
    expectation = Expectation(
        around, (c.definition for c in candidates if c.definition.name == around.callee)
    )
    for candidate in candidates:
        _add_own_signs(candidate, around, path, users)
        echoes.add_signs(candidate)
        candidate.signs.update(expectation.signs(candidate.definition))
    return sorted(candidates, key=lambda c: (-c.score, c.definition.path, c.definition.span.start_byte))


class _Gathering:
    """Collects candidates from one source of names after the other."""

    def __init__(self, around: Surroundings, path: str | None, inference: Inference) -> None:
        resolver = inference.resolver
        self.candidates: dict[str, Candidate] = {}
        self._around = around
        self._path = path
        self._resolver = resolver
        self._bases = [cls for name in around.bases for cls in resolver.classes(name, path)]
        own = resolver.in_file(path) if path and around.class_name else ()
        self._own_classes = [d for d in own if d.name == around.class_name and d.kind in TYPE_KINDS][:1]
        self._inference = inference
        inference.move_to(around.before, [*self._own_classes, *self._bases])

    def _add(self, definition: Definition, detail: str, **signs: float) -> None:
        candidate = self.candidates.setdefault(definition.id, Candidate(definition))
        candidate.detail = candidate.detail or detail
        for sign, value in signs.items():
            if value > candidate.signs.get(sign, 0.0):
                candidate.signs[sign] = value

    def add_mentions(self, mentions: Sequence[Mention]) -> None:
        """Add what the names in the window mean."""
        for mention in mentions:
            signs = {
                "after" if mention.after else "before": _nearness(mention.n_lines),
                "same_line": float(mention.n_lines == 0 and not mention.after),
                "called": float(mention.called),
                "callee": float(mention.name == self._around.callee),
                "signature": float(mention.name in self._around.signature_names),
            }
            for definition, how in self._meant(mention):
                is_own = definition.path == self._path
                self._add(definition, _place(mention, how, is_own=is_own), **signs, **how)

    def _meant(self, mention: Mention) -> Iterator[tuple[Definition, dict[str, float]]]:
        """Yield what one name means, and how that is known."""
        for cls in self._owners(mention.receiver):
            if member := self._inference.member(cls, mention.name):
                yield member, {"by_type": 1.0}
                return
        for found in self._resolver.resolve(mention.name, self._path, ".".join(mention.receiver)):
            yield found.definition, _how(found)

    def _owners(self, receiver: Chain) -> Sequence[Definition]:
        """Return the classes whose members may stand after a dot."""
        if len(receiver) == 1 and receiver[0] in _SELF:
            return [*self._own_classes, *self._bases]
        return self._inference.classes_of(receiver) if receiver else ()

    def add_imports(self, names: Iterable[str]) -> None:
        """Add what the buffer imports, whether it is used in the window or not."""
        for name in names:
            unused = float(self._around.n_uses.get(name, 0) <= 1)
            for definition in self._resolver.imported(name, self._path):
                detail = f"imported as {name}" + (", not used yet" if unused else "")
                self._add(definition, detail, imported=1.0, unused_import=unused)

    def add_receiver(self) -> None:
        """Add the class of the value before the dot, with its members, or of the value that is just named."""
        if self._around.receiver and self._around.receiver[-1] not in _SELF:
            self._add_value(self._around.receiver, "receiver", 1.0)
        partial = self._around.partial
        if partial and (self._around.n_uses.get(partial, 0) > 1 or partial in self._resolver.own_imports):
            self._add_value((*self._around.receiver, partial), "next", 1.0)

    def add_values(self, values: Iterable[tuple[Chain, int]]) -> None:
        """Add the classes of the values in scope, with their members: what could be asked of them here."""
        for chain, n_lines in values:
            self._add_value(chain, "scope", _nearness(n_lines))

    def _add_value(self, chain: Chain, role: str, nearness: float) -> None:
        name = ".".join(chain)
        for cls in self._inference.classes_of(chain)[:2]:
            self._add(cls, f"type of {name}", **{f"{role}_class": nearness})
            for owner in self._resolver.owners(cls):
                members = self._resolver.members(owner)[:_MAX_MEMBERS]
                signs = {f"{role}_member": nearness, "crowd": math.log1p(len(members))}
                for member in members:
                    self._add(member, f"member of {owner.name}, the type of {name}", **signs)
        members = self._resolver.module_members(name, self._path)[:_MAX_MEMBERS]
        signs = {"scope_module" if role == "scope" else f"{role}_member": nearness}
        for member in members:
            self._add(member, f"in module {name}", crowd=math.log1p(len(members)), **signs)

    def add_bases(self) -> None:
        """Add the bases of the class around the cursor, with their members, and its own members."""
        on_self = float(self._around.receiver[-1:] != () and self._around.receiver[-1] in _SELF)
        for base in self._bases:
            self._add(base, f"base of {self._around.class_name}", base=1.0)
        for cls in (*self._own_classes, *self._bases):
            for owner in self._resolver.owners(cls):
                for member in self._resolver.members(owner)[:_MAX_MEMBERS]:
                    detail = f"member of {owner.name}, the class around"
                    overridden = float(member.name == self._around.function_name)
                    self._add(member, detail, base_member=on_self, own_member=1.0, overridden=overridden)

    def add_begun(self, names: Sequence[str]) -> None:
        """Add what the name that is being typed may become."""
        for name in names:
            for found in _by_name(self._resolver.named(name)):
                self._add(found.definition, f"begins with {self._around.partial}", **_how(found))

    def add_hops(self) -> None:
        """Add what the headers of the best candidates refer to."""
        best = sorted(self.candidates.values(), key=lambda c: (-c.score, c.definition.id))[:_MAX_HOPS]
        for candidate in best:
            for definition in self._resolver.mentioned(candidate.definition):
                self._add(definition, f"in the header of {candidate.definition.name}", hop=1.0)


def _values(around: Surroundings, modules: Iterable[str]) -> list[tuple[Chain, int]]:
    """Return the values in scope with their distance.

    They are those that something was asked of, the parameters, what the class around the cursor keeps in
    itself, and the imported modules.
    """
    nearest: dict[Chain, int] = {}
    for mention in around.mentions:
        if mention.receiver and mention.receiver[-1] not in _SELF:
            nearest.setdefault(mention.receiver, mention.n_lines)
        elif not mention.called and mention.name[:1].islower():
            nearest.setdefault((*mention.receiver, mention.name), mention.n_lines)
    for name in around.signature_names:
        if name[:1].islower():
            nearest.setdefault((name,), int(_NEARNESS_LINES))
    for chain in around.attributes:
        nearest.setdefault(chain, _FAR_LINES)
    for name in modules:
        nearest.setdefault((name,), 2 * _FAR_LINES)
    nearest.pop(around.receiver, None)
    return sorted(nearest.items(), key=lambda row: (row[1], row[0]))[:_MAX_VALUES]


def _nearness(n_lines: int) -> float:
    return 1.0 / (1.0 + n_lines / _NEARNESS_LINES)


def _add_own_signs(
    candidate: Candidate, around: Surroundings, path: str | None, users: Mapping[str, int]
) -> None:
    definition, signs = candidate.definition, candidate.signs
    signs["popularity"] = math.log1p(users.get(definition.name, 0))
    signs["uses_in_file"] = math.log1p(around.n_uses.get(definition.name, 0))
    signs["is_class"] = float(definition.kind in TYPE_KINDS)
    signs["is_method"] = float(definition.kind == "method")
    signs["is_constant"] = float(definition.kind in {"constant", "macro"})
    signs["same_folder"] = float(_folder(definition.path) == _folder(path or ""))
    if around.partial:
        begun = definition.name.startswith(around.partial)
        # A name that stands elsewhere too may be complete, and a class may hold what is begun.
        complete = around.n_uses.get(around.partial, 0) > 1
        excused = complete or (definition.kind in TYPE_KINDS and around.partial in definition.text)
        signs["typed"], signs["typed_otherwise"] = float(begun), float(not begun and not excused)
    if around.receiver and not signs.get("receiver_member") and not signs.get("base_member"):
        signs["dotted_free"] = float(definition.kind != "method")


class _Echoes:
    """How much of a name stands in pieces near the cursor: `error = ` is followed by `get_error(`."""

    def __init__(self, around: Surroundings) -> None:
        lines = around.before[: len(around.before) - len(around.partial)].split("\n")
        self._terms = {
            "echoes_line": frozenset(split_identifiers(lines[-1])),
            "echoes_near": frozenset(split_identifiers("\n".join(lines[-_ECHO_LINES:-1]))),
            "echoes_function": frozenset(split_identifiers(around.function_name)),
        }

    def add_signs(self, candidate: Candidate) -> None:
        parts = set(split_identifiers(candidate.definition.name))
        for sign, terms in self._terms.items():
            if shared := len(parts & terms):
                candidate.signs[sign] = shared / len(parts)


def _how(found: Resolved) -> dict[str, float]:
    if found.via == "name":
        return {"by_name": 1.0 / found.n_rivals}
    return {"imported": 1.0}


def _place(mention: Mention, how: Mapping[str, float], *, is_own: bool) -> str:
    side = "below" if mention.after else "above"
    where = (
        f"{mention.n_lines} line{'s' * (mention.n_lines != 1)} {side}" if mention.n_lines else "on this line"
    )
    origin = "in this file, " if is_own else "imported, " if "imported" in how else ""
    return f"{origin}named {where}"


def _by_name(definitions: Sequence[Definition]) -> list[Resolved]:
    return [Resolved(definition, "name", len(definitions)) for definition in definitions]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
