from __future__ import annotations

import threading

import pytest

from indexer.languages import (
    LANGUAGES,
    TooSlowError,
    definition_matches,
    is_garbage,
    language_named,
    language_of,
    parse_tree,
    parse_tree_within,
    used_nodes,
)

WITH_GRAMMAR = [name for name, spec in LANGUAGES.items() if spec.wheel is not None]


@pytest.mark.parametrize(
    ("path", "head", "expected"),
    [
        ("a/b.py", b"", "python"),
        ("a.PY", b"", "python"),
        ("stubs/a.pyi", b"", "python"),
        ("a.jsx", b"", "javascript"),
        ("a.mts", b"", "typescript"),
        ("a.tsx", b"", "tsx"),
        ("a.go", b"", "go"),
        ("a.rs", b"", "rust"),
        ("A.java", b"", "java"),
        ("a.c", b"#include <vector>", "c"),
        ("a.h", b"int f(void);", "c"),
        ("a.h", b"#pragma once\n#include <vector>\n", "cpp"),
        ("a.h", b"namespace a {", "cpp"),
        ("a.hpp", b"", "cpp"),
        ("a.cs", b"", "csharp"),
        ("Rakefile", b"", "ruby"),
        ("a.php", b"", "php"),
        ("a.sh", b"", "bash"),
        ("README.md", b"", "markdown"),
        ("README", b"", "text"),
        ("docs/index.rst", b"", "rst"),
        ("tool", b"#!/usr/bin/env python3\n", "python"),
        ("tool", b"#!/usr/bin/env -S python3.11 -u\n", "python"),
        ("tool", b"#! /bin/bash -e\n", "bash"),
        ("tool", b"#!/usr/local/bin/node\n", "javascript"),
        ("tool", b"#!/usr/bin/awk\n", None),
        ("tool", b"", None),
        ("a.xyz", b"", None),
        ("a.json", b"{}", None),
    ],
)
def test_language_of(path: str, head: bytes, expected: str | None) -> None:
    spec = language_of(path, head)
    assert (spec.name if spec else None) == expected


@pytest.mark.parametrize("language", WITH_GRAMMAR)
def test_every_query_compiles_and_runs(language: str) -> None:
    tree = parse_tree(language, b"x")
    assert list(definition_matches(language, tree)) == []
    used_nodes(language, tree)


def test_a_language_without_a_grammar_is_not_parsed() -> None:
    assert language_named("markdown").wheel is None
    with pytest.raises(ValueError, match="markdown has no grammar"):
        parse_tree("markdown", b"# x")
    with pytest.raises(KeyError):
        language_named("klingon")


def test_an_edited_tree_is_parsed_again_from_the_old_one() -> None:
    old = parse_tree("python", b"def f(): pass\n")
    old.edit(4, 5, 6, (0, 4), (0, 5), (0, 6))
    tree = parse_tree("python", b"def gg(): pass\n", old)
    assert [match.name.text for match in definition_matches("python", tree)] == [b"gg"]


def test_parsing_is_safe_in_many_threads() -> None:
    source = b"\n".join(b"def f%d(a): return g(a)" % number for number in range(200))
    counts: list[int] = []

    def parse() -> None:
        trees = (parse_tree("python", source) for _ in range(5))
        counts.extend(len(list(definition_matches("python", tree))) for tree in trees)

    threads = [threading.Thread(target=parse) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [200] * 20


def test_a_large_error_is_garbage_and_a_small_one_is_not() -> None:
    assert not is_garbage(parse_tree("python", b"def f(: pass\nx = (1,\n"))
    assert is_garbage(parse_tree("python", b"(" * 20_000))


@pytest.mark.parametrize("source", [b"", b"def f(a):\n    return a\n", "é = 'ü' * 9\n".encode() * 900])
def test_a_tree_made_in_time_is_the_tree(source: bytes) -> None:
    plain, timed = parse_tree("python", source), parse_tree_within("python", source, 60.0)
    assert str(timed.root_node) == str(plain.root_node)
    assert [node.text for node in timed.root_node.children] == [
        node.text for node in plain.root_node.children
    ]


def test_a_grammar_that_takes_too_long_is_ended() -> None:
    with pytest.raises(TooSlowError):
        parse_tree_within("python", b"x=[" * 100_000, 0.0)
