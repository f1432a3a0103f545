"""Who attends to what: ways of feeding definitions, by how likely they make what the author wrote.

    python bench/quality/variants.py                        48 cross-file cases, all variants
    python bench/quality/variants.py --n 348 --variant "memories 6" --variant "memories 12"

Each variant scores the same cases with the same retrieved definitions, without completing them: a pass over
what differs from the variant before. The last line of output is one JSON object with the mean nats a byte of
each variant and its difference to `off` and to `concatenated`, each with its 95 % interval by bootstrap over
cases; the table goes to standard error. Scores are kept in the user's cache as they are made, by the code
that made them, so a run can be ended and goes on where it stood.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cases import development_set
from run import Indexes

from indexer.open_index import EmbedderSource
from indexer.types import RetrievalQuery
from lsp_server import assemble
from lsp_server.config import Settings
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.fingerprint import code_hash
from lsp_server.evaluation.likelihood import target_likelihood
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.feeding import prompt_budget
from lsp_server.paths import Folders
from model.memory import MemoryEncoder
from model.prompt import Prompt, PromptDefinition, PromptRequest, build_prompt
from model.state import DecodeState
from model.tokenizer import Tokenizer
from model.types import BufferPart, Memory

_MOST_DEFINITIONS = 48
_MOST_TOKENS = 12_000
_MEMORIES_HELD = 1_500


@dataclass(frozen=True, slots=True)
class Variant:
    """A way of feeding definitions."""

    n: int = 6
    """The best so many."""
    n_pasted: int = 0
    """Of them stand in the prompt instead, before the file."""
    live_lines: int = 0
    """Whole lines before the cursor's that are in the live segment and not in the frame."""
    seen_by_frame: bool = False
    shuffled: bool = False
    key_scale: float = 1.0
    """Of the memories' keys: the inverse of the temperature in APE (arXiv 2502.05431)."""
    with_sink: bool = True
    """Whether memories were encoded behind the repository's sink."""
    tokens: int = 192
    """Of a definition at most, and of the positions that are kept for memories."""
    with_gap: bool = True
    """Whether positions are kept for memories where there are none."""


VARIANTS = {
    "off": Variant(n=0),
    "off, no positions kept": Variant(n=0, with_gap=False),
    "concatenated": Variant(n_pasted=6),
    "memories 3": Variant(n=3),
    "memories 6": Variant(),
    "memories 12": Variant(n=12),
    "memories 24": Variant(n=24),
    "memories 48": Variant(n=48),
    "12 of 96 tokens": Variant(n=12, tokens=96),
    "12 of 128 tokens": Variant(n=12, tokens=128),
    "12 of 320 tokens": Variant(n=12, tokens=320),
    "random order": Variant(shuffled=True),
    "keys x 1.1": Variant(key_scale=1.1),
    "keys x 0.9": Variant(key_scale=0.9),
    "without sink": Variant(with_sink=False),
    "seen by the frame": Variant(seen_by_frame=True),
    "live lines 2, off": Variant(n=0, live_lines=2),
    "live lines 2": Variant(live_lines=2),
    "live lines 5, off": Variant(n=0, live_lines=5),
    "live lines 5": Variant(live_lines=5),
    "live lines 10, off": Variant(n=0, live_lines=10),
    "live lines 10": Variant(live_lines=10),
    "best pasted, 6": Variant(n_pasted=1),
    "best pasted, 24": Variant(n=24, n_pasted=1),
}


class Scorer:
    """Scores cases under variants, with one model."""

    def __init__(self, folders: Folders, settings: Settings) -> None:
        installed = assemble.open_store(folders).find(settings.model.name)
        session = assemble.load_session(installed, settings)
        self.model_hash = installed.manifest.model_hash
        self._codec = Tokenizer.from_file(installed.folder / "tokenizer.json", installed.manifest.control)
        self._state = DecodeState(session, _MOST_TOKENS)
        self._encoder = MemoryEncoder(session, self.model_hash, max_tokens=512)
        self._memories: dict[str, Memory] = {}
        self._budget = replace(
            prompt_budget(settings), definitions_tokens=_MOST_TOKENS, total_tokens=_MOST_TOKENS
        )

    def nats_and_bytes(
        self, case: Case, definitions: Sequence[PromptDefinition], variant: Variant
    ) -> tuple[float, int]:
        """Return what the target costs under a variant, and its length."""
        end = case.prefix.rfind("\n") + 1
        for _ in range(variant.live_lines):
            end = case.prefix.rfind("\n", 0, max(0, end - 1)) + 1
        request = PromptRequest(
            case.repo.name,
            case.path,
            case.prefix,
            case.suffix,
            definitions[: variant.n],
            n_frame_characters=end,
        )
        budget = replace(self._budget, definition_tokens=variant.tokens)
        prompt = build_prompt(self._codec, request, budget)
        parts = self._parts(prompt, variant, case)
        likelihood = target_likelihood(self._state, self._codec, prompt, parts, case.target)
        return likelihood.nats, likelihood.n_bytes

    def _parts(self, prompt: Prompt, variant: Variant, case: Case) -> tuple[BufferPart, ...]:
        pasted = prompt.definitions[: variant.n_pasted][::-1]  # the best one nearest to the file
        if variant.n_pasted >= variant.n > 0:
            return replace(prompt, definitions=pasted).concatenated()
        memories = [self._memory(prompt, ids, variant) for ids in prompt.definitions[variant.n_pasted :]]
        if variant.shuffled:
            random.Random(case.id).shuffle(memories)
        prompt = replace(prompt, frame=(*sum(pasted, ()), *prompt.frame))
        parts = prompt.with_memories(memories, variant.tokens if variant.with_gap else 0)
        if variant.seen_by_frame:
            sink, frame, *rest, live = parts
            return (sink, *rest, frame, live)
        return parts

    def _memory(self, prompt: Prompt, ids: tuple[int, ...], variant: Variant) -> Memory:
        sink = prompt.sink if variant.with_sink else ()
        key = self._encoder.key(sink, ids)
        if key not in self._memories:
            self._memories[key] = self._encoder.encode(sink, ids)
            if len(self._memories) > _MEMORIES_HELD:
                del self._memories[next(iter(self._memories))]
        memory = self._memories[key]
        if variant.key_scale == 1:
            return memory
        keys = memory.keys_lhtd * np.float32(variant.key_scale)
        return replace(memory, key=f"{key} x {variant.key_scale}", keys_lhtd=keys)


def main() -> None:
    """Score what was asked for, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folders = Folders.of_user()
    parser.add_argument("--n", type=int, default=48, help="cases, drawn at random")
    parser.add_argument("--kind", default="cross-file")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="all if left out")
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    options = parser.parse_args()
    os.nice(10)
    names = list(dict.fromkeys(["off", "concatenated", *(options.variant or VARIANTS)]))
    cases = [case for case in development_set(options.cache, frozen=False) if case.kind == options.kind]
    cases = sorted(cases, key=lambda case: case.id)[: options.n]  # by hash: at random, and the same for all
    settings = Settings()
    scorer = Scorer(folders, settings)
    made_by = f"{scorer.model_hash[:12]} {code_hash()}"
    file = options.cache / "variant-scores.jsonl"
    scores = _kept(file, made_by)
    with ExitStack() as stack:
        embedders = EmbedderSource(lambda: assemble.make_embedder(folders, settings))
        indexes = Indexes(options.cache / "quality-indexes", embedders)
        stack.callback(indexes.close)
        for number, case in enumerate(sorted(cases, key=lambda case: str(case.repo)), 1):
            missing = [name for name in names if case.id not in scores[name]]
            definitions = _retrieve(indexes, case) if missing else []
            for name in missing:
                nats, n_bytes = scorer.nats_and_bytes(case, definitions, VARIANTS[name])
                scores[name][case.id] = (nats, n_bytes)
                row = {"by": made_by, "variant": name, "case": case.id, "nats": nats, "bytes": n_bytes}
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(row) + "\n")
            if missing:
                print(f"{number} of {len(cases)}", end="\r", file=sys.stderr, flush=True)
    report(names, [case.id for case in cases], scores)


def _retrieve(indexes: Indexes, case: Case) -> list[PromptDefinition]:
    retrieve = without_own_target(case, indexes.retrieve_for(case))
    query = RetrievalQuery(case.path, case.prefix, case.suffix, _MOST_DEFINITIONS, 60_000)
    found = retrieve(query).retrieved
    return [PromptDefinition(row.definition.path, row.definition.text) for row in found]


def _kept(file: Path, made_by: str) -> dict[str, dict[str, tuple[float, int]]]:
    scores: dict[str, dict[str, tuple[float, int]]] = defaultdict(dict)
    for line in file.read_text("utf-8").splitlines() if file.exists() else []:
        row = json.loads(line)
        if row["by"] == made_by:
            scores[row["variant"]][row["case"]] = (row["nats"], row["bytes"])
    return scores


def report(names: Sequence[str], ids: Sequence[str], scores: dict[str, dict[str, tuple[float, int]]]) -> None:
    """Print nats a byte over all cases, and differences case by case."""
    of = {name: np.array([scores[name][id_] for id_ in ids]) for name in names}
    n_bytes = of["off"][:, 1]
    drawn = np.random.default_rng(0).integers(0, len(ids), (4_000, len(ids)))

    def mean(nats: npt.NDArray[np.float64]) -> dict[str, float]:
        resampled = nats[drawn].sum(axis=1) / n_bytes[drawn].sum(axis=1)
        low, high = np.quantile(resampled, (0.025, 0.975))
        return {"mean": float(nats.sum() / n_bytes.sum()), "low": float(low), "high": float(high)}

    table = {}
    for name in names:
        nats = of[name][:, 0]
        against_off, against_pasted = nats - of["off"][:, 0], nats - of["concatenated"][:, 0]
        gain = of["concatenated"][:, 0].sum() - of["off"][:, 0].sum()
        table[name] = {
            "what": asdict(VARIANTS[name]),
            "nats_per_byte": mean(nats),
            "to_off": mean(against_off),
            "to_concatenated": mean(against_pasted),
            "share_of_gain": float(against_off.sum() / gain) if gain else None,
        }
        figures = "  ".join(
            f"{row['mean']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
            for row in (mean(nats), mean(against_off), mean(against_pasted))
        )
        print(f"{name:24} {figures}", file=sys.stderr)
    print(json.dumps({"n": len(ids), "variants": table}))


if __name__ == "__main__":
    main()
