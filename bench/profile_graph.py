"""Where a pass of the decoder spends its time, node by node.

    python bench/profile_graph.py                                   steps of 1, 8 and 16 tokens, and a prefill
    python bench/profile_graph.py --pass 1,1024 --pass 256,700     tokens, and entries of the cache before

Runs the installed model, without and with the run time's profiler. For each pass its median time (`ms`), what
of that lies outside of the run time (`python_ms`), the number of nodes, and each kind's share of a run, with
what lies between nodes; the profiler itself adds to that. The last line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from lsp_server import assemble
from lsp_server.config import Settings
from lsp_server.paths import Folders
from model.session import DecoderSession, session_options
from model.state import DecodeState
from model.store import InstalledModel

_PASSES = ["1,1024", "8,1024", "16,1024", "1,3000", "8,3000", "16,3000", "256,700"]
_N_RUNS = 12
"""Of each pass."""
_KINDS = {
    "com.microsoft.MatMulIntegerToFloat": "integer products",
    "MatMulIntegerToFloat": "integer products",
    "QuantizeLinear": "quantizing rows",
    "Abs": "quantizing rows",
    "ReduceMax": "quantizing rows",
    "Div": "quantizing rows",
    "SimplifiedLayerNormalization": "norms and residuals",
    "SkipSimplifiedLayerNormalization": "norms and residuals",
    "QuickGelu": "gates",
    "RotaryEmbedding": "rotary embedding, splits",
    "Split": "rotary embedding, splits",
    "Attention": "attention",
    "FusedMatMul": "attention",
    "Add": "attention",
    "Softmax": "attention",
    "Transpose": "attention",
    "Reshape": "attention",
}
_OUTPUT_PROJECTION = "logits/"


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folders = Folders.of_user()
    parser.add_argument("--pass", dest="passes", action="append", metavar="TOKENS,PAST")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    parser.add_argument("--threads", type=int, help="by default as many as there are physical cores")
    options = parser.parse_args()
    settings = Settings()
    installed = assemble.open_store(replace(folders, models=options.models)).find(settings.model.name)
    report = {}
    for text in options.passes or _PASSES:
        n_tokens, n_past = (int(number) for number in text.split(","))
        report[text] = measure(installed, n_tokens, n_past, options.threads)
        print(text, json.dumps(report[text]), file=sys.stderr)
    print(json.dumps(report))


def measure(installed: InstalledModel, n_tokens: int, n_past: int, n_threads: int | None) -> dict[str, Any]:
    """Return the figures of one pass."""
    with tempfile.TemporaryDirectory() as folder:
        timed, _ = runs(installed, n_tokens, n_past, n_threads, None)
        profiled, events = runs(installed, n_tokens, n_past, n_threads, Path(folder) / "profile")
    ended = [event for event in events if event.get("name") == "model_run"][-_N_RUNS:]
    run_us = sum(event["dur"] for event in ended) / _N_RUNS
    nodes = [event for event in events if _is_node(event) and event["ts"] >= ended[0]["ts"]]
    shares: Counter[str] = Counter()
    for event in nodes:
        shares[_kind(event)] += event["dur"] / _N_RUNS / run_us
    shares["between nodes"] = 1 - sum(shares.values())
    return {
        "ms": round(timed, 2),
        "python_ms": round(profiled - float(np.median([event["dur"] for event in ended])) / 1e3, 2),
        "profiled_run_ms": round(run_us / 1e3, 2),
        "n_nodes": round(len(nodes) / _N_RUNS),
        "shares": {kind: round(share, 3) for kind, share in shares.most_common()},
    }


def runs(
    installed: InstalledModel, n_tokens: int, n_past: int, n_threads: int | None, profile: Path | None
) -> tuple[float, list[dict[str, Any]]]:
    """Return the median ms of a pass, and what the profiler wrote if it was to."""
    manifest = installed.manifest
    options = session_options(n_threads)
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    opened = onnxruntime.InferenceSession(
        installed.folder / "decoder.onnx", options, providers=["CPUExecutionProvider"]
    )
    session = DecoderSession(opened, manifest.config, "cpu", folder=installed.folder)
    state = DecodeState(session, n_past + n_tokens)
    token_ids = np.random.default_rng(0).integers(0, 30_000, n_past + n_tokens).tolist()
    state.extend(token_ids[:n_past], logits="none")
    times = []
    for _ in range(_N_RUNS + 2):
        started = time.perf_counter()
        state.extend(token_ids[n_past:], logits="last")
        times.append(time.perf_counter() - started)
        state.rewind(n_past)
    written = json.loads(Path(opened.end_profiling()).read_text()) if profile is not None else []
    return float(np.median(times[2:])) * 1e3, written


def _is_node(event: dict[str, Any]) -> bool:
    """Whether a node ran; an If holds others, which are told by themselves."""
    ended = event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    return ended and event["args"]["op_name"] != "If"


def _kind(event: dict[str, Any]) -> str:
    if event["name"].startswith(_OUTPUT_PROJECTION):
        return "output projection"
    operator = event["args"]["op_name"]
    if operator == "Mul":
        return "gates" if ".gated/" in event["name"] else "quantizing rows"
    return _KINDS.get(operator, "other")


if __name__ == "__main__":
    main()
