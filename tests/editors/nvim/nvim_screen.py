"""What Neovim shows: the grid of cells that it sends to a user interface, with each cell's highlight.

Neovim's documentation names the events (`:help ui-linegrid`, `:help ui-hlstate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

SIZE = (100, 30)
"""Columns and rows."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a cell looks; colours are 0xRRGGBB, None where they are the default."""

    foreground: int | None = None
    background: int | None = None
    bold: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    groups: frozenset[str] = frozenset()
    """The highlight groups that made it, as `:highlight` names them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the grid; behind a character of double width stands one whose text is empty."""

    text: str = " "
    style: int = 0


@dataclass(frozen=True, slots=True)
class Screen:
    """One finished screen, as a person sees it."""

    rows: tuple[tuple[Cell, ...], ...]
    styles: dict[int, Style]
    cursor: tuple[int, int]
    mode: str

    @property
    def lines(self) -> list[str]:
        return ["".join(cell.text for cell in row).rstrip() for row in self.rows]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def style(self, cell: Cell) -> Style:
        return self.styles[cell.style]

    def lines_in(self, groups: frozenset[str]) -> list[str]:
        """Return what is shown in these highlight groups, one text for each row that has some.

        Others may lie below: a suggestion takes what it is drawn on into its colours.
        """
        found = []
        for row in self.rows:
            text = "".join(cell.text for cell in row if self.style(cell).groups >= groups)
            if text:
                found.append(text)
        return found


@dataclass
class ScreenReader:
    """Follows the events of one grid, and keeps the last screen that was finished."""

    columns: int
    rows: int
    shown: Screen = field(init=False)
    _cells: list[list[Cell]] = field(default_factory=list)
    _styles: dict[int, Style] = field(default_factory=lambda: {0: Style()})
    _cursor: tuple[int, int] = (0, 0)
    _mode: str = "normal"

    def __post_init__(self) -> None:
        self._on_grid_resize(1, self.columns, self.rows)
        self._on_flush()

    def apply(self, batches: Sequence[Sequence[Any]]) -> None:
        """Take in one `redraw` notification."""
        for name, *events in batches:
            handle = getattr(self, f"_on_{name}", None)
            if handle is not None:
                for event in events:
                    handle(*event)

    def _on_flush(self) -> None:
        rows = tuple(tuple(row) for row in self._cells)
        self.shown = Screen(rows, dict(self._styles), self._cursor, self._mode)

    def _on_grid_resize(self, _grid: int, columns: int, rows: int) -> None:
        self._cells = [[Cell()] * columns for _ in range(rows)]

    def _on_grid_clear(self, _grid: int) -> None:
        self._cells = [[Cell()] * len(row) for row in self._cells]

    def _on_grid_line(
        self, _grid: int, row: int, column: int, cells: Sequence[Sequence[Any]], *_: Any
    ) -> None:
        style = 0
        for text, *rest in cells:
            style = rest[0] if rest else style
            n_times = rest[1] if len(rest) > 1 else 1
            self._cells[row][column : column + n_times] = [Cell(text, style)] * n_times
            column += n_times

    def _on_grid_scroll(
        self, _grid: int, top: int, bottom: int, left: int, right: int, rows: int, _columns: int
    ) -> None:
        before = [list(row) for row in self._cells]
        for row in range(top, bottom):
            if top <= row + rows < bottom:
                self._cells[row][left:right] = before[row + rows][left:right]

    def _on_grid_cursor_goto(self, _grid: int, row: int, column: int) -> None:
        self._cursor = (row, column)

    def _on_mode_change(self, name: str, _index: int) -> None:
        self._mode = name

    def _on_default_colors_set(self, foreground: int, background: int, *_: Any) -> None:
        self._styles[0] = replace(self._styles[0], foreground=foreground, background=background)

    def _on_hl_attr_define(
        self, number: int, colors: dict[str, Any], _terminal: Any, info: Sequence[dict[str, Any]]
    ) -> None:
        self._styles[number] = Style(
            foreground=colors.get("foreground"),
            background=colors.get("background"),
            bold=colors.get("bold", False),
            italic=colors.get("italic", False),
            underline=bool({"underline", "undercurl", "underdouble", "underdotted"} & colors.keys()),
            reverse=colors.get("reverse", False),
            groups=frozenset(one[name] for one in info for name in ("hi_name", "ui_name") if name in one),
        )
