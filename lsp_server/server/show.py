"""Whether anything is shown at a cursor, and if not, why: pure rules, each with a code that users can see.

Two questions, one before the model is asked and one after. What the model's own text says against itself
(it repeats what follows, it breaks the syntax, there is nothing) is judged where it is made
(`CompletionTrace.suppression_reason`); its codes come through here as they are.
"""

from __future__ import annotations

from indexer.lexemes import lexemes, source_before
from lsp_server.server.options import SessionOptions
from lsp_server.server.pause import Pause
from lsp_server.trace import CompletionTrace

__all__ = ["EXPLANATIONS", "why_inactive", "why_not_here", "why_not_this"]

EXPLANATIONS = {
    # before the model is asked
    "paused": "suggestions are paused; your editor's Crosslight menu or command resumes them",
    "disabled": "suggestions while typing are switched off in the editor's settings",
    "language_disabled": "this language is switched off in the editor's settings",
    "not_open": "the editor asked about a document that it has not opened",
    "virtual_document": "the document is not a file of yours: a diff's side, an output, a remote tree",
    "inside_word": "the cursor stands inside of a word",
    "before_text": "the cursor stands in the indentation of a line that is written already",
    "in_string": "suggestions in strings are switched off in the editor's settings",
    "in_comment": "suggestions in comments are switched off in the editor's settings",
    "model_loading": "the model is being loaded",
    "model_cancelled": "loading the model was cancelled; asking by hand, or resuming suggestions in your "
    "editor's Crosslight menu or command, loads it",
    "model_missing": "the model that the settings name (`model.name`) is not installed; "
    "`crosslight model list` names those that are, `crosslight model pull` fetches one",
    "model_failed": "the model cannot be loaded; `crosslight doctor` says more",
    "engine_restarting": "the engine had ended or did not answer, and another one was taking its place; "
    "its log says more (`crosslight engine status` names it)",
    "superseded": "a newer request or edit came first",
    "cancelled": "the editor no longer wanted it",
    "failed": "something went wrong; the log says what",
    # after
    "improbable": "the model was not sure enough of how it begins",
    "parses_worse": "the file would have more syntax errors than before",
    "empty": "the model had nothing to add",
    "deadline": "there was no time to write anything",
    "control_text": "the model wrote a marker and no code",
    "damaged_text": "the model wrote characters that no source has",
    "prose": "the model talked about the code instead of writing it",
    "repeats_rest_of_line": "the model wrote what follows on the line already",
    "repeats_next_line": "the model wrote the line that comes next already",
    "unbalanced": "the model closed a bracket that is closed already",
}
"""Reason code -> what users are told."""


_ENDINGS = (b'x"', b"x'", b"x`", b'x"""', b"x'''", b"x", b"x*/")
"""One of them ends whatever string or comment is open, in any language of the index. Strings come first: what
looks like a comment in one that is not ended is none."""


def why_inactive(options: SessionOptions, pause: Pause) -> str:
    """Return why no suggestions come while typing, wherever that is, for a status bar; empty if they do."""
    if not options.enabled:
        return "switched off in the editor's settings"
    if not pause.is_on:
        return ""
    minutes = pause.minutes_left
    return "paused" if minutes is None else f"paused, {minutes} min left"


def why_not_here(
    options: SessionOptions, language_id: str, language: str | None, prefix: str, suffix: str
) -> str | None:
    """Return why nothing is suggested at a cursor while the user types; None if something may be.

    A request that the user made by hand is not asked about.

    Args:
        options: The session's.
        language_id: The editor's name of the language, as users write it in their settings.
        language: The index's name of it.
        prefix: Text before the cursor, all of it.
        suffix: Text after it.
    """
    if not options.enabled:
        return "disabled"
    if language_id in options.disabled_languages or language in options.disabled_languages:
        return "language_disabled"
    if prefix and suffix and _is_word(prefix[-1]) and _is_word(suffix[0]):
        return "inside_word"
    if not (options.in_strings and options.in_comments):
        kind = surrounding(language, prefix)
        if kind == "string" and not options.in_strings:
            return "in_string"
        if kind == "comment" and not options.in_comments:
            return "in_comment"
    return None


def why_not_this(options: SessionOptions, trace: CompletionTrace, *, invoked: bool) -> str | None:
    """Return why a completion is not shown; None if it is."""
    if trace.suppression_reason is not None:
        return trace.suppression_reason
    if not trace.text:
        return "empty"
    probability = trace.first_token_probability
    if not invoked and probability is not None and probability < options.min_probability:
        return "improbable"
    return None


def surrounding(language: str | None, prefix: str) -> str:
    """Return what a cursor stands in: `code`, `string` or `comment`.

    Whatever is still open there is one lexeme with what is put behind the cursor to end it. In code, the same
    characters stand for themselves.
    """
    source = source_before(language, prefix)
    for ending in _ENDINGS:
        ended = source + ending
        # a line's comment may leave its line end out
        last = next((one for one in reversed(lexemes(language, ended)) if one.text.strip()), None)
        if last is None or last.kind == "code":
            continue
        if last.start < len(source) and last.start + len(last.text) >= len(ended):
            return last.kind
    return "code"


def _is_word(character: str) -> bool:
    return character == "_" or character.isalnum()
