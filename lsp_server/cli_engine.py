"""`crosslight serve`, and `crosslight engine …`: the process that completes for all editors."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console

from lsp_server.cli_common import AsJson, loaded_environment
from lsp_server.console import complain
from lsp_server.engine.serve import SUMMARY, run_serve
from lsp_server.paths import Folders
from lsp_server.render import print_json
from model.disk import human_bytes

if TYPE_CHECKING:
    from lsp_server.engine.service import HostedServer

app = typer.Typer(help="Show and end the processes that complete for all editors.", no_args_is_help=True)


SERVE_OPTIONS: Final[dict[str, Any]] = {
    "help": SUMMARY,
    "add_help_option": False,
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
}


def serve(context: typer.Context) -> None:
    """Pass what follows on to the parser that an editor's `crosslight serve` uses without this file."""
    raise typer.Exit(run_serve(context.args))


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the engine and the index worker that run: model, editors, memory."""
    from lsp_server.engine.status import engine_status

    facts = engine_status(Folders.of_user())
    if as_json:
        print_json(facts)
        return
    if facts["engine"] is None:
        complain("no engine runs; an editor starts one")
    _print_status(facts)


@app.command()
def stop() -> None:
    """End the engine, and the index worker if no other program needs it; typing in an editor starts both."""
    from lsp_server import assemble
    from lsp_server.engine.status import running_worker, stop_engine

    folders = Folders.of_user()
    stopped = stop_engine(folders)
    if stopped is None:
        complain("no engine runs")
    else:
        how = "did not answer and was killed" if stopped.hung else "has ended"
        print(f"the engine (process {stopped.pid}) {how}")
    if (worker := running_worker(folders)) is not None:
        has_ended = assemble.stop_lone_worker(folders)
        how = "has ended" if has_ended else "goes on, since another program needs it"
        print(f"the index worker (process {worker['pid']}) {how}")


def engine_process() -> None:
    """Complete for all editors of this user until idle; started by whatever needs it."""
    from lsp_server.config import load_settings
    from lsp_server.engine.finder import engine_meeting
    from lsp_server.engine.process import run_engine

    folders, loaded = loaded_environment()

    def load_service() -> HostedServer:
        from lsp_server.engine.service import make_service

        return make_service(folders, loaded)

    run_engine(
        engine_meeting(folders),
        make_service=load_service,
        idle_s=loaded.settings.engine.idle_s,
        is_outdated=lambda: load_settings(folders.config_file) != loaded,
    )
    sys.stderr.flush()
    os._exit(0)  # all that is kept was written; a model that is still being loaded holds nobody up


def _print_status(facts: dict[str, Any]) -> None:
    engine, worker = facts["engine"], facts["index_worker"]
    lines = []
    if engine is not None:
        minutes, n_editors = engine["uptime_s"] / 60, engine["n_editors"]
        lines += [
            f"engine: process {engine['pid']}, version {engine['version']}, {_taking(engine)}",
            f"  for {minutes:.0f} min, with {n_editors} editor{'' if n_editors == 1 else 's'}",
            f"  model: {engine['model']['message']} ({engine['model']['state']})",
            f"  log: {facts['log']}",
        ]
    if worker is not None:
        lines.append(f"index worker: process {worker['pid']}, {_taking(worker)}")
    if engine is not None and engine["notice"] is not None:
        lines.append(engine["notice"])
    console = Console()
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _taking(process: dict[str, Any]) -> str:
    n_bytes = process["memory_bytes"]
    return "memory unknown" if n_bytes is None else f"{human_bytes(n_bytes)} of memory"
