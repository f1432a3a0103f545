"""Fits generated text to the file: text in, text out.

The steps run in order, and the first one that leaves nothing names the reason why nothing is shown. This file
does not know the model, the editor's positions or any grammar; `brackets.py` reads brackets and quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from model.brackets import CLOSERS, scan
from model.layout import FileStyle
from model.stops import repeats_following

__all__ = ["Finished", "SuppressionReason", "finish", "split_closers", "stands_before_text"]

SuppressionReason = Literal[
    "empty",  # the model had nothing to say
    "control_text",  # it spelled out a control token
    "damaged_text",  # characters that no source has: NUL, U+FFFD, lone surrogates
    "prose",  # it talked about the code instead
    "repeats_rest_of_line",  # it wrote what follows the cursor on its line
    "repeats_next_line",  # it wrote the line after the cursor's
    "unbalanced",  # it began with a bracket that closes what is closed already
    "before_text",  # the cursor stands in the indentation of a line that is written already
    "inside_word",  # it would run into the word that follows the cursor
]

_WINDOW_CHARACTERS = 6000
"""How much of the file on either side of the cursor is read for brackets and for the style."""
_MOST_REPLACED = 16
"""Editors insert a few closers; each one more that might be replaced costs a scan of the window."""
_CLOSERS_LINE = re.compile(r"[)\]}\"'`:;, \t]*")
_CONTROL_TEXT = re.compile(
    r"<\|(?:endoftext|im_start|im_end|fim_prefix|fim_suffix|fim_middle|fim_pad|repo_name|file_sep)\|>"
)
_RUNS_INTO_WORD = re.compile(r"[\w)\]}\"'`]\w")
_DAMAGE = re.compile("[\0\ufffd\ud800-\udfff]")
_FENCE = re.compile(r"(?m)^[ \t]*```")
_OPENING_FENCE = re.compile(r"\A\s*```\w*[ \t]*\n")
_PROSE = re.compile(
    r"\s*(?:Here(?:'s| is| are)\b|Sure[,!]|Certainly[,!]|The (?:following|above|completed|missing) \w+"
    r"|This (?:code|function|method|snippet) \w+s\b|To (?:complete|fix|implement) (?:the|this)\b"
    r"|I(?:'m| am| have| will)\b|As an AI\b)"
)
_CLOSER_OF = {opener: closer for closer, opener in CLOSERS.items()}
_DOCUMENTS = frozenset({"markdown", "rst", "text"})


@dataclass(frozen=True, slots=True)
class Finished:
    """A completion that is ready to be shown, or the reason why it is not."""

    text: str
    """Empty if and only if `suppressed` is given."""
    n_replaced: int
    """How many characters after the cursor, all on its line, the text stands for. Each of them occurs in the
    text in order, which is what editors ask of a replaced range to draw it as ghost text."""
    suppressed: SuppressionReason | None


@dataclass(frozen=True, slots=True)
class _Place:
    """The file around the cursor, within the window: line feeds as line breaks, `?` for lone surrogates."""

    prefix: str
    suffix: str
    closers: str
    """The rest of the cursor's line if it is nothing but closers, without white space at its end."""
    language: str | None

    @property
    def line(self) -> str:
        return self.prefix[self.prefix.rfind("\n") + 1 :]

    @property
    def rest(self) -> str:
        return self.suffix.partition("\n")[0].rstrip()

    @property
    def next_line(self) -> str:
        lines = self.suffix.split("\n")[1:]
        return next((line.rstrip() for line in lines if line.strip()), "")


def split_closers(suffix: str) -> tuple[str, str]:
    """Split a rest of line that is only closing brackets, quotes, `:`, `;`, `,` off from what follows it.

    Returns:
        The closers and the rest, which then begins with a line break; ("", suffix) where the rest of the line
        holds anything else.
    """
    match = _CLOSERS_LINE.match(suffix)
    end = match.end() if match else 0
    if suffix[end : end + 1] not in ("", "\n", "\r"):
        return "", suffix
    return suffix[:end], suffix[end:]


def stands_before_text(prefix: str, suffix: str) -> bool:
    """Return whether a cursor stands in the indentation of a line that is written already.

    Nothing is shown there whatever is generated, which can be told before.
    """
    line = prefix[prefix.rfind("\n") + 1 :]
    rest = suffix.partition("\n")[0].rstrip()
    return not line.strip() and rest[:1].isspace() and not split_closers(suffix)[0].strip()


def finish(text: str, *, prefix: str, suffix: str, language: str | None = None) -> Finished:
    """Return the completion that fits between prefix and suffix.

    It repeats neither the rest of the cursor's line nor the next line, closes no bracket twice, ends without
    white space, and has the file's indentation and line breaks.

    Args:
        text: As generated after the cursor, with line feeds.
        prefix: The file's text before the cursor.
        suffix: The file's text after the cursor.
        language: By the index's names (`python`, `typescript`); None if unknown.
    """
    place = _place(prefix, suffix, language)
    text = text.replace("\r\n", "\n")
    if stands_before_text(prefix, suffix):
        return Finished("", 0, "before_text")
    for reason, step in _STEPS:
        text = step(text, place)
        if not text.strip():
            return Finished("", 0, reason)
    text, n_replaced = _fit_closers(text, place)
    if not text.strip():
        return Finished("", 0, "repeats_rest_of_line")
    text = _without_surplus(text, place, n_replaced)
    if not text.strip():
        return Finished("", 0, "unbalanced")
    if _RUNS_INTO_WORD.match(text[-1] + place.suffix[n_replaced : n_replaced + 1]):
        return Finished("", 0, "inside_word")
    style = FileStyle.of(prefix[-_WINDOW_CHARACTERS:], suffix[:_WINDOW_CHARACTERS], language)
    text = _with_closer_below(text, place, n_replaced)
    keep_end = bool(place.suffix[n_replaced:].partition("\n")[0].strip())
    text = style.apply(text, line=place.line, keep_end=keep_end)
    return Finished(text, min(n_replaced, _n_occurring(place.closers, text)), None)


def _place(prefix: str, suffix: str, language: str | None) -> _Place:
    prefix, suffix = prefix[-_WINDOW_CHARACTERS:], suffix[:_WINDOW_CHARACTERS]
    return _Place(
        prefix=_plain(prefix),
        suffix=_plain(suffix),
        closers=split_closers(suffix)[0].rstrip(),
        language=language,
    )


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").encode("utf-8", "replace").decode()


def _same(text: str, _: _Place) -> str:
    return text


def _without_control_text(text: str, place: _Place) -> str:
    """A file about such tokens may hold their names; others do not."""
    if _CONTROL_TEXT.search(place.prefix) or _CONTROL_TEXT.search(place.suffix):
        return text
    return _CONTROL_TEXT.split(text, maxsplit=1)[0]


def _without_damage(text: str, _: _Place) -> str:
    return _DAMAGE.split(text, maxsplit=1)[0]


def _without_prose(text: str, place: _Place) -> str:
    if place.language in _DOCUMENTS or scan(place.prefix, place.language).quote:
        return text
    text = _OPENING_FENCE.sub("", text)
    if fence := _FENCE.search(text):
        text = text[: fence.start()]
    return "" if not place.line.strip() and _PROSE.match(text) else text


def _without_rest_of_line(text: str, place: _Place) -> str:
    """Drop the end of the text that the rest of the line says again, where that is more than closers."""
    rest = place.rest
    if place.closers or not rest:
        return text
    at = text.find(rest)
    if at >= 0 and len(rest) > 2:
        return text[:at]
    stripped = rest.lstrip()
    for length in range(min(len(stripped), len(text)), 0, -1):
        head = stripped[:length]
        # One or two letters meet by chance.
        if text.endswith(head) and (length > 2 or length == len(stripped) or not head[-1].isalnum()):
            return "" if _closes_itself(text, head, place) else text[: len(text) - length]
    return text


def _closes_itself(text: str, head: str, place: _Place) -> bool:
    """Whether the quotes at the end of the text close a string of its own, while those behind it open one.

    The text says in other words what stands there; without its quotes it would open what nothing closes.
    """
    if head not in {'"', "'", "`", '"""', "'''"}:
        return False
    before = place.prefix + text
    is_open = scan(before[: len(before) - len(head)], place.language).quote == head
    return is_open and not scan(place.prefix, place.language).quote


def _without_next_line(text: str, place: _Place) -> str:
    """Cut where a line, finished or not, is the one after the cursor's."""
    target = place.next_line
    if not target:
        return text
    keep = repeats_following((text + "\n").encode(), line=place.line.encode(), next_line=target.encode())
    if keep is not None:
        return text.encode()[:keep].decode()
    head, line_break, last = text.rpartition("\n")
    started = line_break and len(last.strip()) > 3 and target.startswith(last.rstrip())
    return head if started else text


_STEPS: tuple[tuple[SuppressionReason, Callable[[str, _Place], str]], ...] = (
    ("empty", _same),
    ("control_text", _without_control_text),
    ("damaged_text", _without_damage),
    ("prose", _without_prose),
    ("repeats_rest_of_line", _without_rest_of_line),
    ("repeats_next_line", _without_next_line),
)


def _fit_closers(text: str, place: _Place) -> tuple[str, int]:
    """Let text and closers after the cursor not both close the same: (text, closers that it replaces).

    Only closers that occur in the text, in order, may be replaced by it. Of those, as many are as leave the
    fewest brackets and quotes unmatched; among equals a number that doubles no `:` or `;`, then the longest
    one that the text ends with, else the shortest.
    """
    closers = place.closers
    n_most = min(_n_occurring(closers, text), _MOST_REPLACED)
    if n_most == 0:
        return text, 0

    def cost(n: int) -> tuple[int, bool, bool, int]:
        unmatched = scan(place.prefix + text + closers[n:], place.language).n_unmatched
        overlaps = n > 0 and text.endswith(closers[:n])
        doubles = closers[n : n + 1] in {":", ";", ","} and text.endswith(closers[n])
        return unmatched, doubles, not overlaps, -n if overlaps else n

    best = min(range(n_most + 1), key=cost)
    if best and text.endswith(closers[:best]):
        return text[: len(text) - best], 0
    return text, best


def _with_closer_below(text: str, place: _Place, n_replaced: int) -> str:
    """Put the bracket that closes what the cursor's line opened on a line of its own, indented like that one.

    Only where the text fills the brackets' inside with lines of its own, and the bracket follows the text or
    is replaced by it.
    """
    if not text.startswith("\n") or not place.line.rstrip().endswith(("{", "[", "(")):
        return text
    margin = place.line[: len(place.line) - len(place.line.lstrip())]
    closing = _CLOSER_OF[place.line.rstrip()[-1]]
    if place.suffix[n_replaced:].startswith(closing):
        return f"{text.rstrip()}\n{margin}"
    before = scan(place.prefix, place.language)
    if before.quote or before.in_comment:
        return text
    for at, _ in scan(text, place.language).surplus[:1]:
        head, _, indentation = text[:at].rpartition("\n")
        if not indentation.strip():
            return f"{head}\n{margin}{text[at:]}"
    return text


def _n_occurring(characters: str, text: str) -> int:
    """How many of the first `characters` occur in the text in order."""
    at = -1
    for n, character in enumerate(characters):
        at = text.find(character, at + 1)
        if at < 0:
            return n
    return len(characters)


def _without_surplus(text: str, place: _Place, n_replaced: int) -> str:
    """Cut the text before the first bracket that closes what the file already closes after the cursor."""
    prefix, suffix, language = place.prefix, place.suffix[n_replaced:], place.language
    before = scan(prefix, language)
    if before.in_comment:
        return text
    n_usual = len(scan(prefix + suffix, language).surplus)
    if len(scan(prefix + text + suffix, language).surplus) <= n_usual:
        return text
    for at, _ in scan(before.quote + text, language).surplus:
        end = at - len(before.quote)
        if len(scan(prefix + text[: end + 1] + suffix, language).surplus) > n_usual:
            return text[:end]
    return text
