import ast
import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

import lsp_server
from lsp_server.cli import app
from lsp_server.engine.errors import MalformedError
from lsp_server.engine.greeting import GREETING_METHOD, PROTOCOL, wants_in
from lsp_server.engine.jsonrpc import parse, request
from lsp_server.engine.proxy import Patience
from lsp_server.engine.serve import run_serve


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--tcp", "0.0.0.0:5007"], "not this machine"),
        (["--tcp", "192.168.1.5:5007"], "not this machine"),
        (["--tcp", "example.org:5007"], "not this machine"),
        (["--tcp", "[::]:5007"], "not this machine"),
        (["--tcp", "5007"], "HOST:PORT"),
        (["--tcp", "127.0.0.1:x"], "HOST:PORT"),
        (["--tcp", "127.0.0.1:70000"], "no port"),
        (["--websocket", "70000"], "no port"),
        (["--websocket", "-1"], "no port"),
        (["--websocket", "0", "--tcp", "127.0.0.1:0"], "not allowed"),
        (["--standalone", "--tcp", "127.0.0.1:0"], "not allowed"),
        (["--stan"], "unrecognized"),
    ],
)
def test_arguments_that_cannot_be_followed_are_refused(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_serve(arguments)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


def test_what_every_editor_window_runs_loads_nothing_heavy() -> None:
    program = (
        "import sys, lsp_server.engine.serve, lsp_server.engine.finder, lsp_server.paths;"
        "print(sorted(sys.modules))"
    )
    loaded = set(
        ast.literal_eval(
            subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        )
    )
    heavy = {
        "asyncio",
        "numpy",
        "onnxruntime",
        "chromadb",
        "tokenizers",
        "tree_sitter",
        "pygls",
        "lsprotocol",
        "typer",
        "rich",
        "psutil",
        "filelock",
        "sqlite3",
        "subprocess",
        "websockets",
        "importlib.metadata",
        "lsp_server.config",
    }
    assert loaded & heavy == set()


def test_the_version_that_is_said_without_metadata_is_the_packages() -> None:
    assert lsp_server.__version__ == version("crosslight")


@pytest.mark.parametrize("arguments", [["serve", "--help"], ["--help"]])
def test_serve_is_among_the_commands_and_explains_itself(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    program = [sys.executable, "-m", "lsp_server", *arguments]
    shown = subprocess.run(program, capture_output=True, text=True, check=True, env=os.environ).stdout
    assert "language server protocol" in " ".join(shown.split())


def test_options_that_stand_before_serve_do_not_matter() -> None:
    assert CliRunner().invoke(app, ["serve", "--tcp", "nowhere"]).exit_code == 2


def test_greetings_of_another_kind_are_refused() -> None:
    assert wants_in(parse(request(0, GREETING_METHOD, {"protocol": PROTOCOL, "wants": "stop"}))) == "stop"
    for params in ({"protocol": PROTOCOL + 1, "wants": "stop"}, {"protocol": PROTOCOL, "wants": "all"}, {}):
        with pytest.raises(MalformedError):
            wants_in(parse(request(0, GREETING_METHOD, params)))
    with pytest.raises(MalformedError):
        wants_in(parse(request(0, "initialize", {"protocol": PROTOCOL, "wants": "stop"})))


def test_patience_grows_with_failures_up_to_a_bound() -> None:
    patience = Patience(first_s=0.5, most_s=3.0)
    assert [patience.delay_s(n) for n in range(1, 7)] == [0, 0.5, 1, 2, 3, 3]
