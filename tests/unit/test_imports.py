from __future__ import annotations

import pytest

from indexer.imports import RepoFiles, resolve_import
from indexer.types import Import

PYTHON = RepoFiles(
    [
        "src/acme/__init__.py", "src/acme/billing/__init__.py", "src/acme/billing/invoice.py",
        "src/acme/billing/line.pyi", "src/acme/util.py", "src/acme/spaces/deep/mod.py", "scripts/run.py",
        "scripts/helper.py", "other/acme/__init__.py", "other/acme/only.py", "top.py", "tests/test_a.py",
    ]
)  # fmt: skip
HERE = "src/acme/billing/invoice.py"


def resolve(
    files: RepoFiles, path: str, language: str, module: str, name: str | None = None
) -> tuple[str, ...]:
    return resolve_import(Import(name or "", module, name, 0), path=path, language=language, files=files)


@pytest.mark.parametrize(
    ("path", "module", "name", "expected"),
    [
        (HERE, "acme.util", "f", ("src/acme/util.py",)),
        (HERE, "acme.billing", "line", ("src/acme/billing/line.pyi", "src/acme/billing/__init__.py")),
        (HERE, "acme.billing", "Invoice", ("src/acme/billing/__init__.py",)),
        ("top.py", "acme.billing.invoice", None, (HERE,)),
        ("top.py", "acme.billing", "*", ("src/acme/billing/__init__.py",)),
        (HERE, ".", "line", ("src/acme/billing/line.pyi", "src/acme/billing/__init__.py")),
        (HERE, ".line", "Line", ("src/acme/billing/line.pyi",)),
        (HERE, "..util", "f", ("src/acme/util.py",)),
        (HERE, "..", "util", ("src/acme/util.py", "src/acme/__init__.py")),
        (HERE, "..spaces.deep", "mod", ("src/acme/spaces/deep/mod.py",)),
        ("top.py", "acme.spaces.deep.mod", "x", ("src/acme/spaces/deep/mod.py",)),
        ("scripts/run.py", "helper", "x", ("scripts/helper.py",)),
        ("tests/test_a.py", "top", None, ("top.py",)),
        ("tests/test_a.py", "acme.only", "x", ("other/acme/only.py",)),
        ("other/x.py", "acme", None, ("other/acme/__init__.py", "src/acme/__init__.py")),
        (HERE, "numpy", None, ()),
        (HERE, "......", "x", ()),
        (HERE, "acme.missing", None, ()),
        (HERE, "acme.billing.invoice", "x", ()),  # itself
    ],
)
def test_python(path: str, module: str, name: str | None, expected: tuple[str, ...]) -> None:
    found = resolve(PYTHON, path, "python", module, name)
    if module.startswith("acme") and len(expected) == 1:
        assert found[:1] == expected
    else:
        assert found == expected


WEB = RepoFiles(
    [
        "src/app/a.ts", "src/app/b.tsx", "src/app/c/index.ts", "src/lib/d.js", "src/lib/e.d.ts", "src/f.mts",
        "packages/ui/src/index.ts", "packages/ui/src/button.tsx", "packages/core/index.js",
    ],
    js_aliases={"@/*": ("src/*",), "@acme/ui": ("packages/ui",), "@acme/core": ("packages/core",)},
)  # fmt: skip


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("./b", ("src/app/b.tsx",)),
        ("./b.tsx", ("src/app/b.tsx",)),
        ("./b.js", ("src/app/b.tsx",)),
        ("./c", ("src/app/c/index.ts",)),
        ("../lib/d", ("src/lib/d.js",)),
        ("../lib/d?raw", ("src/lib/d.js",)),
        ("../lib/e", ("src/lib/e.d.ts",)),
        ("../f.mjs", ("src/f.mts",)),
        ("@/lib/d", ("src/lib/d.js",)),
        ("@acme/ui", ("packages/ui/src/index.ts",)),
        ("@acme/ui/button", ("packages/ui/src/button.tsx",)),
        ("@acme/core", ("packages/core/index.js",)),
        ("react", ()),
        ("../../../../etc/passwd", ()),
    ],
)
@pytest.mark.parametrize("language", ["javascript", "typescript", "tsx"])
def test_javascript_and_typescript(language: str, module: str, expected: tuple[str, ...]) -> None:
    assert resolve(WEB, "src/app/a.ts", language, module, "x") == expected


REST = RepoFiles(
    [
        "go/money/money.go", "go/money/money_test.go", "go/main.go",
        "src/lib.rs", "src/money.rs", "src/billing/mod.rs", "src/billing/line.rs",
        "crates/acme-core/src/lib.rs", "crates/acme-core/src/util.rs",
        "java/com/acme/Money.java", "java/com/acme/Line.java", "java/com/acme/b/B.java",
        "include/acme/money.h", "csrc/a.c", "csrc/local.h",
        "Acme.Money/Money.cs", "lib/money.rb", "lib/acme/line.rb",
        "php/src/Money/Money.php", "php/lib.php", "bin/lib.sh", "bin/run.sh",
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("language", "path", "module", "name", "expected"),
    [
        ("go", "go/main.go", "github.com/acme/app/go/money", None, ("go/money/money.go",)),
        ("go", "go/main.go", "fmt", None, ()),
        ("rust", "src/lib.rs", "self::money", None, ("src/money.rs",)),
        ("rust", "src/billing/line.rs", "crate::money", "Money", ("src/money.rs", "src/lib.rs")),
        ("rust", "src/billing/mod.rs", "self::line", "Line", ("src/billing/line.rs",)),
        ("rust", "src/billing/line.rs", "super", "Invoice", ("src/billing/mod.rs",)),
        ("rust", "src/lib.rs", "acme_core::util", "f",
         ("crates/acme-core/src/util.rs", "crates/acme-core/src/lib.rs")),
        ("rust", "src/lib.rs", "serde", "Serialize", ()),
        ("java", "java/com/acme/b/B.java", "com.acme.Money", "Money", ("java/com/acme/Money.java",)),
        ("java", "java/com/acme/b/B.java", "com.acme.Money", "ZERO", ("java/com/acme/Money.java",)),
        ("java", "java/com/acme/b/B.java", "com.acme", "*",
         ("java/com/acme/Line.java", "java/com/acme/Money.java")),
        ("java", "java/com/acme/b/B.java", "java.util.List", "List", ()),
        ("c", "csrc/a.c", "local.h", "*", ("csrc/local.h",)),
        ("cpp", "csrc/a.c", "acme/money.h", "*", ("include/acme/money.h",)),
        ("c", "csrc/a.c", "stdio.h", "*", ()),
        ("csharp", "A.cs", "Acme.Money", "*", ("Acme.Money/Money.cs",)),
        ("ruby", "lib/acme/line.rb", "../money", "*", ("lib/money.rb",)),
        ("ruby", "lib/money.rb", "acme/line", "*", ("lib/acme/line.rb",)),
        ("ruby", "lib/money.rb", "json", "*", ()),
        ("php", "php/lib.php", "Acme\\Money\\Money", "Money", ("php/src/Money/Money.php",)),
        ("php", "php/src/Money/Money.php", "lib.php", "*", ("php/lib.php",)),
        ("bash", "bin/run.sh", "./lib.sh", "*", ("bin/lib.sh",)),
        ("bash", "x/run.sh", "lib.sh", "*", ("bin/lib.sh",)),
        ("markdown", "a.md", "x", None, ()),
    ],
)  # fmt: skip
def test_the_other_languages(
    language: str, path: str, module: str, name: str | None, expected: tuple[str, ...]
) -> None:
    found = resolve(REST, path, language, module, name)
    assert found[: max(len(expected), 1)] == expected


def test_the_standard_library_is_not_sought_in_unrelated_folders() -> None:
    files = RepoFiles(["tools/json.py", "tools/run.py", "src/a.py"])
    assert resolve(files, "src/a.py", "python", "json") == ()
    assert resolve(files, "tools/run.py", "python", "json") == ("tools/json.py",)


def test_any_collection_of_paths_will_do() -> None:
    imp = Import("util", "acme", "util", 0)
    found = resolve_import(imp, path="a.py", language="python", files={"acme/util.py", "a.py"})
    assert found == ("acme/util.py",)


def test_repo_files_are_a_collection() -> None:
    files = RepoFiles(["a/b.py", "c.py"])
    assert "a/b.py" in files
    assert (len(files), sorted(files)) == (2, ["a/b.py", "c.py"])
    assert files.files_in("a") == ["a/b.py"]


def test_of_equal_suffixes_the_nearest_is_best() -> None:
    files = RepoFiles(["x/util.h", "y/z/util.h", "y/w/a.c"])
    assert files.with_suffix("util.h", "y/w/a.c") == ("y/z/util.h", "x/util.h")
