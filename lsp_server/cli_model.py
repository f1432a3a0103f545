"""`crosslight model …`: fetch, list, check and remove models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lsp_server import assemble
from lsp_server.cli_common import AsJson
from lsp_server.config import load_settings
from lsp_server.console import PhaseBar, bytes_of
from lsp_server.errors import UsageError
from lsp_server.paths import Folders
from lsp_server.render import print_json, table
from model.disk import human_bytes

if TYPE_CHECKING:
    from model.store import AdapterChoice, InstalledModel
    from model.types import Progress

app = typer.Typer(help="Fetch, list, check and remove models.", no_args_is_help=True)

Name = Annotated[str | None, typer.Argument(help="An installed model; the configured one if left out.")]


@app.command()
def pull(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|PATH|HUB_ID]",
            help="A model of the catalog, a local folder or .gguf file, or a hub id (Owner/Name). "
            "The configured model if left out.",
        ),
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.safetensors",
            help="Merge this low-rank adapter, such as one of `crosslight adapt`, instead of the one that "
            "Crosslight comes with.",
        ),
    ] = None,
    no_adapter: Annotated[
        bool, typer.Option("--no-adapter", help="Merge none: leave the weights as they are.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch and convert again.")] = False,
    keep_weights: Annotated[
        bool,
        typer.Option("--keep-weights", help="Keep the downloaded weights, now and after later pulls."),
    ] = False,
) -> None:
    """Fetch a model, check it, and convert it for this machine; nothing is done twice."""
    if adapter and no_adapter:
        raise UsageError("--adapter and --no-adapter exclude each other: give one of them")
    folders = Folders.of_user()
    settings = load_settings(folders.config_file).settings
    choice: AdapterChoice = "none" if no_adapter else adapter or "auto"
    store = assemble.open_store(folders)
    before = {installed.name: installed for installed in store.list()}
    with PhaseBar() as bar:

        def show(progress: Progress) -> None:
            in_bytes = progress.phase in {"download", "verify"}
            amount = bytes_of(progress.done, progress.total) if in_bytes else ""
            bar.update(progress.phase, progress.done, progress.total, f"{progress.detail} {amount}".strip())

        installed = store.pull(
            model or settings.model.name,
            adapter=choice,
            quantization=assemble.quantization_here(settings),
            on_progress=show,
            force=force,
            keep_weights=keep_weights,
        )
    former = before.get(installed.name)
    if installed.manifest.model_hash not in {one.manifest.model_hash for one in before.values()}:
        assemble.stop_worker(folders)  # it holds the embedder of the model before, or none
    with_what = {
        "shipped": "with the shipped adapter",
        "another": f"with the adapter {adapter}",
        "none": "without an adapter",
    }
    lines = [_summary(installed, with_what[store.adapter_of(installed)])]
    if (
        former is not None
        and former.manifest.adapter_sha256 != installed.manifest.adapter_sha256
        and store.adapter_of(former) == "another"
    ):
        lines.append(
            "The adapter that was merged before is out of use: `crosslight model pull --adapter FILE` brings "
            "it back"
        )
    Console().print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the installed models, which of them is in use, and those of the catalog that are not installed."""
    from model.catalog import load_catalog

    folders = Folders.of_user()
    in_use = _configured(folders)
    store = assemble.open_store(folders)
    installed = store.list()
    names = {model.name for model in installed}
    known = [entry for entry in load_catalog().values() if entry.name not in names]
    if as_json:
        print_json(
            {
                "installed": [
                    {
                        "name": model.name,
                        "in_use": model.name == in_use,
                        "folder": str(model.folder),
                        "bytes": model.size_bytes,
                        "source": model.manifest.source,
                        "licence": model.manifest.licence,
                        "quantization": model.manifest.quantization.scheme,
                        "adapter": store.adapter_of(model),
                        "adapter_sha256": model.manifest.adapter_sha256,
                    }
                    for model in installed
                ],
                "available": [entry.name for entry in known],
            }
        )
        return
    rows: list[tuple[str, ...]] = [
        (
            m.name,
            "in use" if m.name == in_use else "installed",
            human_bytes(m.size_bytes),
            m.manifest.quantization.scheme,
            store.adapter_of(m),
            m.manifest.licence,
        )
        for m in installed
    ]
    rows += [(e.name, "to be pulled", human_bytes(e.size_bytes), "", "", e.licence) for e in known]
    Console().print(table("", ("model", "state", "#size", "weights", "adapter", "licence"), rows))


@app.command()
def verify(model: Name = None) -> None:
    """Compare every file of an installed model with its checksum."""
    folders = Folders.of_user()
    name = model or _configured(folders)
    with PhaseBar() as bar:
        assemble.open_store(folders).verify(
            name,
            lambda p: bar.update(p.phase, p.done, p.total, f"{p.detail} {bytes_of(p.done, p.total)}"),
        )
    print(f"{name}: all files are as they were installed")


@app.command()
def remove(model: Annotated[str, typer.Argument(help="An installed model.")]) -> None:
    """Remove a model, and what a broken download of it left."""
    freed = assemble.open_store(Folders.of_user()).remove(model)
    print(f"{model}: removed, {human_bytes(freed)} freed")


def _configured(folders: Folders) -> str:
    return load_settings(folders.config_file).settings.model.name


def _summary(installed: InstalledModel, with_what: str) -> str:
    manifest = installed.manifest
    return (
        f"{installed.name}: ready, {manifest.quantization.scheme}, {with_what}, "
        f"{human_bytes(installed.size_bytes)} in {installed.folder} (licence: {manifest.licence})"
    )
