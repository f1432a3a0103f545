"""The `crosslight` command: validate, call the library, print.

Heavy libraries are imported inside the command that needs them, so that `crosslight --help` stays instant.
Every expected failure ends in `main` as one line on standard error and exit code 1; a wrong use of the
command line is exit code 2; Ctrl-C is 130.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from typer.core import TyperGroup

from indexer.errors import IndexerError
from lsp_server import assemble, cli_adapt, cli_cache, cli_engine, cli_eval, cli_model, cli_stats
from lsp_server.cli_common import AsJson, user_environment
from lsp_server.config import load_settings
from lsp_server.console import complain, index_with_bar
from lsp_server.document import Cursor, open_document
from lsp_server.errors import UsageError
from lsp_server.paths import Folders
from lsp_server.render import print_completion, print_definitions, print_findings, print_json, print_summary
from model.errors import ModelError

if TYPE_CHECKING:
    from indexer.client import IndexClient
    from indexer.report import IndexStatus
    from indexer.types import RetrievalQuery, RetrievalResult
    from lsp_server.completer import Retrieve


class _Interrupted(Exception):  # noqa: N818 - a way to stop, not an error
    """Ctrl-C, on its way past typer, which would end the process without a word."""


class _Commands(TyperGroup):
    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer calls it with its own
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _Interrupted("; ".join(["interrupted", *getattr(stop, "__notes__", ())])) from stop


app = typer.Typer(
    cls=_Commands,
    name="crosslight",
    help="Complete code from the whole repository, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_model.app, name="model")
app.add_typer(cli_cache.app, name="cache")
app.add_typer(cli_engine.app, name="engine")
app.command("eval")(cli_eval.evaluate)
app.command("adapt")(cli_adapt.adapt)
app.command("stats")(cli_stats.stats)
app.command("serve", **cli_engine.SERVE_OPTIONS)(cli_engine.serve)
app.command("engine-process", hidden=True)(cli_engine.engine_process)

_ENDING_S = 3.0
"""A run that was given up ends within so long; one that goes on is not waited for."""
_LOOK_AGAIN_S = 0.1

Root = Annotated[
    Path | None, typer.Option("--root", help="The repository's folder; told from the files if left out.")
]


def main() -> None:
    """Run the command line; turn expected failures into one line and an exit code."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # while what goes wrong with it can still be said
    except (UsageError, IndexerError, ModelError) as error:
        complain(str(error))
        sys.exit(1)
    except _Interrupted as stop:
        complain(str(stop))
        sys.exit(130)
    except BrokenPipeError:
        _forget_output()  # whoever read it went away, which is their right
        sys.exit(1)
    except OSError as error:
        _forget_output()
        complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
        sys.exit(1)


def _forget_output() -> None:
    """Let what is still to be printed vanish, or Python would complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.command()
def complete(  # noqa: PLR0913, PLR0917 - options of a command
    cursor: Annotated[
        str, typer.Argument(metavar="FILE:LINE:COL", help="Both counted from 1; without COL, the line's end.")
    ],
    as_json: AsJson = False,
    no_retrieval: Annotated[
        bool, typer.Option("--no-retrieval", help="Complete from the file alone.")
    ] = False,
    multi_line: Annotated[
        bool, typer.Option("--multi-line", help="Write a block, whatever the syntax tells.")
    ] = False,
    single_line: Annotated[
        bool, typer.Option("--single-line", help="Write the rest of the line, whatever the syntax tells.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also tell which definitions the text was read from.")
    ] = False,
    root: Root = None,
) -> None:
    """Complete at a cursor, and show the result in place with the definitions that it was given."""
    from lsp_server.completer import Completer
    from lsp_server.requests import make_request

    if multi_line and single_line:
        raise typer.BadParameter("--multi-line and --single-line exclude each other: give one of them")
    folders, settings = user_environment()
    document = open_document(Cursor.parse(cursor))
    if root is not None and not root.is_dir():
        raise UsageError(f"--root {root} is not a folder")
    repository = root or assemble.repository_of(document.file, folders)
    with ExitStack() as stack:
        model = stack.enter_context(closing(assemble.start_model(folders, settings, complain)))
        completer = Completer(model, settings)  # before an index takes its time
        retrieve = None
        if repository is not None and not no_retrieval:
            retrieve = _open_retrieval(stack, folders, repository)
        lines = multi_line if multi_line or single_line else None
        trace = completer.complete(make_request(document, repository, retrieve, multi_line=lines))
        if explain:
            trace = completer.explain() or trace
        if as_json:
            print(trace.to_json(), flush=True)
            return
        print_completion(Console(), document, trace)
    if repository is None and not no_retrieval:
        complain(f"no repository above {document.file}: completed from the file alone; name one with --root")


def _open_retrieval(stack: ExitStack, folders: Folders, repository: Path) -> Retrieve:
    """Return what asks the repository's index, which is made if there is none, and brought up to date.

    An index that cannot be had costs the retrieval, not the completion: the question then answers with the
    reason.
    """
    try:
        client = stack.enter_context(assemble.connect_index(folders))
        status = _settled(client, repository)
        if not _is_whole(status):
            index_with_bar(client, repository, force=False)
        elif not status.is_indexing:
            with suppress(IndexerError):  # what is indexed already will do
                client.index(repository, on_progress=lambda _: None, force=False)
    except IndexerError as error:
        reason = error

        def refuse(_: RetrievalQuery) -> RetrievalResult:
            raise reason

        return refuse
    return partial(client.retrieve, repository.absolute())


def _settled(client: IndexClient, repository: Path) -> IndexStatus:
    """Return the state of an index; one that is being left half by a run just ended is told as left."""
    until = time.monotonic() + _ENDING_S
    while True:
        status = client.open(repository)
        if not status.is_indexing or _has_all(status) or time.monotonic() > until:
            return status
        time.sleep(_LOOK_AGAIN_S)


def _is_whole(status: IndexStatus) -> bool:
    """Return whether an index is fit for use: not begun and left, nor emptied by an upgrade."""
    return status.exists and (_has_all(status) or status.is_indexing)


def _has_all(status: IndexStatus) -> bool:
    """Return whether all that an index knows of has its vectors."""
    return status.n_files > 0 and status.n_embedded >= status.n_definitions


@app.command()
def index(
    path: Annotated[Path, typer.Argument(help="The repository's folder.")] = Path(),
    as_json: AsJson = False,
    force: Annotated[bool, typer.Option("--force", help="Parse every file, changed or not.")] = False,
) -> None:
    """Index a repository, or what changed in it since the last time."""
    folders, _ = user_environment()
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
    folders, _ = user_environment()
    repository = root or assemble.repository_of(Path("x"), folders) or Path()
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
    folders, settings = user_environment()
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
