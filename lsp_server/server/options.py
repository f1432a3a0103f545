"""What an editor may set for its own session: what is shown, where, and how soon.

Read from `initializationOptions` and `workspace/didChangeConfiguration`, in camelCase there. Nothing here
runs or connects to anything: that is decided by the user's own file (`lsp_server.config`), since an editor
takes settings from the workspace too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lsp_server.config import read_table, setting

__all__ = ["SECTION", "LoadedOptions", "SessionOptions", "camel_case", "read_options"]

SECTION = "crosslight"
"""Under which editors keep the settings of this program."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """One session's settings; every default is documented beside its field."""

    enabled: bool = setting(True, "Whether suggestions come while typing; an invoked one always does.")
    disabled_languages: tuple[str, ...] = setting(
        (), 'Languages without suggestions, by their id in the editor: `["markdown"]`.'
    )
    in_strings: bool = setting(True, "Whether suggestions come while typing inside of strings.")
    in_comments: bool = setting(True, "Whether suggestions come while typing inside of comments.")
    multi_line: Literal["auto", "never"] = setting(
        "auto", "`auto` writes a block where the syntax asks for one, `never` always a single line."
    )
    min_probability: float = setting(
        0.4,
        "How sure the model must be of a suggestion's beginning for it to be shown while typing; "
        "0 shows everything.",
        at_least=0.0,
        at_most=1.0,
    )
    debounce_ms: int = setting(
        -1,
        "How many milliseconds to wait for the next keystroke; -1 chooses them by how fast you type and the "
        "model answers.",
        at_least=-1,
        at_most=2_000,
    )
    completion_items: bool = setting(
        False,
        "Whether editors without inline completion are given the first line as a completion item; read when "
        "the server starts, and of no effect where suggestions are shown inline.",
    )
    statistics: bool = setting(
        True, "Whether what was shown and accepted is counted, on this machine, for `crosslight stats`."
    )


@dataclass(frozen=True, slots=True)
class LoadedOptions:
    """Options, and what was wrong with those that an editor sent (each a sentence for the user)."""

    options: SessionOptions
    problems: tuple[str, ...] = ()


def read_options(sent: object) -> LoadedOptions:
    """Return the options that an editor sent, with or without the program's name around them.

    Nothing at all means the defaults.
    """
    if isinstance(sent, Mapping) and isinstance(inner := sent.get(SECTION, sent), Mapping):
        problems: list[str] = []
        table: Mapping[str, Any] = inner
        options = read_table(SessionOptions, table, problems, prefix=f"{SECTION}.", name_of=camel_case)
        return LoadedOptions(options, tuple(problems))
    if sent is None or sent == []:  # some editors' empty table
        return LoadedOptions(SessionOptions())
    return LoadedOptions(
        SessionOptions(), (f"the settings of {SECTION} must be an object; all keep their defaults",)
    )


def camel_case(name: str) -> str:
    """Return what a field is called in an editor's settings."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
