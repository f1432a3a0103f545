"""The benches' peer, without llama.cpp: the process that is asked, the prompts, and what is shown."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_model import FakeCodec

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "quality"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from peer import install
from peer.install import PeerError, install_node_package
from peer.layout import Cursor, lay_out, shown, stops_at_indent
from peer.llama import LlamaPeer, PeerOptions
from peer_subject import PEER_ARMS, PeerSubject, target_nats

from indexer.types import Definition, Reason, RetrievalResult, Retrieved, Span
from lsp_server.config import Settings
from lsp_server.evaluation.cases import Case
from model.prompt import PromptBudget, PromptDefinition

FAKE = Path(__file__).with_name("fake_peer.py")
StartPeer = Callable[..., LlamaPeer]


@pytest.fixture
def start() -> Iterator[StartPeer]:
    peers: list[LlamaPeer] = []

    def start_one(text: str = "x)\n", *fails_at: str, weights: str = "a.gguf") -> LlamaPeer:
        command = [sys.executable, str(FAKE), text, *fails_at]
        peers.append(LlamaPeer(command, Path(weights), PeerOptions(n_threads=3)))
        return peers[-1]

    yield start_one
    for peer in peers:
        peer.close()


def test_a_completion_says_what_was_reused(start: StartPeer) -> None:
    peer = start()
    assert peer.loaded.threads == 3
    first = peer.complete([1, 2, 3], n_predict=10)
    assert (first.text, first.tokens, first.reused_tokens) == ("x)\n", tuple(b"x)\n"), 0)
    assert peer.complete([1, 2, 3, 4], n_predict=1).reused_tokens == 3
    peer.reset()
    assert peer.cached_tokens() == 0
    assert peer.complete([1, 2, 3], n_predict=1).text == "x"


def test_a_peer_that_ended_is_named_with_what_it_was_asked(start: StartPeer) -> None:
    peer = start("x", "complete")
    with pytest.raises(PeerError, match="ended when asked to complete"):
        peer.complete([1], n_predict=1)
    with pytest.raises(PeerError, match="ended when asked to reset"):
        peer.reset()


def test_a_model_that_cannot_be_loaded_leaves_no_process(
    start: StartPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    with pytest.raises(PeerError, match="cannot load: no such model"):
        start(weights="a.txt")
    assert started[0].poll() is not None


def test_without_node_the_cure_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.shutil, "which", lambda _: None)
    with pytest.raises(PeerError) as caught:
        install_node_package(tmp_path)
    assert "Node.js" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_npm_installs_once_and_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = [1, 0]
    asked: list[list[str]] = []

    def npm(command: list[str], *, cwd: Path, **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        assert "node-llama-cpp" in (cwd / "package.json").read_text("utf-8")
        return subprocess.CompletedProcess(command, codes.pop(0), "", "npm error: no network")

    monkeypatch.setattr(install.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(install.platform, "system", lambda: "Linux")
    monkeypatch.setattr(install.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(install.subprocess, "run", npm)
    with pytest.raises(PeerError, match="no network"):
        install_node_package(tmp_path)
    assert not list((tmp_path / "peer").iterdir())
    folder = install_node_package(tmp_path)
    assert install_node_package(tmp_path) == folder
    assert len(asked) == 2
    assert all("--ignore-scripts" in command for command in asked)


CODEC = FakeCodec()
CONTROL = CODEC.control


def readable(ids: list[int]) -> str:
    names = {
        CONTROL.repo_name: "<repo>",
        CONTROL.file_sep: "<file>",
        CONTROL.fim_prefix: "<pre>",
        CONTROL.fim_suffix: "<suf>",
        CONTROL.fim_middle: "<mid>",
    }
    return "".join(names.get(id_) or CODEC.token_bytes(id_).decode() for id_ in ids)


def lay(prefix: str, suffix: str, *definitions: PromptDefinition, **options: object) -> str:
    budget = PromptBudget(**{name: options.pop(name) for name in list(options) if name.endswith("tokens")})
    return readable(
        lay_out(
            CODEC,
            Cursor.of(prefix, suffix),
            repo_name="r",
            path="a.py",
            definitions=definitions,
            budget=budget,
            line_place=options.pop("line_place", "in_prefix"),
        )
    )


@pytest.mark.parametrize(
    ("laid_out", "expected"),
    [
        (lay("a\nb(", ")\nc"), "<repo>r\n<file>a.py\n<pre>a\nb(<suf>)\nc<mid>"),
        (lay("a\r\nb(", ")\r\nc"), "<repo>r\n<file>a.py\n<pre>a\nb(<suf>)\nc<mid>"),
        (lay("a\nb(", ")\nc", line_place="after_middle"), "<repo>r\n<file>a.py\n<pre>a\n<suf>)\nc<mid>b("),
        # a blank line: its indentation is left to the model
        (lay("a:\n    ", "\nc"), "<repo>r\n<file>a.py\n<pre>a:\n<suf>\nc<mid>"),
        (lay("<|fim_suffix|>", ""), "<repo>r\n<file>a.py\n<pre><|fim_suffix|><suf><mid>"),
        (
            lay("abcd\nx", "\nef", prefix_tokens=2, suffix_tokens=2),
            "<repo>r\n<file>a.py\n<pre>d\nx<suf>\ne<mid>",
        ),
    ],
)
def test_prompts_are_laid_out_as_the_server_does(laid_out: str, expected: str) -> None:
    assert laid_out == expected


def test_the_best_definition_stands_nearest_and_the_worst_are_left_out() -> None:
    definitions = [PromptDefinition(f"{name}.py", f"{name}{name}\n\n") for name in "bcd"]
    chunk = "<file>c.py\ncc\n<file>b.py\nbb\n"
    room = len("?b.py\nbb\n") * 2 + 1
    laid_out = lay("x", "", *definitions, definitions_tokens=room)
    assert laid_out == f"<repo>r\n{chunk}<file>a.py\n<pre>x<suf><mid>"


@pytest.mark.parametrize(
    ("text", "n_indent", "kept"),
    [
        ("x\n  y\nz", 2, "x\n  y"),
        ("x\n  y\n\n  z", 2, "x\n  y"),
        ("x\n\ty", 1, "x\n\ty"),
        ("x\ny\n", 0, "x\ny\n"),
    ],
)
def test_the_server_stops_at_a_line_less_indented(text: str, n_indent: int, kept: str) -> None:
    assert stops_at_indent(text, n_indent) == kept


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "expected"),
    [
        ("x)", "f(", "\n", "x)"),
        ("x\n\n", "f(", "\n", "x"),
        ("", "f(", "\n", ""),
        ("  ", "f(", "\n", ""),
        (")", "f(", ")\n", ""),  # the rest of the line
        ("\nb\nc", "a", "\nb\nc\nd", ""),  # the next lines
        ("b", "a", "\n\nab\n", ""),  # the next line that is not blank
        ("b\ncd", "a", "\nab\ncdef", ""),  # it, and the beginning of the one after
        ("b\nc\nd", "a", "\nab\nc\nd\ne", ""),  # it, and those after
        ("b\nc\nx", "a", "\nab\nc\nd\ne", "b\nc\nx"),
        ("    x = 1", "f():\n    ", "\n", "x = 1"),  # a blank line's indentation stands there already
        ("        x = 1", "f():\n    ", "\n", "    x = 1"),
        ("  x = 1", "f():\n    ", "\n", "x = 1"),
    ],
)
def test_what_is_shown_repeats_nothing_that_stands_there(
    text: str, prefix: str, suffix: str, expected: str
) -> None:
    assert shown(text, Cursor.of(prefix, suffix)) == expected


def test_a_target_is_found_in_every_token_that_covers_its_end(start: StartPeer) -> None:
    codec = FakeCodec([")\n", "ab"])
    n_ids, peer = 300, start()
    nats, n_bytes = target_nats(peer, codec, [1], "", "ab)")
    # "ab" and then ")" or ")\n"
    assert nats == pytest.approx(-math.log(1 / n_ids * 2 / n_ids))
    assert n_bytes == 3


def test_an_indentation_that_the_prompt_left_out_counts_as_known(start: StartPeer) -> None:
    nats, n_bytes = target_nats(start(), FakeCodec([" x"]), [1], " ", "x")
    # known: that it is " " or " x"; wanted: " x"
    assert nats == pytest.approx(math.log(2))
    assert n_bytes == 1


def retrieve_one(text: str) -> Callable[..., RetrievalResult]:
    definition = Definition(
        id="b",
        path="b.py",
        language="python",
        kind="function",
        name="b",
        qualified_name="b",
        role="source",
        span=Span(0, 1, 0, len(text)),
        text=text,
        signature=text,
        docstring="",
        content_hash="",
    )
    rows = (Retrieved(definition, 1.0, (Reason("symbol", 1, "named"),)),)
    return lambda _: RetrievalResult(rows, (), {}, {})


def subject(peer: LlamaPeer, definition: str | None = None) -> PeerSubject:
    return PeerSubject(
        peer=peer,
        codec=FakeCodec(["x)"]),
        weights_sha256="0",
        settings=Settings(),
        retrieve_for=None if definition is None else lambda _: retrieve_one(definition),
    )


def test_a_subject_answers_as_shown_and_scores_the_target(start: StartPeer, tmp_path: Path) -> None:
    one = subject(start("x)\nmore"), "def b(): ...")
    case = Case(tmp_path, "a.py", "import b\nb(", "\n", "x)", "cross-file")
    answer = one.answer(case)
    assert (one.arm, answer.text, answer.n_definitions, answer.n_scored_bytes) == (PEER_ARMS[1], "x)", 1, 2)
    assert answer.nats == pytest.approx(-math.log(1 / 300 + 1 / 300**2))  # "x)", or "x" and ")"
    assert subject(start("  y = 1\n  z"), None).answer(
        Case(tmp_path, "a.py", "f():\n  ", "\n", "y\n  z", "block")
    ).text == ("y = 1\n  z")


def test_a_subjects_key_changes_with_what_it_is_given(start: StartPeer, tmp_path: Path) -> None:
    peer = start()
    case = Case(tmp_path, "a.py", "import b\nb(", "\n", "x)", "cross-file")
    keys = [subject(peer, text).key(case) for text in (None, "def b(): ...", "def b(c): ...")]
    assert len(set(keys)) == 3
    assert keys[1] == subject(peer, "def b(): ...").key(case)
