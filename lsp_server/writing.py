"""Has the model write: gives it definitions, decodes with drafts, and tells what that took.

Knows neither where definitions come from nor what becomes of the text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from indexer.at_cursor import AtCursor
from indexer.scope import ScopeStop
from indexer.types import Retrieved
from lsp_server.config import Settings
from lsp_server.feeding import Fed, Feeding
from lsp_server.phases import PhaseClock
from lsp_server.running_model import RunningModel
from model.decode import DecodeOptions, Generation, generate
from model.draft import Drafts
from model.prefill import prefill, read_ahead
from model.prompt import Prompt, PromptDefinition, add_definitions
from model.types import Decoder, TokenCodec

__all__ = ["Trial", "Window", "Writer", "Written"]


@dataclass(frozen=True, slots=True)
class Window:
    """What a completion sees of its file."""

    cursor: AtCursor
    multi_line: bool
    prompt: Prompt
    """Without definitions."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the model was given, and what it wrote."""

    prompt: Prompt
    fed: Fed
    generation: Generation
    n_reused: int
    """Of the prompt's tokens, those that the buffer held before the completion began."""
    elapsed_ms: Mapping[str, float]


class Trial:
    """A completion with the definitions that its line had before, begun while the index is asked."""

    def __init__(self, decoder: Decoder) -> None:
        """Let it go on, until somebody knows better."""
        self._decoder = decoder
        self._lock = threading.Lock()
        self._is_over = self._is_closed = False

    def end(self) -> None:
        """End it, in the middle of a pass: there is something better to attend to. From any thread."""
        with self._lock:
            if not self._is_closed:
                self._is_over = True
                self._decoder.cancel()

    def close(self) -> None:
        """Have `end` do nothing from now on: who calls it late must not end another completion."""
        with self._lock:
            self._is_closed = True

    def is_over(self) -> bool:
        """Return whether it was ended."""
        return self._is_over


class Writer:
    """One model that writes, and what its drafts are made from."""

    def __init__(self, model: RunningModel, codec: TokenCodec, settings: Settings, feeding: Feeding) -> None:
        """Make a writer.

        Args:
            model: Whoever calls has it in turn.
            codec: The model's; best one that keeps what it encoded.
            settings: How much is read and written, and for how long.
            feeding: How definitions reach the model.
        """
        self._model = model
        self._codec = codec
        self._settings = settings
        self._feeding = feeding
        self.forget()

    def forget(self) -> None:
        """Forget what drafts are made from."""
        self._drafts = Drafts(self._codec)
        self._examples: tuple[str, ...] = ()

    def trial(self) -> Trial:
        """Return what ends a completion that is about to be begun on trial."""
        return Trial(self._model.decoder)

    def note_examples(self, examples: tuple[str, ...]) -> None:
        """Have later drafts made from texts that may be alike: other uses of names, recent edits."""
        self._examples = examples

    def with_definitions(self, prompt: Prompt, rows: Sequence[Retrieved]) -> Prompt:
        """Return a prompt that has none yet with definitions, best first."""
        definitions = [PromptDefinition(row.definition.path, row.definition.text) for row in rows]
        return add_definitions(self._codec, prompt, definitions, self._feeding.budget(self._settings))

    def read_ahead(self, window: Window, while_: Callable[[], bool]) -> int:
        """Read what has to be read whatever is retrieved; return how many tokens were there already.

        Args:
            window: What is seen of the file.
            while_: Asked before each pass; False ends the reading.
        """
        first = self._feeding.before_definitions(window.prompt)
        return read_ahead(self._model.decoder, first, while_=while_)

    def read(self, window: Window, rows: Sequence[Retrieved]) -> tuple[Prompt, Fed]:
        """Give the model definitions, however long it takes, and read all that is read before it writes.

        Raises:
            Cancelled: The turn was.
        """
        prompt = self.with_definitions(window.prompt, rows)
        fed = self._feeding.feed(prompt, encode_ms=None)
        prefill(self._model.decoder, fed.parts, prompt.draft)
        return prompt, fed

    def write(
        self,
        window: Window,
        rows: Sequence[Retrieved],
        *,
        encode_ms: float | None,
        enough_ms: int | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Written:
        """Give the model definitions, and have it write.

        Args:
            window: What is seen of the file.
            rows: The definitions, best first.
            encode_ms: How long those that are not at hand may take; None: as long as they take.
            enough_ms: See `CompletionRequest`.
            cancelled: See `generate`.

        Raises:
            Cancelled: The turn was cancelled before the model began to write.
        """
        clock = PhaseClock()
        with clock.phase("definitions"):
            prompt = self.with_definitions(window.prompt, rows)
            fed = self._feeding.feed(prompt, encode_ms=encode_ms)
        generation = self._generate(window, prompt, fed, enough_ms, cancelled)
        elapsed_ms = {"definitions": clock.phases_ms()["definitions"], **generation.elapsed_ms}
        return Written(prompt, fed, generation, generation.n_reused_tokens, elapsed_ms)

    def _generate(
        self,
        window: Window,
        prompt: Prompt,
        fed: Fed,
        enough_ms: int | None,
        cancelled: Callable[[], bool] | None,
    ) -> Generation:
        settings, multi_line = self._settings.completion, window.multi_line
        options = DecodeOptions(
            max_tokens=settings.max_block_tokens if multi_line else settings.max_line_tokens,
            single_line=not multi_line,
            deadline_ms=settings.deadline_ms,
            enough_ms=enough_ms,
            n_log_probabilities=1,
        )
        return generate(
            self._model.decoder,
            self._model.codec,
            prompt,
            parts=fed.parts,
            options=options,
            stop_rule=ScopeStop(window.cursor) if multi_line else None,
            drafter=self._drafts.begin(prompt, self._examples),
            cancelled=cancelled,
        )
