"""What each kind of edit computes anew, in tokens: the counts are the same on any machine.

    python bench/edits.py

Places in files of the standard library are edited, each edit from a completer that knows nothing but the
place it begins at. The prompts are the installed model's; the model itself is not run, as no count depends
on what it writes. The same twelve definitions are handed out at each place, as memories that are kept.

Prints one JSON object: for each kind, the medians of the prompt's tokens that were `prefilled` (computed),
`copied` from memories, `recovered` (copied back after they had left the buffer) and `reused` (still in the
buffer), and the largest number that was prefilled.
"""

from __future__ import annotations

import json
import statistics
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from indexer.types import Definition, Reason, RetrievalResult, Retrieved, Span
from lsp_server.assemble import KEPT_PLACES_BYTES, open_store
from lsp_server.completer import Completer, CompletionRequest, RunningModel
from lsp_server.config import Settings
from lsp_server.feeding import prompt_budget
from lsp_server.paths import Folders
from model.cache import HostRoom, KeyValueCache
from model.cache_binding import Binding
from model.memory import MemoryEncoder
from model.memory_bank import MemoryBank
from model.session import DecoderSession
from model.state import DecodeState
from model.tokenizer import Tokenizer
from model.types import BufferPart, DecoderConfig, Memory, TokenCodec

__all__ = ["KINDS", "Buffer", "Place", "count", "places"]

FILES = ("argparse.py", "configparser.py", "tarfile.py", "typing.py")
N_PLACES = 5
"""Of each file."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor in the middle of a line that is being written."""

    path: str
    before: str
    """Up to the cursor."""
    rest: str
    """Of the line, as its author went on; the file goes without it."""
    after: str
    """From the line's end on."""

    def line(self, number: int) -> Place:
        """Return the end of another line, counted from the cursor's."""
        lines = (self.before + self.after).split("\n")
        index = self.before.count("\n") + number
        above = "\n".join(lines[: index + 1])
        return Place(self.path, above, "", "".join("\n" + line for line in lines[index + 1 :]))

    def typed(self, text: str, closers: str = "") -> Place:
        """Return the place after something was typed, and closed by the editor."""
        return replace(self, before=self.before + text, after=closers + self.after)


@dataclass(frozen=True, slots=True)
class Rest:
    """A pause in which the completer may read ahead."""

    place: Place


def _word(place: Place) -> str:
    return place.rest[: len(place.rest) - len(place.rest.lstrip()) + 4]


def _back(place: Place, elsewhere: Place) -> list[Place | Rest]:
    return [place, elsewhere, place]


KINDS: dict[str, Callable[[Place, Place], list[Place | Rest]]] = {
    "the same again": lambda at, _: [at, at],
    "a keystroke": lambda at, _: [at, at.typed(at.rest[:1])],
    "a deletion": lambda at, _: [at, replace(at, before=at.before[:-1])],
    "a word accepted": lambda at, _: [at, at.typed(_word(at))],
    "a line accepted": lambda at, _: [at, at.typed(at.rest)],
    "a new line": lambda at, _: [at, at.typed(at.rest + "\n        ")],
    "a bracket, closed by the editor": lambda at, _: [at, at.typed("f(", ")")],
    "Enter between brackets": lambda at, _: [
        at.typed("f(", ")"),
        at.typed("f(\n            ", "\n        )"),
    ],
    "ten lines written, one by one": lambda at, _: [at.typed("\n        x = 1" * n) for n in range(11)],
    "the 25th line, when the frame is cut": lambda at, _: [
        at.typed("\n        x = 1" * n) for n in range(26)
    ],
    "the 25th line, after a pause": lambda at, _: [
        *(at.typed("\n        x = 1" * n) for n in range(25)),
        Rest(at.typed("\n        x = 1" * 24)),
        at.typed("\n        x = 1" * 25),
    ],
    "ten lines further up": lambda at, _: [at, at.line(-10)],
    "ten lines further down": lambda at, _: [at, at.line(10)],
    "back from there": lambda at, _: _back(at, at.line(10)),
    "ten lines up, a keystroke there": lambda at, _: [at, at.line(-10), at.line(-10).typed("x")],
    "back down after that edit": lambda at, _: [at, at.line(-10), at.line(-10).typed("x").line(10)],
    "three lines below edited, and back": lambda at, _: [at, at.line(3), at.line(3).typed("x").line(-3)],
    "an import added at the top, and back": lambda at, _: [
        at,
        at.line(-at.before.count("\n")),
        replace(at, before="import more\n" + at.before),
    ],
    "another function": lambda at, _: [at, at.line(120)],
    "back from another function": lambda at, _: _back(at, at.line(120)),
    "another function, after a pause": lambda at, _: [at, Rest(at.line(120)), at.line(120).typed("x")],
    "another document": lambda at, other: [at, other],
    "back from another document": _back,
}
"""From a place and one in another document, the places of the completions; the last one is counted."""


class IdleSession:
    """A decoder's session that computes nothing, and ends every text at once."""

    projection = None
    query_layers = ()

    def __init__(self, config: DecoderConfig, end_of_text: int) -> None:
        self.config = config
        self.n_positions = config.max_positions
        self._end_of_text = end_of_text

    def new_cache(self, capacity_tokens: int) -> KeyValueCache:
        """Allocate a cache of one number an entry."""
        shape = (1, 1, capacity_tokens, 1)
        room = HostRoom(shape, np.float32)
        return KeyValueCache(room, shape, capacity_tokens, lambda _: cast("Binding", None))

    def run(
        self, _: KeyValueCache, token_ids: Sequence[int], *, rows: Sequence[int], **__: object
    ) -> npt.NDArray[np.float32]:
        """Return rows in which the text ends."""
        assert token_ids
        logits = np.zeros((len(rows), self.config.vocab_size), np.float32)
        logits[:, self._end_of_text] = 1.0
        return logits


class Buffer(DecodeState):
    """A decoder that computes nothing; the tokens are counted that are copied back into its buffer."""

    def __init__(self, session: IdleSession, capacity_tokens: int) -> None:
        """Keep as many tokens of places that were left as users do."""
        config = session.config
        token_bytes = 8 * config.n_layers * config.n_kv_heads * config.head_dim
        kept_bytes = 8 * KEPT_PLACES_BYTES // token_bytes
        super().__init__(cast("DecoderSession", session), capacity_tokens, kept_bytes=kept_bytes)
        self.n_recovered = 0

    def reuse(self, parts: Sequence[BufferPart]) -> int:
        """See `DecodeState`."""
        held = list(zip(self.token_ids, self.positions, strict=True))
        wanted = [
            (token, part.first_position + index)
            for part in parts
            for index, token in enumerate(part.token_ids)
        ]
        pairs = enumerate(zip(held, wanted, strict=False))
        n_held = next((index for index, (one, other) in pairs if one != other), min(len(held), len(wanted)))
        n_reused = super().reuse(parts)
        self.n_recovered += max(0, n_reused - n_held)
        return n_reused


class KeptInRam:
    """A store that keeps all memories."""

    def __init__(self) -> None:
        self._memories: dict[str, Memory] = {}

    def get(self, key: str) -> Memory | None:
        """See `memory_bank.Store`."""
        return self._memories.get(key)

    def locate(self, key: str) -> Literal["ram"] | None:
        """See `memory_bank.Store`."""
        return "ram" if key in self._memories else None

    def put(self, memory: Memory) -> None:
        """See `memory_bank.Store`."""
        self._memories[memory.key] = memory

    def close(self) -> None:
        """See `memory_bank.Store`."""


def count(
    completer: Completer, buffer: Buffer, places: Sequence[Place | Rest], request: CompletionRequest
) -> dict[str, int]:
    """Return the tokens of the last of some completions, by what became of them."""
    completer.forget()
    for moment in places:
        place = moment.place if isinstance(moment, Rest) else moment
        here = replace(request, path=place.path, prefix=place.before, suffix=place.after)
        if isinstance(moment, Rest):
            assert completer.prepare(here)
        else:
            buffer.n_recovered = 0
            trace = completer.complete(here)
    tokens = trace.tokens.values()
    return {
        "prefilled": sum(one.computed for one in tokens),
        "copied": sum(one.copied for one in tokens),
        "recovered": buffer.n_recovered,
        "reused": sum(one.reused for one in tokens) - buffer.n_recovered,
    }


def places(path: str, text: str, n: int) -> Iterator[Place]:
    """Yield places in the middle of long lines, evenly spread over a text."""
    lines = text.splitlines(keepends=True)
    for number in range(n):
        at = (2 * number + 1) * len(lines) // (2 * n)
        index = next(i for i in range(at, len(lines)) if len(lines[i].strip()) > 20 and ";" not in lines[i])
        line = lines[index].rstrip("\n")
        column = (len(line) - len(line.lstrip()) + len(line)) // 2
        after = "\n" + "".join(lines[index + 1 :])
        yield Place(path, "".join(lines[:index]) + line[:column], line[column:], after)


def _definitions(text: str) -> tuple[Retrieved, ...]:
    """Twelve pieces of a file, as if they had been retrieved."""
    pieces = [piece for piece in text.split("\ndef ")[1:] if len(piece) > 200][:12]
    return tuple(
        Retrieved(
            _definition(f"piece{number}", f"def {piece[:400]}\n"), 1.0, (Reason("symbol", number + 1, ""),)
        )
        for number, piece in enumerate(pieces)
    )


def _definition(name: str, text: str) -> Definition:
    return Definition(
        id=name,
        path="pieces.py",
        language="python",
        kind="function",
        role="source",
        name=name,
        qualified_name=name,
        signature=text.partition("\n")[0],
        docstring="",
        span=Span(0, len(text), 0, 1),
        text=text,
        content_hash=name,
    )


def idle_model(codec: TokenCodec, config: DecoderConfig, settings: Settings) -> tuple[RunningModel, Buffer]:
    """Return a model that computes nothing, and its buffer."""
    session = IdleSession(config, codec.control.end_of_text)
    buffer = Buffer(session, prompt_budget(settings).total_tokens + settings.completion.max_block_tokens)
    encoder = MemoryEncoder(cast("DecoderSession", session), "00" * 32, max_tokens=2048)
    return RunningModel("idle", "cpu", codec, buffer, MemoryBank(encoder, KeptInRam())), buffer


def main() -> None:
    """Count, and print."""
    folders, settings = Folders.of_user(), Settings()
    installed = open_store(folders).find(settings.model.name)
    codec = Tokenizer.from_file(installed.folder / "tokenizer.json", installed.manifest.control)
    model, buffer = idle_model(codec, installed.manifest.config, settings)
    completer = Completer(model, settings)
    library = Path(sysconfig.get_path("stdlib"))
    rows = _definitions((library / "inspect.py").read_text("utf-8"))
    request = CompletionRequest(
        "library", "", "python", "", "", False, lambda _: RetrievalResult(rows, (), {}, {})
    )
    at = [place for file in FILES for place in places(file, (library / file).read_text("utf-8"), N_PLACES)]
    counted: dict[str, list[dict[str, int]]] = {kind: [] for kind in KINDS}
    for index, place in enumerate(at):
        other = at[(index + N_PLACES) % len(at)]
        for kind, visit in KINDS.items():
            counted[kind].append(count(completer, buffer, visit(place, other), request))
    model.close()
    table = {
        kind: {name: round(statistics.median(row[name] for row in rows)) for name in rows[0]}
        | {"most prefilled": max(row["prefilled"] for row in rows)}
        for kind, rows in counted.items()
    }
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
