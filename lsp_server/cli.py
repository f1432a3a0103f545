"""The `crosslight` command: validate, call the library, print.

Heavy libraries are imported inside the command that needs them, so that `crosslight --help` stays instant.
Every expected failure ends in `main` as one line on standard error and exit code 1; a wrong use of the
command line is exit code 2; Ctrl-C is 130.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from indexer.errors import IndexerError
from lsp_server import assemble, cli_cache, cli_model
from lsp_server.config import Settings, load_settings
from lsp_server.console import complain, index_with_bar
from lsp_server.document import Cursor, find_root, open_document
from lsp_server.errors import UsageError
from lsp_server.paths import Folders
from lsp_server.render import print_completion, print_definitions, print_findings, print_json, print_summary
from model.errors import ModelError

app = typer.Typer(
    name="crosslight",
    help="Complete code from the whole repository, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_model.app, name="model")
app.add_typer(cli_cache.app, name="cache")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text for people.")]
Root = Annotated[
    Path | None, typer.Option("--root", help="The repository's folder; told from the files if left out.")
]


def main() -> None:
    """Run the command line; turn expected failures into one line and an exit code."""
    try:
        app()
    except (UsageError, IndexerError, ModelError) as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt as stop:
        complain("; ".join(["interrupted", *getattr(stop, "__notes__", ())]))
        sys.exit(130)
    except BrokenPipeError:
        # whoever read our output went away, which is their right; Python must not complain at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@app.command()
def complete(
    cursor: Annotated[
        str, typer.Argument(metavar="FILE:LINE:COL", help="Counted from 1; COL is the line's end.")
    ],
    as_json: AsJson = False,
    no_retrieval: Annotated[
        bool, typer.Option("--no-retrieval", help="Complete from the file alone.")
    ] = False,
    multi_line: Annotated[
        bool | None, typer.Option("--multi-line/--single-line", help="Override what the syntax tells.")
    ] = None,
    root: Root = None,
) -> None:
    """Complete at a cursor, and show the result in place with the definitions that it was given."""
    from lsp_server.completer import Completer
    from lsp_server.requests import make_request

    folders, settings = _environment()
    document = open_document(Cursor.parse(cursor))
    repository = root or find_root(document.file)
    client = None if no_retrieval or repository is None else assemble.connect_index(folders)
    try:
        if client is not None and repository is not None and not client.status(repository).exists:
            index_with_bar(client, repository, force=False)
        request = make_request(document, repository, client, multi_line=multi_line)
        trace = Completer(assemble.start_model(folders, settings), settings).complete(request)
    finally:
        if client is not None:
            client.close()
    if as_json:
        print(trace.to_json())
        return
    print_completion(Console(), document, trace)
    if repository is None and not no_retrieval:
        complain(f"no repository above {document.file}: completed from the file alone; name one with --root")


@app.command()
def index(
    path: Annotated[Path, typer.Argument(help="The repository's folder.")] = Path(),
    as_json: AsJson = False,
    force: Annotated[bool, typer.Option("--force", help="Parse every file, changed or not.")] = False,
) -> None:
    """Index a repository, or what changed in it since the last time."""
    folders, _ = _environment()
    with assemble.connect_index(folders) as client:
        summary = index_with_bar(client, path, force=force)
    if as_json:
        print_json(summary.to_json())
    else:
        print_summary(Console(), summary)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="A name, or words that describe what is looked for.")],
    root: Root = None,
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many definitions to show at most.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find definitions in an indexed repository."""
    folders, _ = _environment()
    repository = root or find_root(Path("x").absolute()) or Path()
    with assemble.connect_index(folders) as client:
        if not client.status(repository).exists:
            raise UsageError(
                f"{repository.absolute()} is not indexed: run `crosslight index {repository}` first"
            )
        found = client.search(repository, query, n)
    if as_json:
        print_json([asdict(row) for row in found])
    elif found:
        print_definitions(Console(), found)
    else:
        complain(f"nothing in {repository.absolute()} matches {query!r}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check this installation; each line is fine or comes with its cure."""
    from lsp_server.doctor import examine

    folders = Folders.of_user()
    findings = examine(folders, load_settings(folders.config_file))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_findings(Console(), findings)
    if any(finding.level == "error" for finding in findings):
        sys.exit(1)


@app.command("index-worker", hidden=True)
def index_worker(
    stop: Annotated[bool, typer.Option("--stop", help="End the worker that runs, if one does.")] = False,
) -> None:
    """Own all indexes of this user until idle; started by whatever needs an index."""
    folders, settings = _environment()
    if stop:
        assemble.stop_worker(folders)
    else:
        assemble.run_worker(folders, settings)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"crosslight {version('crosslight')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before any command."""


def _environment() -> tuple[Folders, Settings]:
    """Return the user's folders and settings; what is wrong with the settings is said, and costs nothing."""
    folders = Folders.of_user()
    loaded = load_settings(folders.config_file)
    for problem in loaded.problems:
        complain(problem)
    return folders, loaded.settings
