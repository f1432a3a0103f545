"""`crosslight serve`: what an editor starts.

Parses its arguments without the rest of the command line, which takes ten times as long to load, and would be
in the memory of every editor window.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final, NoReturn

from indexer.errors import IndexerError
from lsp_server.engine.channels import FdChannel, SocketChannel
from lsp_server.engine.errors import MalformedError
from lsp_server.engine.parent import watch_process
from lsp_server.engine.proxy import EngineSource, Proxy
from lsp_server.errors import UsageError

if TYPE_CHECKING:
    from lsp_server.engine.channels import Channel
    from lsp_server.engine.jsonrpc import Message

__all__ = ["SUMMARY", "main", "run_serve"]

SUMMARY: Final = "Serve an editor, by the language server protocol on standard input and output."


def main(arguments: Sequence[str], make_source: Callable[[], EngineSource] | None = None) -> NoReturn:
    """Serve, turn expected failures into one line and an exit code, and end the process.

    Args:
        arguments: What follows `crosslight serve`.
        make_source: Returns where engines come from; the user's by default.
    """
    try:
        code = run_serve(arguments, make_source)
    except SystemExit as end:  # a signal, or arguments that cannot be followed
        code = end.code if isinstance(end.code, int) else 0
    except (UsageError, IndexerError) as error:
        print(f"crosslight: {error}", file=sys.stderr)
        code = 1
    except OSError as error:  # such as a port that is taken
        print(f"crosslight: {error.strerror or error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("crosslight: interrupted", file=sys.stderr)
        code = 128 + signal.SIGINT
    with suppress(OSError):
        sys.stdout.flush()
    # Not by unwinding the interpreter: threads that serve editors still run, and might hold that up.
    os._exit(code)


def run_serve(arguments: Sequence[str], make_source: Callable[[], EngineSource] | None = None) -> int:
    """Serve an editor, or every one that connects, and return the exit code.

    Args:
        arguments: What follows `crosslight serve`.
        make_source: Returns where engines come from; the user's by default.

    Raises:
        UsageError: The arguments cannot be followed, or an editor sent what is no message.
        IndexerError: The runtime folder cannot be made.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    watch_process(options.client_process_id, _end_main_thread)
    if options.standalone:
        return _serve_alone(verbose=options.verbose)
    if options.verbose:
        print(
            "crosslight: --verbose is for --standalone alone: the engine that editors share logs no code; "
            "`crosslight engine status` names its log",
            file=sys.stderr,
        )
    source = (make_source or _users_engine)()
    if options.websocket is not None:
        from lsp_server.engine.websocket import serve_websocket  # noqa: PLC0415 - loads an HTTP server

        return serve_websocket(
            options.websocket, options.origin, lambda editor: _serve_one(editor, source), _announce
        )
    if options.tcp is not None:
        return _serve_tcp(options.tcp, source)
    return _serve_stdio(source)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crosslight serve",
        description=f"{SUMMARY} All editors of a user share one engine, which the first one starts and which "
        "ends when none is left.",
        allow_abbrev=False,
    )
    parser.add_argument("--stdio", action="store_true", help="Standard input and output, as by default.")
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="Only with --standalone: log everything to standard error, code of your files included. The "
        "engine that editors share logs no code; `crosslight engine status` names its log.",
    )
    parser.add_argument(
        "--clientProcessId",
        dest="client_process_id",
        metavar="PID",
        type=int,
        help="The editor's process; this one ends when that is gone.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--standalone", action="store_true", help="Do everything in this process, and share nothing."
    )
    where.add_argument(
        "--tcp",
        metavar="HOST:PORT",
        type=_loopback,
        help="Serve whoever connects on this machine. Every program of every user here may.",
    )
    where.add_argument(
        "--websocket",
        metavar="PORT",
        type=_port,
        help="Serve WebSockets on 127.0.0.1; prints the address, which holds a token. 0 takes any free port.",
    )
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        help="With --websocket: a web page's origin that may connect, given the token; else none may.",
    )
    return parser


def _users_engine() -> EngineSource:
    from lsp_server.engine.finder import EngineFinder, engine_meeting  # noqa: PLC0415 - not if it is alone
    from lsp_server.paths import Folders  # noqa: PLC0415

    return EngineFinder(engine_meeting(Folders.of_user()))


def _serve_alone(*, verbose: bool) -> NoReturn:
    from lsp_server import assemble  # noqa: PLC0415 - all there is
    from lsp_server.cli_common import loaded_environment  # noqa: PLC0415
    from lsp_server.server.logs import set_up_logging  # noqa: PLC0415
    from lsp_server.server.stdio import serve_stdio  # noqa: PLC0415

    set_up_logging(verbose=verbose)
    folders, loaded = loaded_environment()
    code = serve_stdio(lambda: assemble.start_host(folders, loaded.settings, loaded.problems))
    sys.stderr.flush()
    os._exit(code)  # a model that is still being loaded, or a client that no longer reads, holds nobody up


def _serve_stdio(source: EngineSource) -> int:
    # What anything here prints must not end up between messages.
    if sys.stdin is not None and sys.stdin.isatty():
        print("crosslight: waiting for an editor's messages; see `crosslight serve --help`", file=sys.stderr)
    sys.stdout.flush()
    to_editor = os.dup(1)
    os.dup2(2, 1)
    return _serve_one(FdChannel(0, to_editor), source, abort=_end_main_thread)


def _serve_one(editor: Channel, source: EngineSource, abort: Callable[[], None] | None = None) -> int:
    """Serve one editor until it is gone.

    Args:
        editor: Its messages.
        source: Where engines come from.
        abort: Called when the editor's process is gone, for channels whose end may stay unseen: what the
            editor started may hold its end of a pipe open.
    """

    def watch(initialize: Message) -> None:
        if abort is not None:
            watch_process(initialize.params.get("processId"), abort)

    return Proxy(editor, source, on_initialize=watch, abort=abort or (lambda: None)).run()


def _serve_tcp(address: tuple[str, int], source: EngineSource) -> NoReturn:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with closing(socket.create_server(address, family=family)) as listener:
        host, port = listener.getsockname()[:2]
        _announce(f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}")
        while True:
            connected, _ = listener.accept()
            connected.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )  # messages are small and wanted now
            threading.Thread(
                target=_serve_and_complain, args=(SocketChannel(connected), source), daemon=True
            ).start()


def _serve_and_complain(editor: Channel, source: EngineSource) -> None:
    """Serve one of several editors, whose mistakes are no reason to leave the others."""
    try:
        _serve_one(editor, source)
    except MalformedError as error:
        print(f"crosslight: a connection was closed: {error}", file=sys.stderr, flush=True)


def _announce(address: str) -> None:
    """Tell whoever started this where it listens."""
    with suppress(OSError):
        print(address, flush=True)


def _end_main_thread() -> None:
    """End as SIGTERM does, wherever the main thread waits."""
    if sys.platform == "win32":
        os._exit(1)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _end(number: int, _: object) -> NoReturn:
    """Unwind the main thread; a second signal must not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return port


def _loopback(text: str) -> tuple[str, int]:
    """Return host and port of this machine; an editor's messages are never sent past it."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:5007")
    import ipaddress  # noqa: PLC0415 - for this option only

    host = "127.0.0.1" if host in {"", "localhost"} else host.strip("[]")
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise argparse.ArgumentTypeError(f"{host} is not this machine; write 127.0.0.1, [::1] or localhost")
    return host, _port(port)
