"""A person at a Neovim: types, looks at the screen, waits for what should appear."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from command import Command
from nvim_rpc import Nvim
from nvim_screen import SIZE, Screen, ScreenReader

T = TypeVar("T")

PLUGIN = Path(__file__).parents[3] / "editors" / "nvim"
GHOST = frozenset({"CrosslightSuggestion"})
"""How suggestions look."""

INIT = 'require("crosslight").setup()\n'
"""What a user's init.lua says, who wants nothing special."""

_UI_OPTIONS = {"rgb": True, "ext_linegrid": True, "ext_hlstate": True}

_TELL_OF_REQUESTS = """
local channel = ...
vim.api.nvim_create_autocmd("LspRequest", {
  callback = function(event)
    local request = event.data.request
    vim.rpcnotify(channel, "lsp_request", request.method, request.type, event.data.request_id)
  end,
})
"""

_ASK_FOR_STATUS = """
local client = vim.lsp.get_clients({ name = "crosslight" })[1]
local command = { command = "crosslight.status" }
local answer, why = nil, "none is attached"
if client then
  answer, why = client:request_sync("workspace/executeCommand", command, 5000)
end
return vim.inspect(answer or why)
"""


def installed(command: Command, name: str, init: str) -> dict[str, str]:
    """Install the plugin for a Neovim of that name, and return its environment.

    The server's folders are those of the command, so editors that share them share its engine; Neovim's own
    go by the name.
    """
    environment = command.environment | {
        "PATH": f"{Path(command.program[0]).parent}:{command.environment['PATH']}",
        "NVIM_APPNAME": name,
    }
    plugins = Path(environment["XDG_DATA_HOME"], name, "site", "pack", "plugins", "start")
    shutil.copytree(PLUGIN, plugins / "crosslight")  # as plugin managers do
    config = Path(environment["XDG_CONFIG_HOME"], name)
    config.mkdir(parents=True)
    (config / "init.lua").write_text(init)
    return environment


class Editor:
    """One Neovim window.

    Args:
        program: Neovim.
        environment: Its environment; what the machine has for all users is left out of it.
        folder: Where it is started.
        files: What it opens.
        size: Columns and rows.
    """

    def __init__(
        self,
        program: Path,
        environment: Mapping[str, str],
        folder: Path,
        *files: str,
        size: tuple[int, int] = SIZE,
    ) -> None:
        self.asked: list[int] = []
        self.answered: list[int] = []
        self._reader = ScreenReader(*size)
        self._size = size
        nowhere = str(folder / "nowhere")
        self.nvim = Nvim(
            [str(program), "--embed", *files],
            {**environment, "XDG_DATA_DIRS": nowhere, "XDG_CONFIG_DIRS": nowhere},
            folder,
            on_notification=self._on_notification,
            look=lambda: f"{self.screen.text}\n(asked {self.asked}, answered {self.answered})",
        )

    def __enter__(self) -> Self:
        self.nvim.request("nvim_ui_attach", *self._size, _UI_OPTIONS)
        self.lua(_TELL_OF_REQUESTS, self.nvim.request("nvim_get_api_info")[0])
        return self

    def __exit__(self, *_: object) -> None:
        self.nvim.close()

    @property
    def screen(self) -> Screen:
        return self._reader.shown

    def open(self, name: str, text: str | None = None) -> None:
        """Open a file; with a text, replace what is in it, and insert where the text has a `|`."""
        self.keys("<Esc>")
        self.ex(f"edit {name}")
        if text is None:
            return
        before, _, after = text.removesuffix("\n").partition("|")
        self.nvim.request("nvim_buf_set_lines", 0, 0, -1, True, (before + after).split("\n"))
        row, column = before.count("\n"), len(before.rpartition("\n")[2].encode())
        self.nvim.request("nvim_win_set_cursor", 0, [row + 1, column])
        self.keys("a" if self.line.encode()[column:] == b"" and column else "i")

    def until_ready(self) -> None:
        """Wait until the server has its model, and knows the repository."""
        self.until(lambda: self.status == "ready", "server that is ready")

    @property
    def status(self) -> str:
        return self.lua('return require("crosslight").status().state')

    def keys(self, keys: str) -> None:
        """Press keys, named as in mappings, and return when Neovim has handled them."""
        while keys:
            keys = keys[self.nvim.request("nvim_input", keys) :]
        self.settle()

    def type(self, text: str) -> None:
        self.keys(text.replace("<", "<lt>").replace("\n", "<CR>"))

    def settle(self) -> None:
        """Return when all that was pressed is handled, and the screen shows what came of it."""
        self.nvim.request("nvim_eval", "1")  # the second is handled after what the keys scheduled
        self.nvim.request("nvim_eval", "1")
        self.ex("redraw")

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.nvim.request("nvim_exec_lua", code, arguments)

    def ex(self, command: str) -> str:
        """Run a command, and return what it prints."""
        return self.nvim.request("nvim_exec2", command, {"output": True})["output"]

    def until(self, condition: Callable[[], T], what: str) -> T:
        """Wait until something holds, and return what it is; fail with what the server says of itself."""
        try:
            return self.nvim.until(condition, what)
        except AssertionError as error:
            with suppress(Exception):  # what failed is what is to be seen, also where nobody answers any more
                error.add_note(f"the server: {self.lua(_ASK_FOR_STATUS)}")
            raise

    def until_suggested(self, *, other_than: str = "") -> str:
        """Wait until a suggestion is on the screen, and return what of it is to be seen."""
        return self.until(lambda: self.ghost if self.ghost != other_than else "", "suggestion")

    def until_answered(self, *, after: int = 0) -> None:
        """Wait until more than so many requests were sent, none is under way, and the screen shows it."""
        self.until(lambda: len(self.asked) > after, "request")
        self.until(lambda: {*self.asked} == {*self.answered}, "answer")
        self.settle()

    @property
    def ghost(self) -> str:
        """What of a suggestion is on the screen."""
        return "\n".join(self.screen.lines_in(GHOST))

    @property
    def after_cursor(self) -> str:
        """What stands on the screen from the cursor to the end of its row."""
        row, column = self.screen.cursor
        return "".join(cell.text for cell in self.screen.rows[row][column:]).rstrip()

    @property
    def messages(self) -> str:
        """What was said so far."""
        return self.ex("messages")

    @property
    def lines(self) -> list[str]:
        """The lines of the current buffer."""
        return self.nvim.request("nvim_buf_get_lines", 0, 0, -1, True)

    @property
    def line(self) -> str:
        """The cursor's line."""
        return self.nvim.request("nvim_get_current_line")

    def _on_notification(self, name: str, arguments: Any) -> None:
        if name == "redraw":
            self._reader.apply(arguments)
        elif name == "lsp_request":
            method, kind, number = arguments
            if method == "textDocument/inlineCompletion":
                (self.asked if kind == "pending" else self.answered).append(number)
