"""The plugin with a server that suggests what a test says, at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nvim_editor import Editor

SETUP = 'require("crosslight").setup({ cmd = { "true" } })\n'
"""What the program is does not matter: it is not started."""

_SERVER = f"dofile({str(Path(__file__).with_name('scripted_server.lua'))!r})\n"


def scripted(start: Callable[..., Editor], init: str = SETUP) -> Editor:
    """Start Neovim with that server, which suggests nothing yet; its file is empty."""
    editor = start("notes.txt", init=_SERVER + init)
    editor.until_ready()
    return editor


def suggest(editor: Editor, text: str | None) -> None:
    """Have this suggested from now on, wherever it is asked for."""
    editor.lua("_G.suggestion = ... ~= vim.NIL and ... or nil", text)


def own_keys(editor: Editor) -> list[str]:
    """Return the keys that the buffer itself maps in insert mode."""
    return sorted(one["lhs"] for one in editor.nvim.request("nvim_buf_get_keymap", 0, "i"))
