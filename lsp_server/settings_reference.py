"""The reference of all settings, read off where they are declared.

`python -m lsp_server.settings_reference` prints what `docs/settings.md` holds, with `--vscode` what VS Code's
extension declares of its settings; tests keep each the same as what is kept.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import typing
from collections.abc import Iterator
from typing import Any, Literal

from lsp_server.config import Settings
from lsp_server.server.options import SECTION, SessionOptions, camel_case

__all__ = ["settings_reference", "vscode_settings"]

_HEAD = """\
# Settings

Written by `python -m lsp_server.settings_reference`; do not edit.

What runs and what is connected to is set in one file that belongs to the user; what is shown in an editor is
set in that editor. An unknown name or a bad value is said, and costs nothing: the default holds.

## The user's file

`config.toml`, in the folder that `crosslight cache info` names under settings (on Linux
`~/.config/crosslight`). A workspace can change none of it.
"""
_EDITOR = """
## The editor's settings

Sent as `initializationOptions` and with `workspace/didChangeConfiguration`, under `{section}`: in VS Code's
`settings.json` as `"{section}.inStrings": false`, in Neovim as
`settings = {{ {section} = {{ inStrings = false }} }}`.

"""
_NOT_IN_VSCODE = frozenset({"completion_items"})
"""VS Code has inline completion; for others they are a substitute."""
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_TABLE = "| name | type | default | what it does |\n| --- | --- | --- | --- |"


def settings_reference() -> str:
    """Return the reference as Markdown."""
    lines = [_HEAD]
    for part in dataclasses.fields(Settings):
        cls = typing.get_type_hints(Settings)[part.name]
        lines += [f"### `[{part.name}]`", "", f"{cls.__doc__}", "", _TABLE]
        lines += [_row(name, *more) for name, *more in _settings(cls)]
        lines.append("")
    lines[-1] = _EDITOR.format(section=SECTION).rstrip("\n")
    lines += ["", _TABLE]
    lines += [_row(camel_case(name), *more) for name, *more in _settings(SessionOptions)]
    return "\n".join(lines) + "\n"


def vscode_settings() -> dict[str, Any]:
    """Return one part of an extension's `contributes.configuration`: the settings as JSON schemas."""
    hints = typing.get_type_hints(SessionOptions)
    properties = {
        f"{SECTION}.{camel_case(field.name)}": _schema(hints[field.name], field)
        for field in dataclasses.fields(SessionOptions)
        if field.name not in _NOT_IN_VSCODE
    }
    return {"title": "Suggestions", "properties": properties}


def _schema(hint: Any, field: dataclasses.Field[Any]) -> dict[str, Any]:  # noqa: ANN401 - as `_type_name`
    schema: dict[str, Any] = {}
    if typing.get_origin(hint) is Literal:
        schema |= {"type": "string", "enum": list(typing.get_args(hint))}
    elif hint in _JSON_TYPES:
        schema["type"] = _JSON_TYPES[hint]
    else:
        schema |= {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    schema |= {"default": default, "markdownDescription": field.metadata["doc"]}
    bounds = {"minimum": field.metadata["at_least"], "maximum": field.metadata["at_most"]}
    return schema | {name: bound for name, bound in bounds.items() if bound is not None}


def _settings(cls: type[Any]) -> Iterator[tuple[str, str, Any, str]]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        yield field.name, _type_name(hints[field.name], field.metadata), field.default, field.metadata["doc"]


def _type_name(hint: Any, metadata: Any) -> str:  # noqa: ANN401 - any type that settings have
    if typing.get_origin(hint) is Literal:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in typing.get_args(hint))
    name = {bool: "true or false", int: "whole number", float: "number", str: "text"}.get(
        hint, "list of texts"
    )
    low, high = metadata["at_least"], metadata["at_most"]
    if low is not None and high is not None:
        return f"{name}, {low:,g} to {high:,g}"
    return f"{name}, at least {low:,g}" if low is not None else name


def _row(name: str, type_name: str, default: object, doc: str) -> str:
    shown = json.dumps(list(default) if isinstance(default, tuple) else default)
    cells = (f"`{name}`", type_name, f"`{shown}`", doc)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    if "--vscode" in sys.argv[1:]:
        print(json.dumps(vscode_settings(), indent=2))
    else:
        print(settings_reference(), end="")
