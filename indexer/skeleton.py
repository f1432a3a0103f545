"""How a definition is shown: dedented text, class skeletons, one-line signatures, docstrings.

Works on bytes and on nodes that have a body; knows no queries and no kinds of definitions.
"""

from __future__ import annotations

import inspect
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from indexer.languages import LanguageSpec, Node

_MAX_SIGNATURE_CHARS = 300
_MAX_WHOLE_SIGNATURE_BYTES = 120
"""A definition without a body of its own that fits one line of this length is its own signature."""
_MAX_DOCSTRING_CHARS = 2000
_MAX_COMMENT_LINES = 200
_MAX_FIELD_LINES = 6
"""A longer statement in a class's body, such as a table, is cut to its first line in the skeleton."""
_MAX_ASSIGNED_FIELDS = 16
_MAX_CONSTANT_LINES = 12
_BODY_FIELDS = ("value", "right", "declaration", "definition", "type", "declarator")
"""Where a definition's node may keep the node that has the body: `const f = () => { ... }`."""
_CONSTRUCTORS = frozenset((b"__init__", b"constructor", b"initialize"))
_ASSIGNED_FIELD = re.compile(
    rb"^[ \t]*((?:(?:self|this)\.\w+[ \t]*(?::[^=\n]+)?|@\w+[ \t]*)=(?![=~])[^\n]*)", re.MULTILINE
)
_COMMENT_AFTER_COLON = re.compile(rb":[ \t]*#.*")
_ANNOTATIONS = re.compile(r"^(?:@(?!interface\b)[\w.]+(?:\([^()]*\))?\s+|#?\[[^\]]*\]\s*)+(?=\S)")
_COMMENT_MARKERS = re.compile(r"\s*(?:/\*+!?|\*+/|//+!?|\*+(?!/)|#+|--+)?[ \t]?")
_STRING_QUOTES = re.compile(r"^[rRuUbBfF]{0,3}(\"\"\"|'''|\"|')(.*?)\1?$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """A file's UTF-8 bytes, and where its lines begin."""

    data: bytes
    lines: Sequence[bytes]
    """Without their newlines; a carriage return stays."""
    offsets: Sequence[int]
    """Where each line begins, and one more for the end."""

    @classmethod
    def of(cls, data: bytes) -> Source:
        """Split a file into lines, at newlines only."""
        lines = data.split(b"\n")
        return cls(data, lines, [0, *accumulate(len(line) + 1 for line in lines)])

    def line_at(self, byte: int) -> int:
        """Return the line, from 0, that holds a byte."""
        return bisect_right(self.offsets, byte) - 1


@dataclass(frozen=True, slots=True)
class Part:
    """What a skeleton needs to know of a class, or of a definition inside it."""

    start: int
    """Of its doc comment, or else of itself, in bytes."""
    header: int
    """Where it begins after the doc comment."""
    name: bytes
    body: Node | None


def body_of(nodes: Iterable[Node]) -> Node | None:
    """Return the body of a definition, sought in its nodes and where they keep a function or a class."""
    for node in nodes:
        inner: Node | None = node
        for _ in range(4):
            if inner is None:
                break
            body = inner.child_by_field_name("body")
            if body is not None:
                return body
            inner = next((child for name in _BODY_FIELDS if (child := inner.child_by_field_name(name))), None)
    return None


def doc_comment_start(source: Source, row: int, spec: LanguageSpec) -> int:
    """Return the first line of the comment directly above a line, or that line itself where there is none.

    Only comments as deeply indented as the line count: others end what is above. Attributes between
    (`#[derive(...)]`) are passed over. The search is by text, since to ask a tree for a node's previous
    sibling costs as much as there are siblings.
    """
    indent = _indent(source.lines[row])
    first = row
    while first > 0 and row - first < _MAX_COMMENT_LINES:
        line = source.lines[first - 1]
        stripped = line.strip()
        if not stripped or (_indent(line) != indent and not stripped.startswith(b"*")):
            break
        if spec.line_comment and stripped.startswith(spec.line_comment.encode()):
            if stripped.startswith(b"#!"):
                break
            first -= 1
        elif spec.name == "rust" and stripped.startswith(b"#["):
            first -= 1
        elif spec.block_comment is not None and stripped.endswith(spec.block_comment[1].encode()):
            opening = _block_comment_start(source, first - 1, spec.block_comment[0].encode())
            if opening is None:
                break
            first = opening
        else:
            break
    return first


def comment_text(lines: Sequence[bytes]) -> str:
    """Return a comment without its markers."""
    cleaned = (_without_markers(line.decode("utf-8", "replace").rstrip()) for line in lines)
    kept = (line for line in cleaned if not line.startswith(("[", "@[")) or not line.endswith("]"))
    return "\n".join(kept).strip()[:_MAX_DOCSTRING_CHARS]


def _without_markers(line: str) -> str:
    match = _COMMENT_MARKERS.match(line)
    text = line[match.end() :] if match else line
    return text[:-1].rstrip("*").rstrip() if text.endswith("*/") else text


def string_docstring(body: Node | None) -> tuple[Node, str] | None:
    """Return the string that a Python body begins with, as node and as text, or None."""
    if body is None or body.type != "block":
        return None
    statement = body.named_child(0) if body.named_child_count else None
    if statement is None or statement.type != "expression_statement" or not statement.named_child_count:
        return None
    string = statement.named_child(0)
    if string.type != "string" or string.text is None:
        return None
    match = _STRING_QUOTES.match(string.text.decode("utf-8", "replace"))
    if match is None:
        return None
    return statement, inspect.cleandoc(match[2].replace("\r\n", "\n"))[:_MAX_DOCSTRING_CHARS]


def signature(source: Source, start: int, end: int, body: Node | None, *, is_constant: bool) -> str:
    """Return the header of a definition on one line, without its body: `def total(self) -> Money`."""
    if body is not None and start < body.start_byte < end:
        head = source.data[start : body.start_byte]
    else:
        head = source.data[start : min(end, start + 4 * _MAX_SIGNATURE_CHARS)]
        if is_constant:
            head = head.split(b"\n", 1)[0]
        elif b"\n" in head or len(head) > _MAX_WHOLE_SIGNATURE_BYTES:
            head = head.split(b"{", 1)[0]
    if body is not None and body.type == "block":
        *above, last = head.rstrip().split(b"\n")
        head = b"\n".join([*above, _COMMENT_AFTER_COLON.sub(b":", last)])
    elif body is not None and body.type == "body_statement":
        head = head.split(b"\n", 1)[0]
    line = " ".join(head.decode("utf-8", "replace").split())
    line = _ANNOTATIONS.sub("", line)
    line = line.rstrip(";")
    if not is_constant:
        line = line.removesuffix("{").rstrip().removesuffix("=>").rstrip(" :;")
    return line if len(line) <= _MAX_SIGNATURE_CHARS else line[: _MAX_SIGNATURE_CHARS - 1] + "…"


def plain_text(source: Source, start: int, end: int) -> str:
    """Return a range of the source, dedented."""
    return _dedent(source, start, source.data[start:end])


def constant_text(source: Source, start: int, end: int) -> str:
    """Return a constant's source, dedented; of a long table only the first lines."""
    lines = source.data[start:end].split(b"\n")
    if len(lines) > _MAX_CONSTANT_LINES:
        lines = [*lines[:_MAX_CONSTANT_LINES], b"..."]
    return _dedent(source, start, b"\n".join(lines))


def class_skeleton(source: Source, whole: Part, end: int, parts: Sequence[Part]) -> str:
    """Return a class with its header, its fields, and its methods without their bodies.

    Kept are the first paragraph of its docstring, decorators, fields, and short statements; dropped are
    comments above methods, which go with the methods' own definitions. Of a constructor, the fields that it
    assigns are kept.

    Args:
        source: The file.
        whole: The class itself.
        end: Where it ends.
        parts: The definitions directly inside of it, in order.
    """
    start, header, body = whole.start, whole.header, whole.body
    cuts: list[tuple[int, int, bytes]] = []
    if start < header:
        cuts.append((start, header, _first_paragraph_of_comment(source, start, header)))
    docstring = string_docstring(body)
    if docstring is not None:
        cuts.append(_docstring_cut(source, *docstring))
    for part in parts:
        if part.start < part.header:
            cuts.append((part.start, part.header, b""))
        if part.body is not None:
            cuts.append(_body_cut(source, part, part.body))
    if body is not None:
        cuts.extend(_long_statement_cuts(body, parts))
    text = _apply(source.data, start, end, cuts)
    lines = (line.rstrip() for line in text.split(b"\n"))
    return _dedent(source, start, b"\n".join(line for line in lines if line))


def _block_comment_start(source: Source, row: int, opening: bytes) -> int | None:
    """Return the line that opens the block comment that ends on `row`; None when code stands before it."""
    for above in range(row, max(-1, row - _MAX_COMMENT_LINES), -1):
        if opening in source.lines[above]:
            return above if source.lines[above].lstrip().startswith(opening) else None
    return None


def _indent(line: bytes) -> bytes:
    return line[: len(line) - len(line.lstrip())]


def _dedent(source: Source, start: int, data: bytes) -> str:
    """Decode, with the indentation of the first line taken off all lines, and line ends made newlines."""
    line_start = source.data.rfind(b"\n", 0, start) + 1
    indent = _indent(source.data[line_start : start + 1])[: start - line_start]
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if indent:
        data = data.replace(b"\n" + indent, b"\n")
    return data.decode("utf-8", "replace")


def _apply(data: bytes, start: int, end: int, cuts: list[tuple[int, int, bytes]]) -> bytes:
    pieces: list[bytes] = []
    position = start
    for cut_start, cut_end, replacement in sorted(cuts):
        if cut_start >= position and cut_end <= end:
            pieces += (data[position:cut_start], replacement)
            position = cut_end
    return b"".join((*pieces, data[position:end]))


def _body_cut(source: Source, part: Part, body: Node) -> tuple[int, int, bytes]:
    start, end = body.start_byte, body.end_byte
    fields = _assigned_fields(source, body) if part.name in _CONSTRUCTORS else []
    opening = source.data[start : start + 1]
    if opening == b"{":
        return start, end, b"{ " + b"; ".join([*fields, b"... }"])
    before = source.data[part.header : start].rstrip()
    header_end = part.header + len(before)
    if before.endswith(b":"):
        indent = b"\n" + _indent(source.lines[source.line_at(start)])
        return header_end, end, indent + indent.join(fields) if fields else b" ..."
    if body.type == "body_statement":  # Ruby: the closing `end` follows
        end += len(source.data[end : end + 200]) - len(source.data[end : end + 200].lstrip())
        return header_end, end, b" " + b"; ".join([*fields, b"... "])
    return start, end, b"=> ..." if opening == b"=" else b"..."


def _assigned_fields(source: Source, body: Node) -> list[bytes]:
    found = _ASSIGNED_FIELD.findall(
        source.data, source.offsets[source.line_at(body.start_byte)], body.end_byte
    )
    by_name: dict[bytes, bytes] = {}
    for line in found:
        name = line.partition(b"=")[0].partition(b":")[0].strip()
        by_name.setdefault(name, line.strip().rstrip(b";"))
    return list(by_name.values())[:_MAX_ASSIGNED_FIELDS]


def _docstring_cut(source: Source, statement: Node, text: str) -> tuple[int, int, bytes]:
    paragraph = text.split("\n\n", 1)[0]
    if paragraph == text:
        return statement.start_byte, statement.start_byte, b""  # nothing to cut
    indent = _indent(source.lines[statement.start_point[0]]).decode("utf-8", "replace")
    shown = f'"""{paragraph}"""'.replace("\n", "\n" + indent)
    return statement.start_byte, statement.end_byte, shown.encode()


def _first_paragraph_of_comment(source: Source, start: int, header: int) -> bytes:
    """Return a doc comment up to its first empty line, with a block comment closed again."""
    lines = source.data[start:header].split(b"\n")
    for index in range(1, len(lines) - 1):
        stripped = lines[index].strip()
        if stripped in (b"*", b"//", b"///", b"#", b""):
            block = lines[0].lstrip().startswith(b"/*")
            closing = [_indent(lines[index]) + b"*/"] if block else []
            return b"\n".join([*lines[:index], *closing, lines[-1]])
    return source.data[start:header]


def _long_statement_cuts(body: Node, parts: Sequence[Part]) -> Iterable[tuple[int, int, bytes]]:
    starts = [part.start for part in parts]
    for child in body.named_children:
        first, last = child.start_point[0], child.end_point[0]
        if last - first < _MAX_FIELD_LINES or "comment" in child.type:
            continue
        start, end = child.start_byte, child.end_byte
        # A statement that holds a definition is shortened by that definition's own cut.
        following = bisect_right(starts, start - 1)
        holds = following < len(parts) and parts[following].start < end
        inside = (
            following > 0 and parts[following - 1].start <= start and _covers(parts[following - 1], start)
        )
        if not holds and not inside and child.text is not None:
            yield start + len(child.text.split(b"\n", 1)[0].rstrip()), end, b" ..."


def _covers(part: Part, byte: int) -> bool:
    return part.header >= byte or (part.body is not None and byte < part.body.end_byte)
