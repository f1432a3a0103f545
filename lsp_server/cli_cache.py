"""`crosslight cache …`: show and clear what Crosslight keeps on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lsp_server import assemble
from lsp_server.cli_common import AsJson
from lsp_server.errors import UsageError
from lsp_server.paths import Folders
from lsp_server.render import print_json, table
from model.disk import human_bytes

_DOWNLOADS = {".downloads": "weights, kept or half fetched"}

app = typer.Typer(help="Show and clear what Crosslight keeps on this machine.", no_args_is_help=True)


@app.command()
def info(as_json: AsJson = False) -> None:
    """Show the folders in use, and how much disk each model, each repository's index and the rest take."""
    from indexer.repository import IndexFolder
    from model.memory_disk import entries_bytes

    folders = Folders.of_user()
    indexes = [(str(index.root), index.disk_bytes()) for index in IndexFolder.all_in(folders.index)]
    models = _sizes_in(folders.models)
    evaluations = _bytes_below(folders.evaluations)
    trainings = _bytes_below(folders.trainings)
    memories = entries_bytes(folders.memories)
    if as_json:
        print_json(
            {
                "folders": {
                    "models": str(folders.models),
                    "index": str(folders.index),
                    "memories": str(folders.memories),
                    "config": str(folders.config),
                },
                "models": [{"name": name, "bytes": size} for name, size in models],
                "indexes": [{"root": root, "bytes": size} for root, size in indexes],
                "evaluations": {"bytes": evaluations},
                "trainings": {"bytes": trainings},
                "memories": {"bytes": memories},
            }
        )
        return
    console = Console()
    rows = [("model", _DOWNLOADS.get(name, name), human_bytes(size)) for name, size in models]
    rows += [("index", root, human_bytes(size)) for root, size in indexes]
    rows += [("memories", "encoded definitions", human_bytes(memories))] if memories else []
    rows += [("evaluations", "answers", human_bytes(evaluations))] if evaluations else []
    rows += [("trainings", "runs of `crosslight adapt`", human_bytes(trainings))] if trainings else []
    console.print(table("", ("what", "of", "#size"), rows) if rows else "Nothing is kept yet.")
    for name, folder in (
        ("models", folders.models),
        ("indexes", folders.index),
        ("memories", folders.memories),
        ("trainings", folders.trainings),
        ("settings", folders.config),
    ):
        console.print(f"{name}: {folder}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def clear(
    repository: Annotated[
        Path | None, typer.Argument(help="Clear the index of this repository only; of all if left out.")
    ] = None,
    models: Annotated[
        bool,
        typer.Option(
            "--models",
            help="Remove the models and the trainings of adapters too; they must be fetched, or made, again.",
        ),
    ] = False,
    memories: Annotated[
        bool, typer.Option("--memories", help="Remove nothing but the definitions that were encoded.")
    ] = False,
) -> None:
    """Remove indexes, encoded definitions and answers of evaluations; they are made again when needed."""
    from indexer.repository import IndexFolder

    folders = Folders.of_user()
    if memories:
        if models or repository is not None:
            raise UsageError("--memories removes nothing else: leave the rest out, or the option")
        print(f"{human_bytes(_remove_memories(folders.memories))} freed")
        return
    if repository is not None:
        if models:
            raise UsageError("--models clears everything: leave the repository out, or the option")
        if not IndexFolder.of(folders.index, repository).exists():
            raise UsageError(f"{repository} has no index; `crosslight cache info` lists those that are there")
        with assemble.connect_index(folders) as client:
            print(f"{repository}: {human_bytes(client.remove(repository))} freed")
        return
    assemble.stop_worker(folders)
    freed = _remove(folders.index) + _remove(folders.evaluations) + _remove_memories(folders.memories)
    freed += _remove(folders.models) + _remove(folders.trainings) if models else 0
    print(f"{human_bytes(freed)} freed")


def _sizes_in(folder: Path) -> list[tuple[str, int]]:
    """Return each entry of a folder with the bytes below it; half-fetched models count too."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    sizes = [(entry.name, _bytes_below(entry)) for entry in entries]
    return [(name, size) for name, size in sizes if size]


def _bytes_below(path: Path) -> int:
    if not path.exists():
        return 0
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def _remove_memories(folder: Path) -> int:
    from model.memory_disk import remove_entries

    try:
        return remove_entries(folder)
    except OSError as error:
        raise _cannot_remove(error, folder) from error


def _remove(folder: Path) -> int:
    freed = _bytes_below(folder)
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _cannot_remove(error, folder) from error
    return freed


def _cannot_remove(error: OSError, folder: Path) -> UsageError:
    return UsageError(f"{error.filename or folder} cannot be removed: {error.strerror}")
