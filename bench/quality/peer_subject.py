"""The peer on the cases of the quality bench: llama.cpp with the same weights, asked as llama.vim asks it.

It has the weights as published: its adapter is Crosslight's own, so the difference to ours is of the whole
program, not of the runtime. Where several lines are wanted is told to it by the case.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peer.layout import N_PREDICT, Cursor, LinePlace, lay_out, shown, stops_at_indent
from peer.llama import LlamaPeer, PeerError, start_peer

from indexer.types import RetrievalQuery
from lsp_server.config import Settings
from lsp_server.evaluation.arms import CONCATENATED_DEFINITIONS, with_definitions
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.evaluation.subject import Answer, RetrieveFor
from lsp_server.feeding import prompt_budget
from model.catalog import DEFAULT_MODEL, load_catalog
from model.errors import ModelError
from model.prompt import PromptDefinition
from model.types import TokenCodec

__all__ = ["PEER_ARMS", "PeerSubject", "peer_subjects", "target_nats"]

PEER_ARMS = ("llama.cpp", "llama.cpp + definitions")
"""From the file alone; and with the definitions that our own arms retrieve, as chunks of other files."""
_MAX_SCORED_TOKENS = 256
"""As for our own arms."""
_CODE = ("layout.py", "llama.mjs", "package.json")
"""What decides on an answer, in `bench/peer`."""


class PeerSubject:
    """llama.cpp, completing from a cold cache."""

    def __init__(  # noqa: PLR0913 - by keyword only
        self,
        *,
        peer: LlamaPeer,
        codec: TokenCodec,
        weights_sha256: str,
        settings: Settings,
        retrieve_for: RetrieveFor | None,
        line_place: LinePlace = "in_prefix",
    ) -> None:
        """Make a subject.

        Args:
            peer: Running; may be shared by subjects that take turns.
            codec: The tokenizer of its weights.
            weights_sha256: Of the file it has loaded.
            settings: For the budget of the prompt and the number of definitions, as ours.
            retrieve_for: None completes from the file alone.
            line_place: Where the prompt has the cursor's line; llama-server's own place if left out.
        """
        self.arm = PEER_ARMS[retrieve_for is not None]
        self._peer = peer
        self._codec = codec
        self._settings = settings
        self._retrieve_for = retrieve_for
        self._line_place = line_place
        self._asked: tuple[str, list[PromptDefinition]] = ("", [])
        here = Path(__file__)
        files = [here, *(here.parent.parent / "peer" / name for name in _CODE)]
        parts = [file.read_bytes() for file in files]
        parts.append(json.dumps((weights_sha256, line_place, asdict(prompt_budget(settings)))).encode())
        self._fingerprint = hashlib.sha256(b"\0".join(parts)).hexdigest()

    def key(self, case: Case) -> str:
        """Return what, besides arm and case, decides on the answer: the peer, and what it was given.

        Raises:
            IndexerError: Retrieval failed.
        """
        given = [asdict(definition) for definition in self._definitions(case)]
        return hashlib.sha256(f"{self._fingerprint} {json.dumps(given)}".encode()).hexdigest()[:24]

    def answer(self, case: Case) -> Answer:
        """Complete a case, and score its target by the prompt that the completion was made from.

        Raises:
            IndexerError: Retrieval failed.
            PeerError: The peer did.
        """
        definitions = self._definitions(case)
        cursor = Cursor.of(case.prefix, case.suffix)
        started = time.perf_counter()
        token_ids = lay_out(
            self._codec,
            cursor,
            repo_name=case.repo.name,
            path=case.path,
            definitions=definitions,
            budget=prompt_budget(self._settings),
            line_place=self._line_place,
        )
        self._peer.reset()
        stop_text = "" if case.is_block else "\n"
        completion = self._peer.complete(token_ids, n_predict=N_PREDICT, stop_text=stop_text)
        text = completion.text if case.is_block else completion.text.split("\n")[0]
        if not cursor.is_blank:
            text = stops_at_indent(text, len(cursor.line) - len(cursor.line.lstrip()))
        text = shown(text, cursor)
        elapsed_ms = (time.perf_counter() - started) * 1e3
        indentation = cursor.line if cursor.is_blank else ""
        nats, n_scored_bytes = target_nats(self._peer, self._codec, token_ids, indentation, case.target)
        return Answer(
            text=text,
            replaces=0,
            elapsed_ms=elapsed_ms,
            nats=nats,
            n_scored_bytes=n_scored_bytes,
            stop_reason=completion.stop,
            suppression_reason=None if text else "nothing_to_show",
            n_definitions=len(definitions),
        )

    def _definitions(self, case: Case) -> list[PromptDefinition]:
        """What is retrieved for a case; the last answer is kept, since key and answer both need it."""
        if self._retrieve_for is None:
            return []
        if self._asked[0] != case.id:
            retrieval = self._settings.retrieval
            query = RetrievalQuery(
                path=case.path,
                prefix=case.prefix,
                suffix=case.suffix,
                n=retrieval.definitions,
                deadline_ms=retrieval.deadline_ms,
            )
            result = without_own_target(case, self._retrieve_for(case))(query)
            found = [PromptDefinition(row.definition.path, row.definition.text) for row in result.retrieved]
            self._asked = (case.id, found)
        return self._asked[1]


def peer_subjects(
    cache: Path, *, codec: TokenCodec, settings: Settings, retrieve_for: RetrieveFor, stack: ExitStack
) -> list[PeerSubject]:
    """Return both arms, on one peer, which is fetched if need be and ends with the stack.

    Exits with one line where the peer cannot be had.
    """
    try:
        peer = stack.enter_context(start_peer(cache))
    except (PeerError, ModelError) as error:
        sys.exit(str(error))
    return [
        PeerSubject(
            peer=peer,
            codec=codec,
            weights_sha256=load_catalog()[DEFAULT_MODEL].sha256,
            settings=with_definitions(settings, CONCATENATED_DEFINITIONS),
            retrieve_for=retrieve,
        )
        for retrieve in (None, retrieve_for)
    ]


def target_nats(
    peer: LlamaPeer, codec: TokenCodec, token_ids: Sequence[int], typed: str, target: str
) -> tuple[float, int]:
    """Return what a target costs the peer in nats, and how many bytes of it were scored.

    The sum of `lsp_server.evaluation.likelihood`: over the tokenizer's own split, of the tokens that end with
    the target or past it. Nothing is healed; so what the cursor's line begins with counts as known only where
    the prompt left it out (`typed`, the indentation of a blank line).
    """
    data = (typed + target.replace("\r\n", "\n")).encode("utf-8", "replace")
    path = codec.encode(data.decode())[:_MAX_SCORED_TOKENS]
    places = list(accumulate((len(codec.token_bytes(token)) for token in path), initial=0))
    data, start = data[: places[-1]], typed.encode()
    covering = [
        [
            codec.tokens_with_prefix(text[place:]).tolist() if place < len(text) else []
            for place in places[:-1]
        ]
        for text in (start, data)
    ]
    wanted = [sorted({token, *a, *b}) for token, a, b in zip(path, *covering, strict=True)]
    rows = [
        dict(zip(ids, row, strict=True))
        for ids, row in zip(wanted, peer.score(token_ids, path, wanted), strict=True)
    ]
    steps = (row[token] for token, row in zip(path, rows, strict=True))
    before = list(accumulate(steps, initial=0.0))
    known, whole = (
        [before[i] + rows[i][token] for i in range(len(path)) for token in ids[i]] for ids in covering
    )
    log_known = float(np.logaddexp.reduce(known)) if start else 0.0
    return max(0.0, log_known - float(np.logaddexp.reduce(whole))), len(data) - len(start)
