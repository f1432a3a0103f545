"""Which files of the repository an import may mean.

Exact for Python (relative, absolute from any source root, packages, namespace packages) and for relative
JavaScript and TypeScript; for the rest as well as paths tell. Only the paths of the repository are looked at:
an import of an installed package gives nothing.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from indexer.repo_files import RepoFiles, n_shared_parts
from indexer.types import Import

__all__ = ["RepoFiles", "resolve_import"]

_MAX_RESULTS = 20
_JS_EXTENSIONS = (".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mts", ".cts", ".mjs", ".cjs")
_JS_OF_COMPILED = MappingProxyType(
    {".js": (".ts", ".tsx"), ".jsx": (".tsx",), ".mjs": (".mts",), ".cjs": (".cts",)}
)
"""In TypeScript's ES modules, `./x.js` is written for what `./x.ts` compiles to."""


def resolve_import(imp: Import, *, path: str, language: str, files: Collection[str]) -> tuple[str, ...]:
    """Return the repository paths that an import may mean, best first; empty for what lies elsewhere.

    For `from a.b import c`, where both `a/b/c.py` and `a/b/__init__.py` exist, both are returned, the module
    first.

    Args:
        imp: The import.
        path: The importing file.
        language: Its language.
        files: All paths. A `RepoFiles` makes this take microseconds; any other collection is arranged into
            one first, each time.
    """
    resolver = _RESOLVERS.get(language)
    if resolver is None:
        return ()
    arranged = files if isinstance(files, RepoFiles) else RepoFiles(files)
    found = arranged.first_existing(resolver(imp, path, arranged))
    return tuple(candidate for candidate in found if candidate != path)[:_MAX_RESULTS]


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _joined(folder: str, relative: str) -> str:
    """Join and normalize; a path that leaves the repository begins with `..` and so is in none."""
    return posixpath.normpath(posixpath.join(folder, relative))


def _python(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    dotted = imp.module.lstrip(".")
    n_dots = len(imp.module) - len(dotted)
    parts = [part for part in dotted.split(".") if part]
    if n_dots:
        folders = path.split("/")[:-n_dots]
        if len(path.split("/")) < n_dots:
            return
        yield from _python_modules("".join(f"{folder}/" for folder in folders), parts, imp.name)
    elif parts:
        for root in files.python_roots(parts[0], path):
            # `import json` means the standard library, unless a `json` lies where the file itself lies.
            if parts[0] in sys.stdlib_module_names and not path.startswith(root):
                continue
            yield from _python_modules(root, parts, imp.name)


def _python_modules(root: str, parts: list[str], name: str | None) -> Iterator[str]:
    """Yield the files of a module below `root`, after those of its submodule `name`."""
    module = root + "/".join(parts)
    stems = [module.removesuffix("/")]
    if name is not None and name != "*":
        stems.insert(0, f"{stems[0]}/{name}".removeprefix("/"))
    for stem in stems:
        init = f"{stem}/__init__".removeprefix("/")
        yield from (f"{init}.py", f"{init}.pyi", f"{stem}.py", f"{stem}.pyi")


def _ecmascript(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    module = imp.module.split("?", 1)[0]
    if module.startswith("."):
        yield from _js_files(_joined(_folder_of(path), module))
        return
    for alias, targets in files.js_aliases.items():
        head, star, tail = alias.partition("*")
        if star and module.startswith(head) and module.endswith(tail):
            matched = module[len(head) : len(module) - len(tail)]
            for target in _nearest_first(targets, path):
                yield from _js_files(posixpath.normpath(target.replace("*", matched)))
        elif not star and (module == alias or module.startswith(alias + "/")):
            for target in _nearest_first(targets, path):
                rest = module[len(alias) :].lstrip("/")
                yield from _js_files(_joined(target, rest))
                yield from _js_files(_joined(target, posixpath.join("src", rest)))


def _nearest_first(targets: Collection[str], path: str) -> list[str]:
    return sorted(targets, key=lambda target: -n_shared_parts(target, path))


def _js_files(base: str) -> Iterator[str]:
    yield base
    stem, extension = posixpath.splitext(base)
    yield from (stem + other for other in _JS_OF_COMPILED.get(extension, ()))
    yield from (base + extension for extension in _JS_EXTENSIONS)
    yield from (f"{base}/index{extension}" for extension in _JS_EXTENSIONS)


def _go(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    # The import path ends like the package's folder; the module's own name stands before it.
    n_parts = imp.module.count("/") + 1
    for folder in files.folders_with_suffix(imp.module, path, n_required=1):
        # Either the folder's whole path agrees, or two of its parts do.
        if imp.module.endswith(folder) or (
            n_parts > 1 and imp.module.endswith("/".join(folder.split("/")[-2:]))
        ):
            yield from (
                name for name in files.files_in(folder) if name.endswith(".go") and "_test." not in name
            )
            return


def _rust(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    parts = imp.module.split("::")
    names = [*parts, imp.name] if imp.name and imp.name != "*" else parts
    for folder, rest in _rust_bases(names, path, files):
        # The last names may be items in the module rather than modules.
        for n_modules in range(len(rest), 0, -1):
            module = _joined(folder, "/".join(rest[:n_modules]))
            yield from (f"{module}.rs", f"{module}/mod.rs")
        yield from (_joined(folder, name) for name in ("lib.rs", "main.rs", "mod.rs"))
        if folder:
            yield f"{folder}.rs"


def _rust_bases(names: list[str], path: str, files: RepoFiles) -> Iterator[tuple[str, list[str]]]:
    """Yield (folder, names from there) for the readings of a path's first name."""
    folder, _, file = path.rpartition("/")
    own = folder if file in ("mod.rs", "lib.rs", "main.rs") else path.removesuffix(".rs")
    first, rest = names[0], names[1:]
    if first == "self":
        yield own, rest
    elif first == "super":
        while rest and rest[0] == "super":
            own, rest = _folder_of(own), rest[1:]
        yield _folder_of(own), rest
    elif first == "crate":
        parts = path.split("/")
        n_source = len(parts) - parts[::-1].index("src") if "src" in parts else max(len(parts) - 1, 0)
        yield "/".join(parts[:n_source]), rest
    else:
        yield own, names
        for crate in (first, first.replace("_", "-")):
            for found in files.folders_with_suffix(f"{crate}/src", path):
                yield found, rest


def _java(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    module = imp.module.replace(".", "/")
    if imp.name == "*":
        for folder in files.folders_with_suffix(module, path)[:2]:
            yield from (name for name in files.files_in(folder) if name.endswith(".java"))
    # Of a nested class or a static member, the file is that of the class around it.
    for _ in range(3):
        yield from files.with_suffix(f"{module}.java", path)
        module = _folder_of(module)
        if not module:
            return


def _c(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    yield _joined(_folder_of(path), imp.module)
    yield imp.module
    yield from files.with_suffix(imp.module, path)


def _csharp(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    module = imp.module.replace(".", "/")
    if imp.name not in (None, "*"):
        yield from files.with_suffix(f"{module}.cs", path, n_required=1)
    # A project's folder is often named by the whole namespace, or by its end.
    folders = [
        *files.folders_with_suffix(imp.module, path),
        *files.folders_with_suffix(module, path, n_required=1),
    ]
    for folder in folders[:2]:
        yield from (name for name in files.files_in(folder) if name.endswith(".cs"))


def _ruby(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    module = imp.module if imp.module.endswith(".rb") else f"{imp.module}.rb"
    if module.startswith("."):
        yield _joined(_folder_of(path), module)
    else:
        yield from (f"lib/{module}", f"app/{module}")
        yield from files.with_suffix(module, path)


def _php(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    if imp.name == "*":
        yield _joined(_folder_of(path), imp.module)
        yield from files.with_suffix(imp.module, path)
    else:
        yield from files.with_suffix(imp.module.replace("\\", "/") + ".php", path, n_required=1)


def _bash(imp: Import, path: str, files: RepoFiles) -> Iterator[str]:
    yield _joined(_folder_of(path), imp.module)
    yield from files.with_suffix(imp.module, path)


_RESOLVERS: Mapping[str, Callable[[Import, str, RepoFiles], Iterator[str]]] = MappingProxyType(
    {
        "python": _python,
        "javascript": _ecmascript,
        "typescript": _ecmascript,
        "tsx": _ecmascript,
        "go": _go,
        "rust": _rust,
        "java": _java,
        "c": _c,
        "cpp": _c,
        "csharp": _csharp,
        "ruby": _ruby,
        "php": _php,
        "bash": _bash,
    }
)
