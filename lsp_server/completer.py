"""One completion, from a cursor to a trace: retrieve, prompt, generate, fit to the file, judge.

Knows neither where settings and models come from nor how a completion is shown. Retrieval that fails
degrades to completing without, and the trace says why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

from indexer.at_cursor import AtCursor
from indexer.syntax import block_opening, parses_as_well, wants_multi_line
from indexer.types import Retrieved
from lsp_server import last
from lsp_server.config import Settings
from lsp_server.feeding import Concatenated, Fed, Feeding, Memories
from lsp_server.frames import FrameKeeper
from lsp_server.last import Last
from lsp_server.overlap import Overlap
from lsp_server.phases import PhaseClock
from lsp_server.requests import CompletionRequest, Retrieve
from lsp_server.retrieving import DefinitionSource, in_background
from lsp_server.running_model import RunningModel
from lsp_server.trace import CompletionTrace
from lsp_server.tracing import cancelled_trace, completion_trace, request_trace
from lsp_server.writing import Window, Writer
from model.errors import Cancelled
from model.kept_encodings import KeptEncodings
from model.postprocess import Finished, finish
from model.prompt import Prompt, PromptRequest, build_prompt
from model.turns import Awaiting, Turn, Urgency

__all__ = ["Completer", "CompletionRequest", "Foreseen", "Retrieve", "RunningModel", "default_feeding"]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A completion that nobody has asked for yet, and what is to be remembered once somebody does."""

    trace: CompletionTrace
    definitions: DefinitionSource
    last: Last


class Completer:
    """Completes cursors one after the other with one running model.

    Of the file that was completed last it remembers how it was cut, so that a completion further down in the
    same text finds most of it in the decoder's buffer.
    """

    def __init__(self, model: RunningModel, settings: Settings, feeding: Feeding | None = None) -> None:
        """Make a completer.

        Args:
            model: Used by nobody else meanwhile.
            settings: How much is read and written, and for how long.
            feeding: How definitions reach the model; as memories if None, if it has any.
        """
        self._model = model
        self._settings = settings
        self._feeding = feeding or default_feeding(model, settings)
        self._codec = KeptEncodings(model.codec)
        self._frames = FrameKeeper()
        self._definitions = DefinitionSource(self._codec, self._feeding, settings.retrieval)
        self._writer = Writer(model, self._codec, settings, self._feeding)
        self._last: tuple[Last, ...] = ()
        self._awaiting = Awaiting()
        self._overlap = Overlap(self._writer, self._awaiting, settings.retrieval.deadline_ms)
        self._lock = threading.Lock()
        self._in_progress: set[Turn] = set()  # guarded by the lock

    def forget(self) -> None:
        """Forget the last completions: the next one finds nothing of its prompt computed."""
        self._last = ()
        self._frames.forget()
        self._definitions.forget()
        self._writer.forget()
        self._model.decoder.forget()

    def definitions_changed(self) -> None:
        """Give nothing again to the line that was completed last that the index does not return any more."""
        self._definitions.doubt()

    def complete(self, request: CompletionRequest) -> CompletionTrace:
        """Return the completion at a cursor and all that is known of it.

        Nothing that the text or the index does raises here; what is not shown has its reason in the trace.
        One that is cancelled has the stop reason `cancelled` and no text.
        """
        clock = PhaseClock()
        try:
            with self._turn(Urgency.REQUEST) as turn:
                return self._complete(request, turn, clock)
        except Cancelled:
            return self._cancelled(request, clock)

    def foresee(self, request: CompletionRequest) -> Foreseen | None:
        """Return the completion that somebody may ask for next; None if it was cancelled.

        A completion that is asked for ends it at once, and finds everything as it was.
        """
        try:
            with self._turn(Urgency.AHEAD) as turn, self._aside() as aside:
                trace = self._complete(request, turn, PhaseClock())
                _, definitions, kept = aside()
                return Foreseen(trace, definitions, kept[-1])
        except Cancelled:
            return None

    def adopt(self, request: CompletionRequest, foreseen: Foreseen) -> CompletionTrace:
        """Return a completion that was foreseen, now that somebody asked for it: it is the last one then.

        One that is cancelled meanwhile is as in `complete`.
        """
        clock = PhaseClock()
        try:
            with self._turn(Urgency.REQUEST):
                self._definitions = foreseen.definitions
                self._last = last.keep(self._last, foreseen.last)
        except Cancelled:
            return self._cancelled(request, clock)
        return foreseen.trace

    def prepare(self, request: CompletionRequest) -> bool:
        """Read, while nobody waits, what a completion at a cursor reads before it writes.

        The frame is cut so that it is good for long, and definitions are encoded however long it takes.

        Returns:
            Whether it came to its end. A completion that is asked for ends it at once, and goes on with what
            was read.
        """
        request = replace(request, encode_ms=None)
        try:
            with self._turn(Urgency.AHEAD):
                with self._aside() as aside:
                    window = self._window(request, is_idle=True)
                    asked = in_background(partial(self._definitions.decide, request, window.prompt))
                    decided = self._awaiting.result(asked)
                    prompt, fed = self._writer.read(window, decided.choice.rows)
                    self._definitions.keep(request, decided, prompt, fed)
                    frames, definitions, _ = aside()
                self._frames, self._definitions = frames, definitions
        except Cancelled:
            return False
        return True

    def cancel(self) -> None:
        """End what is in progress, in the middle of a pass or while it waits, and nothing that begins later.

        For any thread. Nothing needs to be repaired: the next completion is the one of a fresh start.
        """
        with self._lock:
            turns = tuple(self._in_progress)
        for turn in turns:
            self._feeding.turns.cancel(turn)

    def explain(self, trace: CompletionTrace | None = None) -> CompletionTrace | None:
        """Return a trace with shares of attention; takes the time of some tokens.

        Without memories there are no shares.

        Args:
            trace: Of one of the last completions that wrote something; None for the very last one.

        Returns:
            None if it is not remembered any more.

        Raises:
            Cancelled: It was.
        """
        found = last.find(self._last, trace)
        if found is None:
            return None
        with self._turn(Urgency.REQUEST):
            return found.explained(self._model.decoder, self._model.codec)

    def read(self, request: CompletionRequest, retrieved: Sequence[Retrieved]) -> tuple[Prompt, Fed]:
        """Return what the model reads for a cursor, given the definitions that were retrieved for it.

        Args:
            request: The cursor; nothing is retrieved here, and nothing is given as the text's beginning.
            retrieved: Best first.
        """
        with self._turn(Urgency.REQUEST):
            best = retrieved[: self._settings.retrieval.definitions]
            prompt = self._writer.with_definitions(self._prompt(request, ""), best)
            return prompt, self._feeding.feed(prompt, encode_ms=None)

    def _cancelled(self, request: CompletionRequest, clock: PhaseClock) -> CompletionTrace:
        return cancelled_trace(
            request_trace(request, multi_line=bool(request.multi_line)),
            phases_ms=clock.phases_ms(),
            model=self._model,
        )

    @contextmanager
    def _turn(self, urgency: Urgency) -> Iterator[Turn]:
        """Have the model, in a turn that `cancel` ends."""
        turn = Turn(urgency)
        with self._lock:
            self._in_progress.add(turn)
        try:
            with self._feeding.turns.hold(turn, self._awaiting, self._model.decoder, *self._feeding.models):
                yield turn
        finally:
            with self._lock:
                self._in_progress.discard(turn)

    @contextmanager
    def _aside(self) -> Iterator[Callable[[], tuple[FrameKeeper, DefinitionSource, tuple[Last, ...]]]]:
        """Have what is remembered of the last completions be afterwards as it was.

        Yields what tells what is remembered meanwhile.
        """
        before = self._frames, self._definitions, self._last
        self._frames, self._definitions = copy(self._frames), self._definitions.aside()
        try:
            yield lambda: (self._frames, self._definitions, self._last)
        finally:
            self._frames, self._definitions, self._last = before

    def _complete(self, request: CompletionRequest, turn: Turn, clock: PhaseClock) -> CompletionTrace:
        with clock.phase("prompt"):
            window = self._window(request)
        decided, written = self._overlap.write(request, window, self._definitions, clock)
        if turn.is_cancelled:
            raise Cancelled
        prompt, fed, generation = written.prompt, written.fed, written.generation
        self._definitions.keep(request, decided, prompt, fed)
        with clock.phase("finish"):
            finished = finish(
                generation.text, prefix=request.prefix, suffix=request.suffix, language=request.language
            )
            reason = finished.suppressed or _spoiled_syntax(request, finished)
            if reason == "empty" and generation.stop_reason == "deadline":
                reason = "deadline"  # not that there was nothing to write
        trace = completion_trace(
            request_trace(request, multi_line=window.multi_line),
            decided,
            written,
            finished=finished,
            suppression_reason=reason,
            phases_ms=clock.phases_ms(),
            model=self._model,
        )
        self._last = last.keep(self._last, Last(trace, prompt, fed, generation))
        return trace

    def _window(self, request: CompletionRequest, *, is_idle: bool = False) -> Window:
        """Return what is seen of the file, and what is to be written."""
        cursor = AtCursor(request.language, request.prefix, request.suffix)
        multi_line = wants_multi_line(cursor) if request.multi_line is None else request.multi_line
        opening = block_opening(cursor) if multi_line else ""
        return Window(cursor, multi_line, self._prompt(request, opening, is_idle=is_idle))

    def _prompt(self, request: CompletionRequest, opening: str, *, is_idle: bool = False) -> Prompt:
        """Return the prompt without definitions: what is seen of the file."""
        document = (request.repo_name, request.path)
        cut = self._frames.cut(document, request.prefix, request.suffix, is_idle=is_idle)
        parts = PromptRequest(
            repo_name=request.repo_name,
            path=request.path,
            prefix=request.prefix,
            suffix=request.suffix,
            opening=opening,
            n_frame_characters=cut.end,
            frame_start=cut.start,
            n_hidden=cut.n_hidden,
        )
        window = build_prompt(self._codec, parts, self._feeding.budget(self._settings))
        self._frames.keep(document, request.prefix, request.suffix, replace(cut, start=window.frame_start))
        return window


def default_feeding(model: RunningModel, settings: Settings) -> Feeding:
    """Return how users' completions are fed: as memories, where the model has a bank of them."""
    if model.bank is None:
        return Concatenated()
    return Memories(model.bank, settings.retrieval.definition_tokens)


def _spoiled_syntax(request: CompletionRequest, finished: Finished) -> str | None:
    """Return the reason code if inserting the text would make the file parse worse."""
    before = request.prefix + request.suffix
    after = request.prefix + finished.text + request.suffix[finished.n_replaced :]
    return None if parses_as_well(request.language, before, after) else "parses_worse"
