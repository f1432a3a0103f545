"""The peer's Node program over a stand-in for llama.cpp that counts."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from peer import llama
from peer.llama import LlamaPeer, PeerError

PROGRAM = Path(llama.__file__).with_name("llama.mjs")
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="the peer is a Node program")


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[LlamaPeer]:
    package = tmp_path / "node_modules" / "node-llama-cpp"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module"}', "utf-8")
    shutil.copy(Path(__file__).with_name("fake_llama_cpp.mjs"), package / "dist" / "index.js")
    with LlamaPeer(["node", str(PROGRAM), str(tmp_path)], Path("a.gguf")) as one:
        yield one


@pytest.mark.parametrize(
    ("prompt", "options", "text", "stop"),
    [
        ([3], {"n_predict": 9}, "456\n", "text"),
        ([3], {"n_predict": 9, "stop_text": ""}, "456\n8", "end"),
        ([3], {"n_predict": 2}, "45", "length"),
        ([3], {"n_predict": 9, "stop_ids": [6]}, "45", "end"),
        ([8], {"n_predict": 9}, "", "end"),
    ],
)
def test_a_completion_stops_where_it_is_told_to(
    peer: LlamaPeer, prompt: list[int], options: dict[str, int], text: str, stop: str
) -> None:
    answer = peer.complete(prompt, **options)
    assert (answer.text, answer.stop) == (text, stop)


@pytest.mark.parametrize(
    ("second", "cache_reuse", "n_reused"),
    [
        ([1, 2, 3, 4, 5, 6], 0, 5),  # all but the token whose successor is asked for
        ([1, 2, 3, 8], 0, 3),
        ([8, 2, 3], 0, 0),
        ([1, 4, 5, 6, 0], 0, 1),
        ([1, 4, 5, 6, 0], 3, 4),  # 4, 5, 6 are moved
        ([1, 4, 5, 6, 0], 4, 1),
    ],
)
def test_what_the_cache_and_the_prompt_share_is_not_computed_again(
    peer: LlamaPeer, second: list[int], cache_reuse: int, n_reused: int
) -> None:
    peer.complete([1, 2, 3, 4, 5, 6], n_predict=1)
    answer = peer.complete(second, n_predict=1, cache_reuse=cache_reuse)
    assert (answer.reused_tokens, answer.prefill_tokens) == (n_reused, len(second) - n_reused)
    assert peer.cached_tokens() == len(second)


def test_forgetting_empties_the_cache(peer: LlamaPeer) -> None:
    peer.complete([1, 2, 3], n_predict=1)
    peer.reset(predictor=True)
    assert peer.cached_tokens() == 0
    assert peer.complete([1, 2, 3], n_predict=1).reused_tokens == 0


def test_scores_are_log_probabilities(peer: LlamaPeer) -> None:
    peer.complete([1, 2], n_predict=1)
    total = math.log(sum(math.exp(token) for token in range(10)))
    rows = peer.score([1, 2], [3, 4], [[3, 5], [4]])
    assert rows[0] == pytest.approx([3 - total, 5 - total])
    assert rows[1] == pytest.approx([4 - total])


def test_an_unknown_method_is_an_answer_and_not_the_end(peer: LlamaPeer) -> None:
    with pytest.raises(PeerError, match="there is no method fly"):
        peer._ask("fly")
    assert peer.cached_tokens() == 0
