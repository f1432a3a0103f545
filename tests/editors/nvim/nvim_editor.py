"""A person at a Neovim: types, looks at the screen, waits for what should appear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from command import Command
from nvim_rpc import Nvim
from nvim_screen import COLUMNS, ROWS, Screen, ScreenReader

T = TypeVar("T")

PLUGIN = Path(__file__).parents[3] / "editors" / "nvim"
GHOST = "CrosslightSuggestion"
"""The highlight group of suggestions."""

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


class Editor:
    """One Neovim window, with the plugin installed as a user installs it."""

    def __init__(
        self,
        program: Path,
        command: Command,
        folder: Path,
        *,
        init: str,
        own: Path,
        files: Sequence[str] = (),
    ) -> None:
        self.command = command
        self.asked: list[int] = []
        self.answered: list[int] = []
        self._reader = ScreenReader()
        site = own / "data" / "nvim" / "site" / "pack" / "plugins" / "start"
        site.mkdir(parents=True)
        (site / "crosslight").symlink_to(PLUGIN)
        (own / "config" / "nvim").mkdir(parents=True)
        (own / "config" / "nvim" / "init.lua").write_text(init)
        # the server keeps its own folders, so that editors share an engine; Neovim has its own each time
        environment = command.environment | {
            "XDG_CONFIG_HOME": str(own / "config"),
            "XDG_STATE_HOME": str(own / "state"),
            "XDG_DATA_DIRS": str(own / "none"),
            "XDG_CONFIG_DIRS": str(own / "none"),
            "NVIM_LOG_FILE": str(own / "nvim.log"),
        }
        self.nvim = Nvim(
            [str(program), "--embed", *files], environment, folder, on_notification=self._on_notification
        )

    def __enter__(self) -> Self:
        self.nvim.request("nvim_ui_attach", COLUMNS, ROWS, _UI_OPTIONS)
        self.lua(_TELL_OF_REQUESTS, self.nvim.request("nvim_get_api_info")[0])
        return self

    def __exit__(self, *_: object) -> None:
        self.nvim.close()

    @property
    def screen(self) -> Screen:
        return self._reader.shown

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
        """Wait until something holds, and return what it is."""
        return self.nvim.until(condition, lambda: f"no {what}\n{self.screen.text}\n{self.ex('messages')}")

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
