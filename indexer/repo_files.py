"""The paths of a repository, arranged so that a module's file is found without looking at all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

_MAX_CANDIDATES = 200
"""Of files or folders with one name; where there are more, a name says too little to search through them."""


class RepoFiles(Collection[str]):
    """An immutable set of POSIX paths with the look-ups that import resolution needs.

    Building costs a few microseconds a file; every look-up is independent of the repository's size. So build
    it once for many imports.
    """

    __slots__ = ("_by_name", "_files_in", "_folders_by_name", "_paths", "_roots_of", "js_aliases")

    def __init__(self, paths: Iterable[str], js_aliases: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Arrange the paths.

        Args:
            paths: All files of the repository.
            js_aliases: What JavaScript and TypeScript imports may begin with, and the paths it stands for:
                `@app/*` -> (`src/app/*`,), `@acme/ui` -> (`packages/ui`,). From `paths` of tsconfig.json, and
                the names of workspace packages.
        """
        self._paths = frozenset(paths)
        self.js_aliases = dict(js_aliases or {})
        by_name: defaultdict[str, list[str]] = defaultdict(list)
        files_in: defaultdict[str, list[str]] = defaultdict(list)
        for path in sorted(self._paths):
            folder, _, name = path.rpartition("/")
            by_name[name].append(path)
            files_in[folder].append(path)
        folders = set(files_in)
        for folder in files_in:
            while folder := folder.rpartition("/")[0]:
                if folder in folders:
                    break
                folders.add(folder)
        folders_by_name: defaultdict[str, list[str]] = defaultdict(list)
        for folder in sorted(folders - {""}):
            folders_by_name[folder.rpartition("/")[2]].append(folder)
        self._by_name = dict(by_name)
        self._files_in = dict(files_in)
        self._folders_by_name = dict(folders_by_name)
        self._roots_of = self._python_roots()

    def __contains__(self, path: object) -> bool:
        return path in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def first_existing(self, candidates: Iterable[str]) -> tuple[str, ...]:
        """Return those candidates that exist, in their order, each once."""
        return tuple(dict.fromkeys(path for path in candidates if path in self._paths))

    def files_in(self, folder: str) -> Sequence[str]:
        """Return the files directly in a folder, sorted."""
        return self._files_in.get(folder, ())

    def with_suffix(self, suffix: str, near: str, *, n_required: int | None = None) -> tuple[str, ...]:
        """Return the files whose paths end like `suffix`, best first.

        Args:
            suffix: `com/acme/Invoice.java`
            near: The importing file; of equals, what shares more folders with it is better.
            n_required: How many parts, from the end, must agree; all of them by default.
        """
        return self._ending_like(suffix, near, self._by_name, n_required)

    def folders_with_suffix(
        self, suffix: str, near: str, *, n_required: int | None = None
    ) -> tuple[str, ...]:
        """Return the folders whose paths end like `suffix`, best first; see `with_suffix`."""
        return self._ending_like(suffix, near, self._folders_by_name, n_required)

    def python_roots(self, package: str, near: str) -> list[str]:
        """Return the folders from which a top-level Python package or module can be imported, best first.

        Each is empty or ends with a slash. Those that hold the importing file come first, the nearest before
        all others.
        """
        roots = self._roots_of.get(package, ())
        return sorted(
            roots, key=lambda root: (not near.startswith(root), -n_shared_parts(root, near), len(root))
        )

    def _ending_like(
        self, suffix: str, near: str, by_name: Mapping[str, list[str]], n_required: int | None
    ) -> tuple[str, ...]:
        wanted = [part for part in reversed(suffix.split("/")) if part not in ("", ".", "..")]
        if not wanted:
            return ()
        n_required = len(wanted) if n_required is None else n_required
        scored = []
        for path in by_name.get(wanted[0], ())[:_MAX_CANDIDATES]:
            pairs = zip(reversed(path.split("/")), wanted, strict=False)
            n_equal = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            if n_equal >= n_required:
                scored.append((-n_equal, -n_shared_parts(path, near), len(path), path))
        return tuple(path for *_, path in sorted(scored))

    def _python_roots(self) -> dict[str, tuple[str, ...]]:
        """Map each name that can be imported from the top to the folders from which it can.

        A folder with an `__init__` is a package, whose content is imported through it; everything in any
        other folder can be at the top.
        """
        packages = {path.rpartition("/")[0] for path in self._by_name.get("__init__.py", ())}
        packages |= {path.rpartition("/")[0] for path in self._by_name.get("__init__.pyi", ())}
        packages.discard("")
        roots: defaultdict[str, set[str]] = defaultdict(set)
        holders: set[str] = set()
        for path in self._paths:
            if not path.endswith((".py", ".pyi")):
                continue
            folder, _, name = path.rpartition("/")
            if folder not in packages:
                roots[name.rpartition(".")[0]].add(folder)
            while folder and folder not in holders:
                holders.add(folder)
                parent, _, name = folder.rpartition("/")
                if parent not in packages:
                    roots[name].add(parent)
                folder = parent
        slashed = {name: {folder and folder + "/" for folder in folders} for name, folders in roots.items()}
        return {name: tuple(sorted(folders, key=len)[:_MAX_CANDIDATES]) for name, folders in slashed.items()}


def n_shared_parts(path: str, other: str) -> int:
    """Return how many leading parts (folders, and the name) two paths share."""
    pairs = zip(path.split("/"), other.split("/"), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
