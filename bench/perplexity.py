"""Nats per token of the quantized decoders against the fp32 one, on Python text of the standard library.

    python bench/perplexity.py model.gguf                 # fp32 and w8a8, a few minutes on 2 cores
    python bench/perplexity.py model.gguf --schemes w8a8 w7a8 w8a8-unrotated --output figures.json

Each scheme's graph is written to a temporary folder (fp32 takes 4 bytes a weight), run, and deleted. What is
measured is the loss of quantization: the model has surely seen this text, so the level says nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import sysconfig
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.adapter import with_adapter
from model.graph import build_decoder
from model.processor import detect_processor
from model.quantize import rotated
from model.session import DecoderSession, load_decoder
from model.state import DecodeState
from model.tokenizer import Tokenizer, save_tokenizer
from model.types import Quantization
from model.vocabulary import control_tokens, read_vocabulary
from model.weights import Weights, open_weights

SCHEMES = {
    "fp32": Quantization("fp32", 8, rotated=False),
    "w8a8": Quantization("w8a8", 8, rotated=True),
    "w7a8": Quantization("w8a8", 7, rotated=True),
    "w8a8-unrotated": Quantization("w8a8", 8, rotated=False),
}
LIMIT = 0.01
"""How much more than fp32 the shipped scheme may lose, as a part of fp32's nats."""

MIN_FILE_BYTES = 8_000
PASS_TOKENS = 128
"""Rows of logits at a time: 78 MB at a vocabulary of 152,000."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One scheme's result."""

    scheme: str
    nats_per_token: float
    above_fp32: float | None
    """As a part of fp32's; None if fp32 was not run."""
    n_tokens: int
    build_s: float
    load_s: float
    run_s: float
    decoder_bytes: int


def main() -> int:
    """Run the schemes and print a line each; the exit code is 1 if w8a8 loses more than `LIMIT`."""
    arguments = parse_arguments()
    weights = open_weights(arguments.weights)
    if arguments.adapter is not None:
        weights = with_adapter(weights, arguments.adapter)
    texts = sample_texts(arguments, weights)
    results: list[Figures] = []
    for scheme in arguments.schemes:
        baseline = next((result.nats_per_token for result in results if result.scheme == "fp32"), None)
        results.append(measure(scheme, weights, texts, baseline))
        print(summary(results[-1]), file=sys.stderr)
    report = {
        "weights": arguments.weights.name,
        "adapter": arguments.adapter.name if arguments.adapter else None,
        "python": platform.python_version(),
        "processor": str(detect_processor()),
        "seed": arguments.seed,
        "results": [asdict(result) for result in results],
    }
    text = json.dumps(report, indent=2)
    if arguments.output is None:
        print(text)
    else:
        arguments.output.write_text(text + "\n", "utf-8")
    lost = [result.above_fp32 for result in results if result.scheme == "w8a8" and result.above_fp32]
    return int(any(loss > LIMIT for loss in lost))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("weights", type=Path, help="a .gguf file, or a folder with a model in it")
    parser.add_argument("--adapter", type=Path, help="a low-rank adapter to merge first")
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=["fp32", "w8a8"])
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=768, help="of each file, from its start")
    parser.add_argument("--seed", type=int, default=0, help="chooses the files")
    parser.add_argument("--output", type=Path, help="a JSON file; by default standard output")
    return parser.parse_args()


def sample_texts(arguments: argparse.Namespace, weights: Weights) -> list[list[int]]:
    """Return the first tokens of seeded files of the running interpreter's standard library."""
    vocabulary = read_vocabulary(arguments.weights)
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(vocabulary, Path(folder))
        control = control_tokens(vocabulary, weights.config.vocab_size)
        tokenizer = Tokenizer.from_file(Path(folder) / "tokenizer.json", control)
    library = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in library.glob("*.py") if path.stat().st_size >= MIN_FILE_BYTES)
    chosen = random.Random(arguments.seed).sample(paths, arguments.files)
    return [tokenizer.encode(path.read_text("utf-8"))[: arguments.tokens] for path in chosen]


def measure(scheme: str, weights: Weights, texts: list[list[int]], baseline: float | None) -> Figures:
    """Build, load and run one scheme."""
    quantization = SCHEMES[scheme]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        prepared = rotated(weights) if quantization.rotated else weights
        build_decoder(prepared, quantization, folder, lambda _: None)
        built = time.perf_counter()
        session = load_decoder(folder, weights.config, quantization, provider="cpu")
        loaded = time.perf_counter()
        nats = [text_nats(session, ids) for ids in texts]
        n_tokens = sum(len(ids) - 1 for ids in texts)
        per_token = sum(nats) / n_tokens
        return Figures(
            scheme=scheme,
            nats_per_token=per_token,
            above_fp32=None if baseline is None else per_token / baseline - 1,
            n_tokens=n_tokens,
            build_s=built - started,
            load_s=loaded - built,
            run_s=time.perf_counter() - loaded,
            decoder_bytes=sum(path.stat().st_size for path in folder.iterdir()),
        )


def text_nats(session: DecoderSession, ids: list[int]) -> float:
    """Return the negative log-likelihood of all tokens but the first."""
    state = DecodeState(session, len(ids))
    total = 0.0
    for start in range(0, len(ids) - 1, PASS_TOKENS):
        targets = ids[start + 1 : start + 1 + PASS_TOKENS]
        logits = state.extend(ids[start : start + len(targets)], logits="all")
        total -= float(log_likelihoods(logits, targets).sum())
    return total


def log_likelihoods(logits: npt.NDArray[np.float32], targets: list[int]) -> npt.NDArray[np.float64]:
    """Return log p(target) of each row."""
    largest = logits.max(axis=1, keepdims=True)
    normalizer = np.log(np.exp(logits - largest).sum(axis=1, dtype=np.float64))
    chosen = np.take_along_axis(logits, np.array(targets)[:, None], axis=1)
    result: npt.NDArray[np.float64] = (chosen - largest)[:, 0] - normalizer
    return result


def summary(figures: Figures) -> str:
    """Return one line for people."""
    loss = "" if figures.above_fp32 is None else f" ({figures.above_fp32:+.2%} to fp32)"
    return (
        f"{figures.scheme}: {figures.nats_per_token:.4f} nats/token{loss}, {figures.n_tokens} tokens; "
        f"build {figures.build_s:.0f} s, load {figures.load_s:.1f} s, run {figures.run_s:.0f} s, "
        f"{figures.decoder_bytes / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())
