"""Languages: which files are theirs, their grammars, and the queries that find definitions and references.

The only file that imports tree_sitter. A grammar's wheel is imported when the first file of its language is
parsed. A query is the grammar's own `tags.scm`, and after it our additions from `indexer/queries/`.
This file does not know what is made of a match; that is `parse.py`.
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resource_files
from typing import Literal, NamedTuple

from tree_sitter import Language, Node, Parser, Query, QueryCursor, Tree

__all__ = [
    "LANGUAGES",
    "DefinitionMatch",
    "LanguageSpec",
    "Node",
    "TooSlowError",
    "Tree",
    "definition_matches",
    "is_garbage",
    "language_named",
    "language_of",
    "parse_tree",
    "parse_tree_within",
    "used_nodes",
]


@dataclass(frozen=True, slots=True)
class LanguageSpec:
    """One language: how its files are known, and where its grammar lies."""

    name: str
    """As it stands in `Definition.language`: `python`, `csharp`."""
    extensions: tuple[str, ...]
    """With the dot, lower case."""
    filenames: tuple[str, ...] = ()
    interpreters: tuple[str, ...] = ()
    """Programs that a `#!` line may name, without a version: `python`."""
    wheel: str | None = None
    """The grammar's import package; None for documents, which have no grammar."""
    grammar: str = "language"
    """The function of the wheel that returns the grammar."""
    tags: tuple[tuple[str, str], ...] = ()
    """(import package, path in it) of the shipped queries, in order."""
    additions: tuple[str, ...] = ()
    """Names of our own queries in `indexer/queries/`, after the shipped ones."""
    line_comment: str = "//"
    """Empty where the language has none."""
    block_comment: tuple[str, str] | None = ("/*", "*/")
    family: Literal["code", "document"] = "code"


class DefinitionMatch(NamedTuple):
    """One match of a definition's pattern."""

    kind: str
    """As the query says it; `scope` is something that only names what is inside, like Rust's `impl`."""
    pattern: int
    """The pattern's place in the query; our own come after the grammar's."""
    node: Node
    name: Node
    scope: Node | None
    """The name of what the definition belongs to, where that does not enclose it: a receiver's type."""


class TooSlowError(Exception):
    """A grammar took longer over a text than the caller would wait."""


_MAX_TOKENS_IN_ERROR = 10_000
_READ_BYTES = 2048

_TAGS = "queries/tags.scm"
_JAVASCRIPT_TAGS = ("tree_sitter_javascript", _TAGS)
_TYPESCRIPT_TAGS = (_JAVASCRIPT_TAGS, ("tree_sitter_typescript", _TAGS))

_ROWS = (
    LanguageSpec(
        "python",
        (".py", ".pyi", ".pyw"),
        filenames=("SConstruct", "SConscript", "wscript"),
        interpreters=("python", "pypy"),
        wheel="tree_sitter_python",
        tags=(("tree_sitter_python", _TAGS),),
        additions=("python",),
        line_comment="#",
        block_comment=None,
    ),
    LanguageSpec(
        "javascript",
        (".js", ".jsx", ".mjs", ".cjs"),
        interpreters=("node", "nodejs", "bun"),
        wheel="tree_sitter_javascript",
        tags=(_JAVASCRIPT_TAGS,),
        additions=("ecmascript", "javascript", "jsx"),
    ),
    LanguageSpec(
        "typescript",
        (".ts", ".mts", ".cts"),
        interpreters=("deno", "ts-node", "tsx"),
        wheel="tree_sitter_typescript",
        grammar="language_typescript",
        tags=_TYPESCRIPT_TAGS,
        additions=("ecmascript", "typescript"),
    ),
    LanguageSpec(
        "tsx",
        (".tsx",),
        wheel="tree_sitter_typescript",
        grammar="language_tsx",
        tags=_TYPESCRIPT_TAGS,
        additions=("ecmascript", "typescript", "jsx"),
    ),
    LanguageSpec(
        "go", (".go",), wheel="tree_sitter_go", tags=(("tree_sitter_go", _TAGS),), additions=("go",)
    ),
    LanguageSpec(
        "rust", (".rs",), wheel="tree_sitter_rust", tags=(("tree_sitter_rust", _TAGS),), additions=("rust",)
    ),
    LanguageSpec(
        "java", (".java",), wheel="tree_sitter_java", tags=(("tree_sitter_java", _TAGS),), additions=("java",)
    ),
    LanguageSpec(
        "c", (".c", ".h"), wheel="tree_sitter_c", tags=(("tree_sitter_c", _TAGS),), additions=("c",)
    ),
    LanguageSpec(
        "cpp",
        (".cc", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".h++", ".ipp", ".inl", ".cu", ".cuh"),
        wheel="tree_sitter_cpp",
        tags=(("tree_sitter_cpp", _TAGS),),
        additions=("c", "cpp"),
    ),
    LanguageSpec("csharp", (".cs", ".csx"), wheel="tree_sitter_c_sharp", additions=("csharp",)),
    LanguageSpec(
        "ruby",
        (".rb", ".rake", ".gemspec", ".ru"),
        filenames=("Rakefile", "Gemfile", "Guardfile", "Vagrantfile"),
        interpreters=("ruby", "jruby"),
        wheel="tree_sitter_ruby",
        tags=(("tree_sitter_ruby", _TAGS),),
        additions=("ruby",),
        line_comment="#",
        block_comment=None,
    ),
    LanguageSpec(
        "php",
        (".php", ".phtml", ".php5"),
        interpreters=("php",),
        wheel="tree_sitter_php",
        grammar="language_php",
        tags=(("tree_sitter_php", _TAGS),),
        additions=("php",),
    ),
    LanguageSpec(
        "bash",
        (".sh", ".bash", ".zsh", ".ksh"),
        filenames=(".bashrc", ".bash_profile", ".profile", ".zshrc", "PKGBUILD"),
        interpreters=("sh", "bash", "dash", "zsh", "ksh"),
        wheel="tree_sitter_bash",
        additions=("bash",),
        line_comment="#",
        block_comment=None,
    ),
    LanguageSpec(
        "markdown",
        (".md", ".markdown", ".mdx"),
        line_comment="",
        block_comment=("<!--", "-->"),
        family="document",
    ),
    LanguageSpec("rst", (".rst",), line_comment="..", block_comment=None, family="document"),
    LanguageSpec(
        "text",
        (".txt", ".adoc", ".org"),
        filenames=("README", "CHANGES", "NEWS", "HACKING", "CONTRIBUTING"),
        line_comment="",
        block_comment=None,
        family="document",
    ),
)

LANGUAGES: dict[str, LanguageSpec] = {spec.name: spec for spec in _ROWS}
"""Name -> language; read only."""

_BY_EXTENSION = {extension: spec for spec in _ROWS for extension in spec.extensions}
_BY_FILENAME = {filename: spec for spec in _ROWS for filename in spec.filenames}
_BY_INTERPRETER = {interpreter: spec for spec in _ROWS for interpreter in spec.interpreters}

_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+|\w+=\S*\s+)*)?(?:\S*/)?([a-z][a-z-]*)")
_CPLUSPLUS = re.compile(
    rb"^\s*(?:class\s+\w|namespace\b|template\s*<|(?:public|private|protected)\s*:|using\s+\w+)"
    rb"|\bstd::|#include\s*<[a-z_]+>",
    re.MULTILINE,
)


def language_of(path: str, head: bytes = b"") -> LanguageSpec | None:
    """Return the language of a file, or None where it is not one that is indexed.

    Args:
        path: Its path; only the last part is looked at.
        head: How the file begins, as much as is at hand. Its `#!` line decides where the name says
            nothing, and signs of C++ make a `.h` file C++.
    """
    name = path.rpartition("/")[2]  # asked for every file at every run: pathlib takes ten times as long
    stem, dot, extension = name.rpartition(".")
    spec = _BY_FILENAME.get(name) or (_BY_EXTENSION.get(dot + extension.lower()) if stem else None)
    if spec is None and head.startswith(b"#!") and (match := _SHEBANG.match(head)):
        return _BY_INTERPRETER.get(match[1].decode())
    if spec is not None and spec.name == "c" and name.endswith(".h") and _CPLUSPLUS.search(head):
        return LANGUAGES["cpp"]
    return spec


def language_named(name: str) -> LanguageSpec:
    """Return the language of this name.

    Raises:
        KeyError: There is none.
    """
    return LANGUAGES[name]


def parse_tree(language: str, source: bytes, old_tree: Tree | None = None) -> Tree:
    """Parse `source` (UTF-8) into a syntax tree; broken code gives a tree with error nodes.

    Safe to call from several threads at once: the parser lives for this call only, which costs less than a
    microsecond.

    Args:
        language: The name of a language with a grammar.
        source: The text; the tree keeps a reference to it.
        old_tree: The tree of an earlier text, told of the edit by `Tree.edit`; only what changed is parsed.

    Raises:
        KeyError: No such language.
        ValueError: The language has no grammar.
    """
    parser = Parser(_grammar(language))
    return parser.parse(source) if old_tree is None else parser.parse(source, old_tree)


def parse_tree_within(language: str, source: bytes, limit_s: float) -> Tree:
    """Parse as `parse_tree` does, but give up in time, and let other threads run meanwhile.

    A megabyte of opening brackets takes a grammar seconds where code takes a tenth of one. `parse_tree` would
    hold the interpreter's lock for all of them. Costs a tenth more.

    Args:
        language: The name of a language with a grammar.
        source: The text; the tree keeps a reference to it.
        limit_s: Of the calling thread's processor time, so that a busy machine changes no result.

    Raises:
        TooSlowError: Time ran out.
        KeyError: No such language.
        ValueError: The language has no grammar.
    """
    parser = Parser(_grammar(language))
    deadline = time.thread_time() + limit_s
    try:
        # The tree asks for the text of a node in the same way, hence the short pieces.
        return parser.parse(
            lambda start, _: source[start : start + _READ_BYTES],
            progress_callback=lambda _, __: time.thread_time() > deadline,
        )
    except ValueError as error:  # all that the binding says of a parse that was ended
        raise TooSlowError(f"{language}: more than {limit_s:g} s") from error


def is_garbage(tree: Tree) -> bool:
    """Return whether a tree holds so large an error that no query should be run over it.

    Queries take time by the square of the tokens that lie directly in one error node: a megabyte of opening
    brackets would take an hour.
    """
    if not tree.root_node.has_error:
        return False
    cursor = tree.walk()
    while (node := cursor.node) is not None:
        if node.is_error and node.child_count > _MAX_TOKENS_IN_ERROR:
            return True
        if node.has_error and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return False
    return False


def definition_matches(language: str, tree: Tree) -> Iterator[DefinitionMatch]:
    """Yield what the queries find to be a definition.

    One definition may come several times, with the same name node: two patterns match it, or one matches
    it with its decorators, its `export`, its template.
    """
    for index, captures in QueryCursor(_queries(language)[0]).matches(tree.root_node):
        names = captures.get("name")
        if names is None:
            continue
        scopes = captures.get("scope")
        for capture, nodes in captures.items():
            if capture.startswith("definition."):
                kind = capture[len("definition.") :]
                yield DefinitionMatch(kind, index, nodes[0], names[0], scopes[0] if scopes else None)


def used_nodes(language: str, tree: Tree) -> tuple[list[Node], list[Node]]:
    """Return the nodes of all names in use (called, inherited from, named as a type), and all imports."""
    captures = QueryCursor(_queries(language)[1]).captures(tree.root_node)
    return captures.get("name", []), captures.get("import", [])


@cache
def _grammar(language: str) -> Language:
    spec = LANGUAGES[language]
    if spec.wheel is None:
        raise ValueError(f"{language} has no grammar")
    return Language(getattr(importlib.import_module(spec.wheel), spec.grammar)())


@cache
def _queries(language: str) -> tuple[Query, Query]:
    """The queries for definitions and for references.

    Both are compiled from the same text, each without the other's patterns: references (and imports, which
    go with them) are wanted as flat lists, which are four times cheaper to get than matches. Captures of
    documentation comments are dropped, since `parse.py` finds comments itself, for all languages alike.
    """
    grammar, source = _grammar(language), _tags(LANGUAGES[language])
    definitions, references = Query(grammar, source), Query(grammar, source)
    encoded = source.encode()
    for index in range(definitions.pattern_count):
        start, end = definitions.start_byte_for_pattern(index), definitions.end_byte_for_pattern(index)
        pattern = encoded[start:end]
        if b"@definition." not in pattern:
            definitions.disable_pattern(index)
        uses = b"@reference." in pattern or b"@import" in pattern
        # Without a scope analysis, "not a local variable" would match every identifier.
        if not uses or b"#is-not? local" in pattern:
            references.disable_pattern(index)
    for query in (definitions, references):
        for index in range(query.capture_count):
            name = query.capture_name(index)
            if name == "doc" or (query is references and name.startswith("reference.")):
                query.disable_capture(name)
    return definitions, references


def _tags(spec: LanguageSpec) -> str:
    shipped = [(resource_files(wheel) / path).read_text("utf-8") for wheel, path in spec.tags]
    ours = [
        (resource_files("indexer") / "queries" / f"{name}.scm").read_text("utf-8") for name in spec.additions
    ]
    return "\n".join(shipped + ours)
