"""What an import statement brings in, for each language: from a syntax node to `Import` rows.

Python, JavaScript and TypeScript are read exactly; the rest by the text of the statement, as well as that
goes. Where a statement brings in all names of a file (`#include`, `require "x"`), both names are `*`.
This file does not know which file a module is; that is `imports.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from indexer.languages import Node
from indexer.types import Import

_MAX_NAMES = 500
"""Of one statement; more is data, not code."""
_MAX_MODULE_CHARS = 300
_WORDS_BEFORE = re.compile(r"^(?:pub(?:\([^)]*\))?|use|import|using|global|static|extern|crate|unsafe)\s+")
_QUOTED = re.compile(r"""["'<]([^"'<>\n]+)["'>]""")


def imports_of(language: str, nodes: Iterable[Node]) -> tuple[Import, ...]:
    """Return what import statements bring in, in order, each once."""
    read = _READERS.get(language)
    if read is None:
        return ()
    found: dict[Import, None] = {}
    for node in sorted(nodes, key=lambda node: node.start_byte):
        for local_name, module, name in read(node):
            if module and len(module) < _MAX_MODULE_CHARS:
                found[Import(local_name, module, name, node.start_point[0])] = None
    return tuple(found)


_Row = tuple[str, str, str | None]


def _text(node: Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode("utf-8", "replace")


def _python(node: Node) -> Iterator[_Row]:
    names = node.children_by_field_name("name")[:_MAX_NAMES]
    pairs = ((_dotted(_field(name, "name") or name), _text(_field(name, "alias"))) for name in names)
    if node.type == "import_statement":
        for module, alias in pairs:
            yield alias or module, module, None
        return
    module = _dotted(node.child_by_field_name("module_name"))
    for name, alias in pairs:
        yield alias or name, module, name
    if any(child.type == "wildcard_import" for child in node.named_children):
        yield "*", module, "*"


def _field(node: Node, name: str) -> Node | None:
    return node.child_by_field_name(name)


def _dotted(node: Node | None) -> str:
    return "".join(_text(node).split())


def _ecmascript(node: Node) -> Iterator[_Row]:
    if node.type in ("import_statement", "export_statement"):
        module = _unquoted(node.child_by_field_name("source"))
        if not module:  # TypeScript: `import x = require("./x")`
            quoted = _QUOTED.search(_text(node))
            words = re.findall(r"[\w$]+", _text(node))
            if quoted and len(words) > 1:
                yield words[1], quoted[1], None
            return
        yield from _clause_names(node, module)
    else:
        yield from _required_names(node)


def _clause_names(node: Node, module: str) -> Iterator[_Row]:
    clause = next((child for child in node.named_children if child.type.endswith("_clause")), None)
    if clause is None:
        namespace = next((child for child in node.named_children if child.type == "namespace_export"), None)
        if namespace is not None:
            yield _text(namespace.named_child(0)), module, None
        elif node.type == "export_statement":
            yield "*", module, "*"
        else:
            yield "", module, None
        return
    for child in clause.named_children:
        if child.type == "identifier":
            yield _text(child), module, "default"
        elif child.type == "namespace_import":
            yield _text(child.named_child(0)), module, None
        elif child.type == "named_imports":
            yield from _specifiers(child, module)
    if clause.type == "export_clause":
        yield from _specifiers(clause, module)


def _specifiers(node: Node, module: str) -> Iterator[_Row]:
    for child in node.named_children[:_MAX_NAMES]:
        name = _text(child.child_by_field_name("name"))
        if name:
            yield _text(child.child_by_field_name("alias")) or name, module, name


def _required_names(node: Node) -> Iterator[_Row]:
    """`const x = require("y")`, `const { a, b: c } = require("y")`, `import("y")`."""
    call = node.child_by_field_name("value") or (
        node.named_child(0) if node.type != "call_expression" else node
    )
    arguments = call.child_by_field_name("arguments") if call is not None else None
    module = (
        _unquoted(arguments.named_child(0)) if arguments is not None and arguments.named_child_count else ""
    )
    target = node.child_by_field_name("name")
    if target is None:
        yield "", module, None
    elif target.type == "object_pattern":
        for child in target.named_children[:_MAX_NAMES]:
            key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
            name = _text(key if key is not None else child)
            yield _text(value) or name, module, name
    else:
        yield _text(target), module, None


def _unquoted(node: Node | None) -> str:
    return _text(node).strip("'\"`")


def _go(node: Node) -> Iterator[_Row]:
    module = _unquoted(node.child_by_field_name("path"))
    alias = _text(node.child_by_field_name("name"))
    # The last part that is no version: `gopkg.in/yaml.v3`, `example.org/m/v2`
    parts = [part for part in module.split("/") if not re.fullmatch(r"v\d+", part)]
    yield alias or re.sub(r"\.v\d+$", "", parts[-1] if parts else module), module, None


def _rust(node: Node) -> Iterator[_Row]:
    if node.type == "mod_item":
        name = _text(node.child_by_field_name("name"))
        yield name, f"self::{name}", None
        return
    text = re.sub(r"\s+", " ", _statement(node))
    for path, alias in _rust_paths(text):
        module, _, name = path.rpartition("::")
        yield alias or name, module or name, name if module else None


def _rust_paths(text: str) -> Iterator[tuple[str, str]]:
    """Yield (path, alias) of each leaf of a `use` tree: `a::{b, c::{d as e, self}}`."""
    prefixes = [""]
    for token in re.findall(r"[^{},]*[{},]|[^{},]+$", text)[: 2 * _MAX_NAMES]:
        piece, mark = (token[:-1].strip(), token[-1]) if token[-1] in "{}," else (token.strip(), "")
        if mark == "{":
            prefixes.append(prefixes[-1] + piece.replace(" ", ""))
            continue
        if piece:
            path, _, alias = piece.partition(" as ")
            full = (prefixes[-1] + path.replace(" ", "")).removesuffix("::self")
            yield full, alias.strip()
        if mark == "}" and len(prefixes) > 1:
            prefixes.pop()


def _java(node: Node) -> Iterator[_Row]:
    text = _statement(node).replace(" ", "")
    is_static = re.match(r"import\s+static\b", _text(node)) is not None
    module, _, name = text.rpartition(".")
    if name == "*" or is_static:
        yield name, module, name
    else:
        yield name, text, name


def _csharp(node: Node) -> Iterator[_Row]:
    alias, equals, module = _statement(node).replace(" ", "").rpartition("=")
    if equals:
        yield alias, module, module.rpartition(".")[2]
    else:
        yield "*", module, "*"


def _php(node: Node) -> Iterator[_Row]:
    if node.type != "namespace_use_declaration":
        yield from _quoted_file(node)
        return
    text = re.sub(r"^use\s+(?:function\s+|const\s+)?|;$", "", _text(node).strip()).strip()
    for path, alias in _rust_paths(text.replace("\n", " ")):
        module = path.lstrip("\\")
        name = module.rpartition("\\")[2]
        yield alias or name, module, name


def _quoted_file(node: Node) -> Iterator[_Row]:
    match = _QUOTED.search(_text(node))
    if match:
        yield "*", match[1].lstrip("/") if "__DIR__" in _text(node) else match[1], "*"


def _ruby(node: Node) -> Iterator[_Row]:
    match = _QUOTED.search(_text(node))
    if match:
        is_relative = _text(node.child_by_field_name("method")) == "require_relative"
        yield "*", ("./" if is_relative and not match[1].startswith(".") else "") + match[1], "*"


def _bash(node: Node) -> Iterator[_Row]:
    argument = _unquoted(node.child_by_field_name("argument"))
    if len(argument) > _MAX_MODULE_CHARS:
        return
    # `"$(dirname "$0")/lib.sh"`, `$HERE/lib.sh`: what follows the computed folder
    module = re.sub(r"^.*[})\w]\"?/(?=[\w.-]+(?:/[\w.-]+)*$)|^\$\w+/", "", argument)
    if module and "$" not in module:
        yield "*", module, "*"


def _statement(node: Node) -> str:
    """Return a statement without its keywords and its semicolon."""
    text = _text(node).strip().removesuffix(";").strip()
    while (match := _WORDS_BEFORE.match(text)) is not None:
        text = text[match.end() :]
    return text


_READERS: Mapping[str, Callable[[Node], Iterator[_Row]]] = MappingProxyType(
    {
        "python": _python,
        "javascript": _ecmascript,
        "typescript": _ecmascript,
        "tsx": _ecmascript,
        "go": _go,
        "rust": _rust,
        "java": _java,
        "c": _quoted_file,
        "cpp": _quoted_file,
        "csharp": _csharp,
        "ruby": _ruby,
        "php": _php,
        "bash": _bash,
    }
)
