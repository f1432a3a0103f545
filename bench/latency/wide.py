"""What is measured with more room for definitions than users' settings have, and with the bare engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from latency import engines
from latency.changes import (
    Change,
    DefinitionSet,
    ask_for_changes,
    ask_of_cold_memories,
    n_keystrokes,
)
from latency.contenders import Contender, OpenedFile, Request
from latency.ours import CoolableStore, OursConcatenated, OursWithMemories
from latency.peers import LlamaCpp, PeerEngine
from latency.report import CHANGE_SIZE, Engines
from latency.workspace import definition_sets
from peer.llama import LlamaPeer

from indexer.types import Definition
from lsp_server import assemble
from lsp_server.completer import RunningModel
from lsp_server.config import CompletionSettings, RetrievalSettings, Settings
from lsp_server.feeding import prompt_budget
from lsp_server.paths import Folders
from model.memory import MemoryEncoder
from model.memory_bank import MemoryBank
from model.memory_store import MemoryStore
from model.prompt import MOST_SINK_TOKENS
from model.state import DecodeState
from model.tokenizer import Tokenizer

__all__ = ["Wide"]

_SETTINGS = Settings(
    completion=CompletionSettings(deadline_ms=600_000), retrieval=RetrievalSettings(definitions=150)
)
"""Room for 8,000 tokens of definitions and more, however short each of them is, and the time to read them."""
_STEP_PAST_TOKENS = 1024
_STEP_WIDTHS = (1, 4, 8, 16)


class Wide:
    """One decoder, loaded once, with a wide buffer for each way to feed definitions."""

    def __init__(
        self, folders: Folders, scratch: Path, peer: LlamaPeer | None, *, say: Callable[[str], None]
    ) -> None:
        """Load the model.

        Args:
            folders: Where it is installed.
            scratch: Memories are written here.
            peer: None where there is none.
            say: Told how far things are.
        """
        self._installed = assemble.open_store(folders).find(_SETTINGS.model.name)
        self._session = assemble.load_session(self._installed, _SETTINGS)
        folder = self._installed.folder
        self._codec = Tokenizer.from_file(folder / "tokenizer.json", self._installed.manifest.control)
        self._memories = scratch / "wide-memories"
        self._peer = peer
        self._say = say

    def measure_changes(
        self,
        file: OpenedFile,
        line: Sequence[Request],
        definitions: Sequence[Definition],
        sizes: Sequence[int],
        seed: int,
    ) -> list[Change]:
        """Return what changes of the definitions cost each contender.

        Args:
            file: The edited one.
            line: A request at each keystroke of a line.
            definitions: Of the package, to draw sets from.
            sizes: Tokens of each set, in the order in which they are changed to.
            seed: Draws.
        """
        sets = list(zip(sizes, definition_sets(definitions, sizes, self._codec, seed), strict=True))
        store = CoolableStore(self._new_store, self._memories)
        encoder_tokens = MOST_SINK_TOKENS + _SETTINGS.retrieval.definition_tokens
        encoder = MemoryEncoder(self._session, self._installed.manifest.model_hash, max_tokens=encoder_tokens)
        bank = MemoryBank(encoder, store)
        with closing(bank), closing(OursWithMemories(self._model(), bank, _SETTINGS)) as ours:
            contenders: list[Contender] = [ours, OursConcatenated(self._model(), _SETTINGS)]
            if self._peer is not None:
                contenders.append(LlamaCpp(self._peer, self._codec, prompt_budget(_SETTINGS)))
            for contender in contenders:
                contender.open(file)
            changes = []
            for change in ask_for_changes(contenders, line[: n_keystrokes(len(sets))], sets):
                if change.state != "kept":
                    self._say(
                        f"{change.timing.definition_tokens} tokens of other definitions: {change.contender}"
                    )
                changes.append(change)
            cold: list[DefinitionSet] = [one for one in sets if one[0] == CHANGE_SIZE]
            self._say("memories that are not at hand")
            return [*changes, *ask_of_cold_memories(ours, store, line, cold)]

    def measure_engines(self, text: str, prefill_tokens: int, decode_tokens: int, n_tries: int) -> Engines:
        """Return the bare speed of both engines.

        Args:
            text: Some code, repeated as often as needed.
            prefill_tokens: In one prompt, which decoding goes on from, too.
            decode_tokens: One by one.
            n_tries: Of each, in turns.
        """
        state = DecodeState(self._session, 2 * _STEP_PAST_TOKENS)
        token_ids = self._codec.encode(text)
        n_wanted = max(prefill_tokens, _STEP_PAST_TOKENS + max(_STEP_WIDTHS))
        token_ids = (token_ids * (n_wanted // len(token_ids) + 1))[:n_wanted]
        both: list[engines.Engine] = [engines.OurEngine(state)]
        both += [PeerEngine(self._peer)] if self._peer else []
        prefill_ms = {engine.name: list[float]() for engine in both}
        decode_ms = {engine.name: list[float]() for engine in both}
        for _ in range(n_tries):
            for engine in both:
                prefill_ms[engine.name].append(engine.prefill_ms(token_ids[:prefill_tokens]))
                decode_ms[engine.name].append(engine.decode_ms(token_ids[:prefill_tokens], decode_tokens))
        past = token_ids[: _STEP_PAST_TOKENS + max(_STEP_WIDTHS)]
        folder = self._installed.folder
        return Engines(
            prefill_tokens=prefill_tokens,
            prefill_ms=prefill_ms,
            decode_past_tokens=prefill_tokens,
            decode_ms=decode_ms,
            steps=engines.step_times(state, past, _STEP_WIDTHS, n_tries * 10),
            step_weight_bytes=engines.step_weight_bytes(folder),
            operations_per_token=engines.prefill_operations_per_token(folder),
        )

    def _model(self) -> RunningModel:
        n_tokens = prompt_budget(_SETTINGS).total_tokens + _SETTINGS.completion.max_line_tokens
        state = DecodeState(self._session, n_tokens)
        return RunningModel(self._installed.name, self._session.provider, self._codec, state)

    def _new_store(self, folder: Path) -> MemoryStore:
        return MemoryStore(
            folder=folder,
            model_hash=self._installed.manifest.model_hash,
            max_ram_bytes=_SETTINGS.memory.ram_mb << 20,
            max_disk_bytes=_SETTINGS.memory.disk_mb << 20,
            on_problem=self._say,
        )
