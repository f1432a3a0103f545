"""What the code just before the cursor asks for: an exception after `raise`, a type after `->`, and so on.

It is read off the cursor's own line, since what matters is seldom further away. Only the look of names and
headers is known here, not what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from indexer.declarations import return_type
from indexer.symbols import Surroundings
from indexer.types import Definition
from indexer.window import MAX_LINE_CHARACTERS, names_in

_CLASSES = frozenset({"class", "interface", "type"})
_CALLABLES = frozenset({"function", "method"})
_VALUE = re.compile(r"(?:[\w.]|\(\)|\[\])*\Z")
_RAISE = re.compile(r"\b(?:raise|throw(?:\s+new)?|except|catch)\b[\s(]*[^:=]*\Z")
_AWAIT = re.compile(r"\bawait\s+\Z")
_TYPE = re.compile(
    r"(?:->\s*|\b(?:isinstance|issubclass)\([^()]*,\s*\(?[^()]*|^\s*(?:async\s+)?(?:def|function)\b.*:\s*[^=]*"
    r"|^\s*\w+\s*:\s*[^=({]*|\bextends\s+|\bimplements\s+|\bnew\s+)\Z"
)
_ERROR = re.compile(r"(?:Error|Exception|Warning|Exit|Interrupt|Failure)\b")
_ANNOTATED = re.compile(r"^\s*[\w.]+\s*:\s*([^=]+)=\s*(?:await\s+)?\Z")
_RETURN = re.compile(r"^\s*return\s+(?:await\s+)?\Z")
_ARGUMENT = re.compile(r"[(,]\s*(?:([^\W\d]\w*)\s*=\s*)?(?:await\s+)?\Z")


class Expectation:
    """What would fit at a cursor."""

    def __init__(self, around: Surroundings, callees: Iterable[Definition]) -> None:
        """Read the cursor's line.

        Args:
            around: What stands around the cursor.
            callees: What the call may be that is still open at the cursor.
        """
        line = around.before[around.before.rfind("\n") + 1 :][-MAX_LINE_CHARACTERS:]
        value = _VALUE.search(line)
        head = line[: value.start()] if value else line
        self._is_blank = not line.strip()
        self._is_raise = _RAISE.search(head) is not None
        self._is_await = _AWAIT.search(head) is not None
        self._is_type = _TYPE.search(head) is not None
        self._types = frozenset(_wanted_types(head, around, callees))

    def signs(self, definition: Definition) -> Mapping[str, float]:
        """Return what of a definition fits, and what does not."""
        is_class, is_callable = definition.kind in _CLASSES, definition.kind in _CALLABLES
        is_error = is_class and _ERROR.search(definition.signature) is not None
        is_async = is_callable and "async " in definition.signature[:40]
        signs: dict[str, float] = {}
        if is_error:
            signs["raised" if self._is_raise else "unraised"] = 1.0
        if is_callable and self._is_await:
            signs["awaited"] = 1.0 if is_async else -1.0
        if is_async and not self._is_await and not self._is_blank:
            signs["unawaited"] = 1.0
        if is_class and self._is_type:
            signs["as_type"] = 1.0
        if self._types and self._gives(definition):
            signs["fits_type"] = 1.0
        if definition.kind == "method" and self._is_blank:
            signs["statement_method"] = 1.0
        return signs

    def _gives(self, definition: Definition) -> bool:
        if definition.kind in _CLASSES:
            return definition.name in self._types
        return definition.kind in _CALLABLES and not self._types.isdisjoint(return_type(definition.signature))


def _wanted_types(head: str, around: Surroundings, callees: Iterable[Definition]) -> Iterable[str]:
    """Return the names in the type that the value at the cursor is to have."""
    if annotated := _ANNOTATED.search(head):
        return names_in(annotated[1])
    if _RETURN.search(head):
        return around.return_names
    argument = _ARGUMENT.search(head)
    if argument is None or not argument[1]:
        return ()
    pattern = re.compile(rf"\b{argument[1]}\s*\??:\s*([^,=)]+)")
    return [
        name
        for callee in callees
        for found in pattern.findall(callee.text[:4_000])
        for name in names_in(found)
    ]
