"""The user-level settings: one frozen dataclass tree, read from `config.toml`.

Only this file decides what runs and what is connected to; a workspace configures neither. An unknown key is
a warning, a bad value a message and the default: a typo in a settings file must never cost a completion.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from model.catalog import DEFAULT_MODEL

T = TypeVar("T")


def setting(default: T, doc: str, *, at_least: float | None = None, at_most: float | None = None) -> T:
    """Declare one setting with its default, its documentation and its bounds, beside its type.

    Numbers of tokens have a highest value each, so that all of them together never ask for more positions
    than models have, nor for a buffer that no machine has room for.
    """
    return field(default=default, metadata={"doc": doc, "at_least": at_least, "at_most": at_most})


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model completes, and on what."""

    name: str = setting(DEFAULT_MODEL, "An installed model; `crosslight model list` names them.")
    provider: Literal["auto", "cpu", "cuda"] = setting(
        "auto", "Where the model runs; `auto` takes a CUDA GPU if there is one and says when it fell back."
    )
    threads: int = setting(
        0, "Threads of the model on the CPU; 0 means one for each physical core.", at_least=0, at_most=512
    )


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    """How much is read and written for one completion."""

    prefix_tokens: int = setting(
        960, "Most tokens of whole lines before the cursor's.", at_least=16, at_most=8_192
    )
    suffix_tokens: int = setting(192, "Most tokens after the cursor.", at_least=0, at_most=4_096)
    prompt_tokens: int = setting(
        1344,
        "Most tokens of the prompt but definitions and the lines finished since it was cut; names and the "
        "cursor's line included.",
        at_least=64,
        at_most=16_384,
    )
    max_line_tokens: int = setting(64, "Most tokens of a single-line completion.", at_least=1, at_most=2_048)
    max_block_tokens: int = setting(192, "Most tokens of a multi-line completion.", at_least=1, at_most=2_048)
    deadline_ms: int = setting(
        20_000,
        "When generating must end; what was written until then is shown, while typing after 5,000 already.",
        at_least=1,
    )
    ahead: Literal["always", "plugged-in", "never"] = setting(
        "plugged-in",
        "Whether definitions and next suggestions are computed before they are asked for; `plugged-in` stops "
        "that on battery.",
    )


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """How many definitions a completion is given."""

    definitions: int = setting(12, "Most definitions that the model attends to.", at_least=0, at_most=128)
    definition_tokens: int = setting(192, "Most tokens of one definition.", at_least=16, at_most=1_024)
    deadline_ms: int = setting(
        150, "When it is over, retrievers not yet asked are left out, and named.", at_least=1
    )


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """How many definitions are kept encoded, and how long a completion waits for one that is not."""

    ram_mb: int = setting(256, "Most megabytes of memories in RAM; 1,000 tokens take 25.", at_least=0)
    disk_mb: int = setting(
        1024, "Most megabytes of memories on the disk; 1,000 tokens take 7. 0 keeps none there.", at_least=0
    )
    encode_ms: int = setting(
        100, "How long a line's first completion waits for its best definitions to be encoded.", at_least=0
    )


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where vectors live, and for how long the worker stays."""

    chroma_url: str = setting(
        "", "A Chroma server, such as `http://127.0.0.1:8000`; empty keeps the vectors on this machine."
    )
    chroma_token: str = setting("", "Sent to that server as a bearer token; empty sends none.")
    worker_idle_s: int = setting(600, "The index worker ends after so many idle seconds.", at_least=1)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The process that completes for all editors."""

    idle_s: int = setting(600, "The engine ends after so many seconds without an editor.", at_least=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; every default is documented beside its field."""

    model: ModelSettings = field(default_factory=ModelSettings)
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, and what was wrong with the file they came from (each a sentence for the user)."""

    settings: Settings
    problems: tuple[str, ...] = ()


def load_settings(path: Path) -> LoadedSettings:
    """Read the settings file; a missing one means all defaults, a broken one says so and means the same."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return LoadedSettings(Settings())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return LoadedSettings(Settings(), (f"{path}: {error}; all settings keep their defaults",))
    problems: list[str] = []
    settings = read_table(Settings, table, problems)
    return LoadedSettings(settings, tuple(f"{path}: {problem}" for problem in problems))


def read_table(
    cls: type[T],
    table: Mapping[str, Any],
    problems: list[str],
    *,
    prefix: str = "",
    name_of: Callable[[str], str] = lambda name: name,
) -> T:
    """Return the dataclass that a table of settings describes; what is wrong keeps its default.

    Args:
        cls: A frozen dataclass of settings, or of tables of them.
        table: What was read.
        problems: A sentence is added for each unknown key and bad value.
        prefix: Of the table's name, for those sentences.
        name_of: What the table calls a field.
    """
    hints = typing.get_type_hints(cls)
    fields = {name_of(f.name): f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if key not in fields:
            problems.append(f"unknown setting `{name}` is ignored; known here: {', '.join(fields)}")
            continue
        field_ = fields[key]
        hint = hints[field_.name]
        if dataclasses.is_dataclass(hint):
            if isinstance(value, dict):
                part = typing.cast("type[Any]", hint)
                values[field_.name] = read_table(part, value, problems, prefix=f"{name}.", name_of=name_of)
            else:
                problems.append(f"`{name}` must be a table; its settings keep their defaults")
        elif problem := _problem_with(value, hint, field_.metadata):
            problems.append(f"`{name}` {problem}; it keeps its default {field_.default!r}")
        else:
            values[field_.name] = tuple(value) if isinstance(value, list) else value
    return cls(**values)


_IN_WORDS: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}


def _problem_with(value: object, hint: object, metadata: types.MappingProxyType[Any, Any]) -> str | None:
    """Return what is wrong with a value for a field of this type, None if nothing is."""
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        return None if value in choices else f"must be one of {', '.join(map(repr, choices))}, not {value!r}"
    if hint == tuple[str, ...]:
        is_list = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        return None if is_list else f"must be a list of strings, not {value!r}"
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    # bool is an int to isinstance, never to a user
    if not isinstance(value, typing.cast("type", hint)) or isinstance(value, bool) is not (hint is bool):
        return f"must be {_IN_WORDS[typing.cast('type', hint)]}, not {value!r}"
    at_least, at_most = metadata.get("at_least"), metadata.get("at_most")
    if at_least is not None and typing.cast("float", value) < at_least:
        return f"must be at least {at_least}, not {value!r}"
    if at_most is not None and typing.cast("float", value) > at_most:
        return f"must be at most {at_most}, not {value!r}"
    return None
