from __future__ import annotations

from pathlib import Path

import pytest

from indexer.imports import RepoFiles, resolve_import
from indexer.js_aliases import read_js_aliases
from indexer.types import Import

PATHS = [
    "src/app/a.ts",
    "src/lib/b.ts",
    "packages/ui/src/index.ts",
    "apps/web/src/c.tsx",
    "apps/web/src/d.tsx",
]


def make(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def test_aliases_come_from_the_projects_files(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            "package.json": '{"name": "top"}',
            "tsconfig.json": """{
                // where "things" are
                "compilerOptions": {"baseUrl": "./src", /* and */ "paths": {"@app/*": ["app/*", "lib/*"],},},
            }""",
            "packages/ui/package.json": '{"name": "@acme/ui"}',
            "apps/web/tsconfig.json": '{"compilerOptions": {"paths": {"@/*": ["./src/*"], "url": ["http://x/*"]}}}',
        },
    )
    aliases = read_js_aliases(tmp_path, PATHS)
    assert aliases["@app/*"] == ("src/app/*", "src/lib/*")
    assert aliases["@acme/ui"] == ("packages/ui",)
    assert aliases["@/*"] == ("apps/web/src/*",)
    assert list(aliases)[-1] == "*"
    files = RepoFiles(PATHS, aliases)
    for module, expected in {
        "@app/b": "src/lib/b.ts",
        "@acme/ui": "packages/ui/src/index.ts",
        "@/d": "apps/web/src/d.tsx",
        "lib/b": "src/lib/b.ts",
    }.items():
        imp = Import("x", module, "x", 0)
        assert resolve_import(imp, path="apps/web/src/c.tsx", language="tsx", files=files) == (expected,)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "[" * 100_000, '{"compilerOptions": 3}',
     '{"compilerOptions": {"paths": [1], "baseUrl": 2}}',
     '{"compilerOptions": {"paths": {"a": 1, "b": [2]}}}', '{"name": 3}'],
)  # fmt: skip
def test_a_project_file_that_makes_no_sense_says_nothing(tmp_path: Path, content: str) -> None:
    make(tmp_path, {"tsconfig.json": content, "src/package.json": content})
    assert read_js_aliases(tmp_path, PATHS) == {}


def test_of_several_targets_the_nearest_is_best() -> None:
    files = RepoFiles(["a/src/x.ts", "b/src/x.ts", "b/src/y.ts"], {"@/*": ("a/src/*", "b/src/*")})
    imp = Import("x", "@/x", "x", 0)
    found = resolve_import(imp, path="b/src/y.ts", language="typescript", files=files)
    assert found == ("b/src/x.ts", "a/src/x.ts")


@pytest.mark.parametrize("text", ['\\"' * 99_000, "/* " * 60_000, '"' * 199_999 + "\\", ",  " * 60_000])
def test_what_is_never_closed_is_soon_given_up(tmp_path: Path, text: str) -> None:
    (tmp_path / "tsconfig.json").write_text(text)
    assert read_js_aliases(tmp_path, ["a.ts"]) == {}
