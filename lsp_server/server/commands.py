"""The commands that an editor may run, each by its name; their answers are plain JSON.

`crosslight.status` is the one place that tells everything: the model, the indexes, the settings in force, and
why the last request showed nothing. Of the open documents it tells a hash, so that a text that went out of
step with the editor's can be found out without anybody's code in a report.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from pygls.exceptions import JsonRpcInvalidParams

from lsp_server.server.model_thread import ModelState, ModelUnavailableError
from lsp_server.server.options import camel_case
from lsp_server.server.show import EXPLANATIONS

if TYPE_CHECKING:
    from lsp_server.server.completing import CompletingModel
    from lsp_server.server.language_server import CrosslightServer
    from lsp_server.trace import CompletionTrace

__all__ = ["ACCEPT", "COMMANDS"]

ACCEPT: Final = "crosslight.didAcceptCompletion"
"""Run by the editor when a suggestion was accepted; its one argument is the suggestion's id."""

_MOST_MINUTES: Final = 525_600
"""A year: more is for ever."""


def reindex(ls: CrosslightServer, *arguments: object) -> dict[str, Any]:
    """Bring the indexes of all open repositories up to date; with `true`, parse every file anew."""
    for root in ls.roots:
        if (index := ls.host.index_of(root)) is not None:
            index.reindex(force=True in arguments)
    return {"roots": [str(root) for root in ls.roots]}


async def explain_last(ls: CrosslightServer, *arguments: object) -> dict[str, Any] | None:
    """Return all that is known of what this editor was shown last, with each definition's share.

    Shares are told as long as the model remembers the completion. A suggestion's id asks for that one.
    """
    trace = ls.session.traces.find(str(arguments[0]) if arguments else None)
    if trace is None:
        return None
    job = ls.host.model.submit(partial(_explain, trace))
    try:
        explained = await asyncio.wrap_future(job.future)
    except ModelUnavailableError:
        explained = None
    if explained is not None:  # of one that was foreseen, the trace says what it took this time
        trace = dataclasses.replace(explained, phases_ms=trace.phases_ms, is_foreseen=trace.is_foreseen)
    return trace.to_dict()


def _explain(trace: CompletionTrace, model: CompletingModel) -> CompletionTrace | None:
    return model.explain(trace)


def pause(ls: CrosslightServer, *arguments: object) -> dict[str, Any]:
    """Stop or resume suggestions while typing; `true` and `false` say which, nothing changes it.

    Behind `true` may stand for how many minutes; suggestions then resume by themselves. Where loading the
    model was cancelled or failed, to resume loads it.

    Raises:
        JsonRpcInvalidParams: That is no time.
    """
    wanted, minutes = (*arguments, None, None)[:2]
    if minutes is not None and not _is_time(minutes):
        raise JsonRpcInvalidParams(f"crosslight.pause: {minutes!r} are no minutes")
    pause = ls.session.pause
    is_off = pause.is_on or ls.host.model.state.kind == "cancelled"
    if wanted if isinstance(wanted, bool) else not is_off:
        ls.pause(math.inf if minutes is None else float(minutes))
    else:
        ls.resume()
    return {"paused": pause.is_on, "minutesLeft": pause.minutes_left}


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= _MOST_MINUTES


def status(ls: CrosslightServer, *_: object) -> dict[str, Any]:
    """Return the state of everything that suggestions come from, and why the last request showed nothing."""
    session, model = ls.session, ls.host.model
    indexes = [index.state for root in ls.roots if (index := ls.host.index_of(root)) is not None]
    answer = session.last
    last = None
    if answer is not None:
        last = {
            "uri": answer.uri,
            "reason": answer.reason,
            "explanation": _explanation(answer.reason, model.state),
            "source": answer.source,
            "latencyMs": round(answer.latency_ms, 1),
            "retrievalNotes": list(answer.retrieval_notes),
        }
    return {
        "version": ls.version,
        "status": dataclasses.asdict(ls.editor.status) if ls.editor.status is not None else None,
        "model": {"kind": model.state.kind, "message": model.state.message},
        "repositories": [
            {
                "root": str(state.root),
                "kind": state.kind,
                "phase": state.phase,
                "done": state.n_done,
                "total": state.n_total,
                "message": state.message,
            }
            for state in indexes
        ],
        "options": {
            camel_case(one.name): getattr(session.options, one.name)
            for one in dataclasses.fields(session.options)
        },
        "documents": [
            {
                "uri": one.uri,
                "version": one.version,
                "language": one.language,
                "sha256": hashlib.sha256(one.buffer.text.encode()).hexdigest(),
            }
            for one in session.documents
        ],
        "paused": session.pause.is_on,
        "minutesLeft": session.pause.minutes_left,
        "running": model.n_jobs,
        "last": last,
    }


def _explanation(reason: str | None, model: ModelState) -> str | None:
    if reason == "model_missing" and model.kind == "missing":
        return model.message  # it has the names, and the cure
    return EXPLANATIONS.get(reason, reason) if reason else None


async def clear_caches(ls: CrosslightServer, *_: object) -> None:
    """Forget suggestions, what the model keeps of the last completions, and the definitions it encoded."""
    ls.session.suggestions.forget()
    job = ls.host.model.submit(lambda model: model.forget())
    try:
        await asyncio.wrap_future(job.future)
    except ModelUnavailableError:
        return


def accept(ls: CrosslightServer, *arguments: object) -> None:
    """Count a suggestion that was accepted."""
    if arguments and isinstance(arguments[0], str):
        ls.session.fates.accepted(arguments[0], None)


COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {
    "crosslight.reindex": reindex,
    "crosslight.explainLast": explain_last,
    "crosslight.pause": pause,
    "crosslight.status": status,
    "crosslight.clearCaches": clear_caches,
    ACCEPT: accept,
}
