"""One editor's session: its documents and settings, and how a request becomes a suggestion.

A request goes through what is known already, the rules of what is shown, the wait for the next keystroke and
the model, in this order; each way out leaves its reason in `last`. The newest request of a document wins.
Knows neither the protocol nor how anything is drawn; runs in one event loop and never blocks it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from indexer.types import RelatedQuery
from lsp_server.requests import CompletionRequest
from lsp_server.server.asked import Answer, Request, SupersededError
from lsp_server.server.completing import CompletingModel
from lsp_server.server.documents import Document, Documents
from lsp_server.server.evidence import completion_request, overlay_others
from lsp_server.server.fates import Fates, Suggestion
from lsp_server.server.host import Host
from lsp_server.server.model_thread import ModelUnavailableError
from lsp_server.server.options import SessionOptions
from lsp_server.server.pace import Pace
from lsp_server.server.pause import Pause
from lsp_server.server.places import NO_PLACE, Place
from lsp_server.server.show import why_not_here, why_not_this
from lsp_server.server.suggestions import Known, Suggestions
from lsp_server.server.traces import Traces
from lsp_server.trace import CompletionTrace
from lsp_server.warmer import MOST_RELATED
from model.errors import Cancelled
from model.postprocess import stands_before_text

__all__ = ["Session"]

log = logging.getLogger(__name__)

_TYPING_MS: Final = 5_000
"""Of writing, after which a suggestion that nobody asked for by hand is shown as far as it is. On two cores
all of 120 cases took at most 1.6 s with what is read before, so this is for busy and slow machines. Reading
has more time: whoever types on ends it, and who waits is better shown something late than nothing."""
_MODEL_REASONS: Final = {
    "loading": "model_loading",
    "cancelled": "model_cancelled",
    "missing": "model_missing",
    "failed": "model_failed",
}


@dataclass(frozen=True, slots=True)
class _Cursor:
    """A request's document as it was when it was asked about, the popup's item accepted."""

    request: Request
    document: Document
    place: Place
    version: int
    prefix: str
    suffix: str

    def check_current(self) -> None:
        """Give up if the document was edited since."""
        if self.document.version != self.version:
            raise _Nothing("superseded")


class _Nothing(Exception):  # noqa: N818 - a way out, not an error
    """Nothing is shown; says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Session:
    """What one connection knows and does."""

    def __init__(self, host: Host, documents: Documents, options: SessionOptions) -> None:
        self.host = host
        self.documents = documents
        self.options = options
        self.pause = Pause()
        self.last: Answer | None = None
        self.traces = Traces()
        self.on_answer: Callable[[Answer], None] = lambda _: None
        self.on_model: Callable[[bool], None] = lambda _: None
        self.suggestions = Suggestions()
        self.fates = Fates(host.statistics, documents)
        self._pace = Pace()
        self._is_typing = True
        self._n_running = 0
        self._asking: dict[str, asyncio.Task[Suggestion | None]] = {}

    def edited(self, *, is_typed: bool) -> None:
        """Note an edit by the user: a key, or a text that came at once, such as an accepted suggestion."""
        self._is_typing = is_typed
        if is_typed:
            self._pace.key(time.monotonic() * 1e3)

    def opened(self, document: Document) -> None:
        """Prepare for completions in a document that was opened."""
        place = document.place
        index = self.host.index_of(place.root) if place is not None else None
        if place is None or index is None or self.host.model.state.kind != "ready":
            return
        query = RelatedQuery(place.path, MOST_RELATED)

        def expect(model: CompletingModel) -> None:
            model.expect(document.uri, place.repo_name, lambda: index.related(query))

        self.host.model.submit(expect)

    def closed(self, uri: str) -> None:
        """Forget what was suggested in a document, and whatever it still waits for."""
        self.suggestions.forget(uri)
        if (asking := self._asking.pop(uri, None)) is not None:
            asking.cancel()

    def cancel_all(self) -> None:
        """Give up every request."""
        for asking in self._asking.values():
            asking.cancel()
        self._asking.clear()
        self.fates.close()

    def left_unanswered(self, uri: str) -> None:
        """Note that a completion was answered with nothing while one engine took another's place."""
        self._note(Answer(uri, "engine_restarting"))

    async def suggest(self, request: Request) -> Suggestion | None:
        """Return what to show at a cursor, None for nothing; `last` then says why.

        A newer request of the same document ends this one at once, in the middle of the model's run.

        Raises:
            SupersededError: A newer request or edit came first.
            asyncio.CancelledError: The caller was cancelled; the model's run ends, too.
        """
        started = time.monotonic()
        if (older := self._asking.get(request.uri)) is not None:
            older.cancel()
        asking = asyncio.create_task(self._suggest(request))
        self._asking[request.uri] = asking
        try:
            return await asking
        except _Nothing as nothing:
            self._note(_nothing(request, nothing.reason, started))
            if nothing.reason == "superseded":
                raise SupersededError from None
            return None
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                self._note(_nothing(request, "cancelled", started))
                raise
            raise SupersededError from None  # by a newer one, which tells its own reason
        finally:
            if self._asking.get(request.uri) is asking:
                del self._asking[request.uri]

    async def _suggest(self, request: Request) -> Suggestion | None:
        started = time.monotonic()
        cursor = self._cursor(request)
        overlay_others(self.host, self.documents, cursor.document)
        completion = self._completion_request(cursor)
        known = self.suggestions.find(request.uri, cursor.prefix, cursor.suffix)
        if (
            known is not None
            and (known.text or not request.invoked)
            and not known.is_outdated(completion.n_edits_elsewhere)
        ):
            self._note(Answer(request.uri, known.reason, "known", (time.monotonic() - started) * 1e3))
            return self._offer(cursor, known)
        if stands_before_text(cursor.prefix, cursor.suffix):
            raise _Nothing("before_text")  # also when it was asked by hand: no text would be fit for it
        if request.invoked:
            self.host.model.load_again()
        else:
            await self._wait_until_due(cursor)
        is_indexed = self._is_indexed(cursor.place)
        trace = await self._complete(completion)
        reason = why_not_this(self.options, trace, invoked=request.invoked)
        text, replaces = ("", 0) if reason else (trace.text, trace.replaces)
        known = Known(
            uuid.uuid4().hex,
            text,
            replaces,
            reason=reason,
            was_late=trace.is_stopgap or trace.stop_reason == "deadline" or not is_indexed,
            n_edits_elsewhere=completion.n_edits_elsewhere,
        )
        if reason != "deadline":  # there may be more time when it is asked again
            self.suggestions.keep(request.uri, cursor.prefix, cursor.suffix, known)
        latency_ms = (time.monotonic() - started) * 1e3
        self._pace.answered(trace.phases_ms.get("total", latency_ms))
        self.traces.note(trace, None if reason else known.id)
        cursor.check_current()  # what was typed meanwhile may be how it begins: the next request finds it
        source = "foreseen" if trace.is_foreseen else "model"
        self._note(Answer(request.uri, reason, source, latency_ms, trace.retrieval_notes))
        shown = None if reason else trace
        self.host.model.submit(lambda model: model.work_ahead(completion, shown), ahead=True)
        return self._offer(cursor, known)

    def _cursor(self, request: Request) -> _Cursor:
        document = self.documents.get(request.uri)
        if document is None:
            raise _Nothing("not_open")
        if document.place is None:
            raise _Nothing(NO_PLACE)
        if self.pause.is_on and not request.invoked:
            raise _Nothing("paused")
        selected = request.selected
        if selected is None:
            prefix, suffix = self.documents.around(document, request.position)
        else:
            prefix = self.documents.around(document, selected.start)[0] + selected.text
            suffix = document.buffer.split(selected.end)[1]
        return _Cursor(request, document, document.place, document.version, prefix, suffix)

    def _completion_request(self, cursor: _Cursor) -> CompletionRequest:
        request = completion_request(
            self.host,
            self.documents,
            cursor.document,
            (cursor.prefix, cursor.suffix),
            multi_line=False if self.options.multi_line == "never" else None,
        )
        return request if cursor.request.invoked else replace(request, enough_ms=_TYPING_MS)

    def _is_indexed(self, place: Place) -> bool:
        """Return whether retrieval finds all that it will find, as far as anybody knows."""
        index = self.host.index_of(place.root)
        return index is None or index.state.kind == "ready"

    async def _wait_until_due(self, cursor: _Cursor) -> None:
        """Let the next keystroke come first, where nothing is wrong with this one."""
        document = cursor.document
        reason = why_not_here(
            self.options, document.language_id, document.language, cursor.prefix, cursor.suffix
        )
        if reason is None and (kind := self.host.model.state.kind) in {"loading", "cancelled"}:
            reason = _MODEL_REASONS[kind]
        if reason is not None:
            raise _Nothing(reason)
        wait_ms: float = self.options.debounce_ms
        if wait_ms < 0:
            wait_ms = self._pace.wait_ms(time.monotonic() * 1e3)
        if not self._is_typing:
            wait_ms = 0.0  # no other key is on its way, and what follows may have been foreseen
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1e3)
        cursor.check_current()

    async def _complete(self, request: CompletionRequest) -> CompletionTrace:
        job = self.host.model.submit(lambda model: model.complete(request))
        self._n_running += 1
        self.on_model(True)
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self.host.model.cancel(job)
            raise
        except Cancelled:
            raise _Nothing("cancelled") from None
        except ModelUnavailableError:
            # it may have been loaded since
            raise _Nothing(_MODEL_REASONS.get(self.host.model.state.kind, "model_loading")) from None
        except Exception as error:
            # what it was about stands in the error's text, perhaps: users' code is for the debug level
            log.error("a completion failed: %s", type(error).__name__)  # noqa: TRY400
            log.debug("the completion that failed", exc_info=True)
            raise _Nothing("failed") from None
        finally:
            self._n_running -= 1
            self.on_model(self._n_running > 0)

    def _offer(self, cursor: _Cursor, known: Known) -> Suggestion | None:
        """Return a known suggestion as what is shown, None where nothing is."""
        suggestion = _suggestion(cursor, known)
        if suggestion is not None:
            self.traces.shown(known.id)
        if suggestion is not None and self.options.statistics and self.last is not None:
            language = cursor.document.language or cursor.document.language_id
            self.fates.offered(suggestion, language, self.last.source, self.last.latency_ms)
        return suggestion

    def _note(self, answer: Answer) -> None:
        self.last = answer
        self.on_answer(answer)


def _nothing(request: Request, reason: str, started: float) -> Answer:
    return Answer(request.uri, reason, latency_ms=(time.monotonic() - started) * 1e3)


def _suggestion(cursor: _Cursor, known: Known) -> Suggestion | None:
    """Return a known suggestion as what is shown, None where nothing is."""
    if not known.text:
        return None
    request, document = cursor.request, cursor.document
    selected = request.selected
    start, at = (selected.start, selected.end) if selected is not None else (request.position,) * 2
    line, column = document.buffer.locate(at)
    end = document.buffer.position(line, column + known.replaces)
    if selected is None:
        start = document.buffer.position(line, column)
    text = known.text if selected is None else selected.text + known.text
    return Suggestion(known.id, document.uri, document.language_id, text, start, end)
