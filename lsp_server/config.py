"""The user-level settings: one frozen dataclass tree, read from `config.toml`.

Only this file decides what runs and what is connected to; a workspace configures neither. An unknown key is
a warning, a bad value a message and the default: a typo in a settings file must never cost a completion.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from model.catalog import DEFAULT_MODEL

T = TypeVar("T")


def _setting(default: T, doc: str, *, at_least: int | None = None, at_most: int | None = None) -> T:
    """Declare one setting with its default, its documentation and its bounds, beside its type.

    Numbers of tokens have a highest value each, so that all of them together never ask for more positions
    than models have, nor for a buffer that no machine has room for.
    """
    return field(default=default, metadata={"doc": doc, "at_least": at_least, "at_most": at_most})


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model completes, and on what."""

    name: str = _setting(DEFAULT_MODEL, "An installed model; `crosslight model list` names them.")
    provider: Literal["auto", "cpu", "cuda"] = _setting(
        "auto", "Where the model runs; `auto` takes a CUDA GPU if there is one and says when it fell back."
    )
    threads: int = _setting(
        0, "Threads of the model on the CPU; 0 means one for each physical core.", at_least=0
    )


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    """How much is read and written for one completion."""

    prefix_tokens: int = _setting(
        768, "Most tokens of whole lines before the cursor's.", at_least=16, at_most=8_192
    )
    suffix_tokens: int = _setting(192, "Most tokens after the cursor.", at_least=0, at_most=4_096)
    prompt_tokens: int = _setting(
        1024,
        "Most tokens of the whole prompt but the definitions, names and the cursor's line included.",
        at_least=64,
        at_most=16_384,
    )
    max_line_tokens: int = _setting(64, "Most tokens of a single-line completion.", at_least=1, at_most=2_048)
    max_block_tokens: int = _setting(
        192, "Most tokens of a multi-line completion.", at_least=1, at_most=2_048
    )
    deadline_ms: int = _setting(
        20_000, "When generating must end; what was written until then is shown.", at_least=1
    )
    ahead: Literal["always", "plugged-in", "never"] = _setting(
        "plugged-in",
        "Whether definitions and next suggestions are computed before they are asked for; `plugged-in` stops "
        "that on battery.",
    )


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """How many definitions a completion is given."""

    definitions: int = _setting(12, "Most definitions that the model attends to.", at_least=0, at_most=128)
    definition_tokens: int = _setting(192, "Most tokens of one definition.", at_least=16, at_most=1_024)
    deadline_ms: int = _setting(
        150, "When it is over, retrievers not yet asked are left out, and named.", at_least=1
    )


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """How many definitions are kept encoded, and how long a completion waits for one that is not."""

    ram_mb: int = _setting(256, "Most megabytes of memories in RAM; 1,000 tokens take 25.", at_least=0)
    disk_mb: int = _setting(
        1024, "Most megabytes of memories on the disk; 1,000 tokens take 7. 0 keeps none there.", at_least=0
    )
    encode_ms: int = _setting(
        100, "How long a completion while typing waits for definitions to be encoded.", at_least=0
    )


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where vectors live, and for how long the worker stays."""

    chroma_url: str = _setting(
        "", "A Chroma server, such as `http://127.0.0.1:8000`; empty keeps the vectors on this machine."
    )
    chroma_token: str = _setting("", "Sent to that server as a bearer token; empty sends none.")
    worker_idle_s: int = _setting(600, "The index worker ends after so many idle seconds.", at_least=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; every default is documented beside its field."""

    model: ModelSettings = field(default_factory=ModelSettings)
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    index: IndexSettings = field(default_factory=IndexSettings)


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
    settings = _read_table(Settings, table, "", problems)
    return LoadedSettings(settings, tuple(f"{path}: {problem}" for problem in problems))


def _read_table(cls: type[T], table: dict[str, Any], prefix: str, problems: list[str]) -> T:
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if key not in fields:
            problems.append(f"unknown setting `{name}` is ignored; known here: {', '.join(fields)}")
        elif dataclasses.is_dataclass(hints[key]):
            if isinstance(value, dict):
                values[key] = _read_table(typing.cast("type[Any]", hints[key]), value, f"{name}.", problems)
            else:
                problems.append(f"`{name}` must be a table; its settings keep their defaults")
        elif problem := _problem_with(value, hints[key], fields[key].metadata):
            problems.append(f"`{name}` {problem}; it keeps its default {fields[key].default!r}")
        else:
            values[key] = value
    return cls(**values)


def _problem_with(value: object, hint: object, metadata: types.MappingProxyType[Any, Any]) -> str | None:
    """Return what is wrong with a value for a field of this type, None if nothing is."""
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        return None if value in choices else f"must be one of {', '.join(map(repr, choices))}, not {value!r}"
    # bool is an int to isinstance, never to a user
    if not isinstance(value, typing.cast("type", hint)) or isinstance(value, bool) is not (hint is bool):
        return f"must be {typing.cast('type', hint).__name__}, not {value!r}"
    at_least, at_most = metadata.get("at_least"), metadata.get("at_most")
    if at_least is not None and typing.cast("int", value) < at_least:
        return f"must be at least {at_least}, not {value!r}"
    if at_most is not None and typing.cast("int", value) > at_most:
        return f"must be at most {at_most}, not {value!r}"
    return None
