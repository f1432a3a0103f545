"""What eight bits cost memories at rest: nats of the author's text, milliseconds, bytes.

    python bench/quality/memory_codec.py --n 100

Cross-file cases of the development set are scored with the definitions that retrieval finds as memories: as
they were computed, rounded to fp16, by a round trip through the store's codec, and without any. Scored is
every token from some lines before the cursor to the target's end, all of which attend to the memories: more
tokens than the target's alone make the interval narrower. The quantized decoder amplifies any rounding, up to
some hundredths of a nat for a token in either direction; fp16 shows how much of a difference is that.

The last line is one JSON object: for each way, nats a token, and the difference to `exact` with its 95 %
interval by bootstrap over cases; the times are medians over memories.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cases import development_set
from run import Indexes

from indexer.open_index import EmbedderSource
from indexer.types import RetrievalQuery
from lsp_server import assemble
from lsp_server.config import Settings
from lsp_server.evaluation.arms import unhurried
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.intervals import paired_difference
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.feeding import prompt_budget
from lsp_server.paths import Folders
from model.memory import MemoryEncoder
from model.memory_codec import decode_memory, encode_memory
from model.prompt import PromptDefinition, PromptRequest, build_prompt
from model.state import DecodeState
from model.tokenizer import Tokenizer
from model.types import Memory

WAYS = ("exact", "fp16", "int8", "none")
MEMORY_TOKENS = 192
_CAPACITY_TOKENS = 4096
_N_LINES = 8
"""Scored before the cursor's."""
_MAX_SCORED_TOKENS = 256
_ROWS = 32
"""Logits held in double at a time."""


class Trial:
    """Scores cases with one model, and times the codec on the way."""

    def __init__(self, folders: Folders) -> None:
        settings = Settings()
        installed = assemble.open_store(folders).find(settings.model.name)
        session = assemble.load_session(installed, settings)
        self._budget = replace(
            prompt_budget(settings),
            definition_tokens=MEMORY_TOKENS,
            definitions_tokens=10**6,
            total_tokens=10**6,
        )
        self._hash = installed.manifest.model_hash
        self._codec = Tokenizer.from_file(installed.folder / "tokenizer.json", installed.manifest.control)
        self._encoder = MemoryEncoder(session, self._hash, max_tokens=2 * MEMORY_TOKENS)
        self._state = DecodeState(session, _CAPACITY_TOKENS)
        self.n_bytes = self.n_memory_tokens = 0
        self.times_ms: defaultdict[str, list[float]] = defaultdict(list)

    def score(self, case: Case, definitions: list[PromptDefinition]) -> tuple[dict[str, float], int] | None:
        """Return nats by way, and how many tokens were scored; None if nothing was retrieved."""
        start = _line_start(case.prefix, _N_LINES)
        request = PromptRequest(case.repo.name, case.path, case.prefix[:start], case.suffix, definitions)
        prompt = build_prompt(self._codec, request, self._budget)
        exact = [self._encoder.encode(prompt.sink, ids) for ids in prompt.definitions]
        if not exact:
            return None
        memories = {
            "exact": exact,
            "fp16": [_in_fp16(memory) for memory in exact],
            "int8": [self._round_trip(memory) for memory in exact],
            "none": [],
        }
        text = (case.prefix[start:] + case.target).replace("\r\n", "\n")
        ids = self._codec.encode(text)[-_MAX_SCORED_TOKENS:]
        nats = {}
        for way in WAYS:
            *before, live = prompt.with_memories(memories[way], MEMORY_TOKENS)
            self._state.rewind(0)
            for part in before:
                if isinstance(part, Memory):
                    self._state.attach(part)
                else:
                    positions = range(part.first_position, part.first_position + part.n_tokens)
                    self._state.extend(part.token_ids, logits="none", positions=positions)
            first_position = live.first_position
            read = [self._codec.control.fim_middle, *ids[:-1]]
            positions = range(first_position, first_position + len(read))
            with self._state.whole_vocabulary():
                nats[way] = _nats(self._state.extend(read, logits="all", positions=positions), ids)
        return nats, len(ids)

    def _round_trip(self, memory: Memory) -> Memory:
        started = time.perf_counter()
        data = encode_memory(memory, self._hash)
        encoded = time.perf_counter()
        decoded = decode_memory(data, memory.key, self._hash)
        self.times_ms["encode"].append((encoded - started) * 1e3)
        self.times_ms["decode"].append((time.perf_counter() - encoded) * 1e3)
        self.n_bytes += len(data)
        self.n_memory_tokens += memory.n_tokens
        return decoded


def main() -> None:
    """Score, and print the figures."""
    folders = Folders.of_user()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=100, help="cases, drawn at random")
    parser.add_argument("--definitions", type=int, default=6, help="attended to, at most")
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    parser.add_argument("--indexes", type=Path, help="of the packages; those of the quality bench by default")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    options = parser.parse_args()
    os.nice(10)
    cases = [case for case in development_set(options.cache, frozen=False) if case.kind == "cross-file"]
    cases = random.Random(0).sample(cases, min(options.n, len(cases)))
    cases.sort(key=lambda case: case.repo)  # one index is open at a time
    folders = replace(folders, models=options.models)
    settings = unhurried(Settings())
    trial = Trial(folders)
    rows: list[tuple[dict[str, float], int]] = []
    embedders = EmbedderSource(lambda: assemble.make_embedder(folders, settings))
    with closing(Indexes(options.indexes or options.cache / "quality-indexes", embedders)) as indexes:
        for number, case in enumerate(cases, start=1):
            retrieve = without_own_target(case, indexes.retrieve_for(case))
            query = RetrievalQuery(case.path, case.prefix, case.suffix, options.definitions, 60_000)
            found = [
                PromptDefinition(row.definition.path, row.definition.text)
                for row in retrieve(query).retrieved
            ]
            row = trial.score(case, found)
            rows += [row] if row else []
            print(f"{number} of {len(cases)}: {json.dumps(row)}", file=sys.stderr, flush=True)
    print(json.dumps(_summary(rows, trial)))


def _summary(rows: list[tuple[dict[str, float], int]], trial: Trial) -> dict[str, object]:
    n_tokens = [n for _, n in rows]
    a_token = {way: [nats[way] / n for nats, n in rows] for way in WAYS}
    ways = {}
    for way in WAYS:
        mean = sum(nats[way] for nats, _ in rows) / sum(n_tokens)
        difference = paired_difference(a_token[way], a_token["exact"], n_tokens)
        ways[way] = {"nats_a_token": round(mean, 4), "more_than_exact": difference and asdict(difference)}
    return {
        "n_cases": len(rows),
        "n_tokens": sum(n_tokens),
        "ways": ways,
        "bytes_a_token": round(trial.n_bytes / trial.n_memory_tokens),
        **{f"{name}_ms": round(statistics.median(times), 2) for name, times in trial.times_ms.items()},
    }


def _line_start(text: str, n_lines: int) -> int:
    """Return where the line starts that stands so many lines above the last one."""
    start = text.rfind("\n") + 1
    for _ in range(n_lines):
        start = text.rfind("\n", 0, max(0, start - 1)) + 1
    return start


def _in_fp16(memory: Memory) -> Memory:
    arrays = (memory.keys_lhtd, memory.values_lhtd)
    keys, values = (array.astype(np.float16).astype(array.dtype) for array in arrays)
    return replace(memory, keys_lhtd=keys, values_lhtd=values)


def _nats(logits: npt.NDArray[np.float32], ids: list[int]) -> float:
    """Return what tokens cost, given the logits before each."""
    total = 0.0
    for start in range(0, len(ids), _ROWS):
        rows = logits[start : start + _ROWS].astype(np.float64)
        rows -= rows.max(axis=1, keepdims=True)
        chosen = rows[np.arange(len(rows)), ids[start : start + _ROWS]]
        total += float((np.log(np.exp(rows).sum(axis=1)) - chosen).sum())
    return total


if __name__ == "__main__":
    main()
