"""The chart of an evaluation: a panel a metric, a group of bars a kind of case, a bar an arm, with intervals.

Drawn with Pillow alone: a plotting library would take ten times the disk for three panels of bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lsp_server.evaluation.intervals import Estimate
from lsp_server.evaluation.summary import NLL, Summary

__all__ = ["draw_chart"]


@dataclass(frozen=True, slots=True)
class _Panel:
    metric: str
    title: str
    top: float | None
    """Of the axis; None fits it to the highest interval."""


_PANELS = (
    _Panel("exact_match", "exact match", 1.0),
    _Panel("edit_similarity", "edit similarity", 1.0),
    _Panel(NLL, "nats a byte (lower is better)", None),
)
_COLOURS = ("#8d99a6", "#2a6fdb", "#e07a1f", "#3a9d5d", "#9b4fc4", "#c9405a")
"""By arm; they go round."""
_INK, _GRID, _PAPER = "#22272e", "#dde2e7", "#ffffff"
_SCALE = 2
"""Everything below is in points of half this many pixels, so that text is sharp on dense screens."""
_PANEL_WIDTH, _PANEL_HEIGHT = 420, 250
_LEFT, _TOP, _BOTTOM = 46, 34, 34
_LEGEND_HEIGHT = 30
_GROUP_SHARE = 0.78
"""Of a kind's width that its bars fill."""
_N_GRID_LINES = 4


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A drawing whose coordinates are points."""

    draw: ImageDraw.ImageDraw

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: int = 1) -> None:
        self.draw.line([(x * _SCALE, y * _SCALE) for x, y in points], fill=colour, width=width * _SCALE)

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        self.draw.rectangle((left * _SCALE, top * _SCALE, right * _SCALE, bottom * _SCALE), fill=colour)

    def text(self, x: float, y: float, text: str, anchor: str, size: int = 12) -> None:
        font = ImageFont.load_default(size * _SCALE)
        self.draw.text((x * _SCALE, y * _SCALE), text, fill=_INK, font=font, anchor=anchor)


def draw_chart(summary: Summary, file: Path) -> None:
    """Write a PNG of the summary.

    Raises:
        OSError: The file cannot be written.
    """
    panels = [panel for panel in _PANELS if _estimates(summary, panel.metric)]
    size = (_PANEL_WIDTH * len(panels) * _SCALE, (_PANEL_HEIGHT + _LEGEND_HEIGHT) * _SCALE)
    image = Image.new("RGB", size, _PAPER)
    canvas = _Canvas(ImageDraw.Draw(image))
    for index, panel in enumerate(panels):
        _draw_panel(canvas, index * _PANEL_WIDTH, summary, panel)
    x = float(_LEFT)
    for index, arm in enumerate(_arms(summary)):
        y = _PANEL_HEIGHT + _LEGEND_HEIGHT / 2
        canvas.box(x, y - 5, x + 10, y + 5, _COLOURS[index % len(_COLOURS)])
        canvas.text(x + 15, y, arm, "lm")
        x += 40 + 7 * len(arm)
    image.save(file, "PNG", optimize=True)


def _draw_panel(canvas: _Canvas, x: float, summary: Summary, panel: _Panel) -> None:
    metric = panel.metric
    highest = panel.top or 1.1 * max(estimate.high for estimate in _estimates(summary, metric)) or 1.0
    bottom_y = _PANEL_HEIGHT - _BOTTOM
    left, right = x + _LEFT, x + _PANEL_WIDTH - 10

    def y_of(value: float) -> float:
        return bottom_y - (bottom_y - _TOP) * min(value, highest) / highest

    canvas.text(left, 14, panel.title, "lm", 14)
    for step in range(_N_GRID_LINES + 1):
        value = highest * step / _N_GRID_LINES
        canvas.line([(left, y_of(value)), (right, y_of(value))], _GRID)
        canvas.text(left - 6, y_of(value), f"{value:.2f}", "rm", 11)
    group = (right - left) / len(summary.kinds)
    arms = _arms(summary)
    width = group * _GROUP_SHARE / len(arms)
    for number, (kind, by_arm) in enumerate(summary.kinds.items()):
        middle = left + group * (number + 0.5)
        canvas.text(middle, bottom_y + 14, f"{kind} ({max(one.n for one in by_arm.values())})", "mm")
        for index, arm in enumerate(arms):
            estimate = by_arm[arm].metrics[metric] if arm in by_arm else None
            if estimate is None:
                continue
            bar = middle - group * _GROUP_SHARE / 2 + index * width
            canvas.box(
                bar + 1, y_of(estimate.mean), bar + width - 1, bottom_y, _COLOURS[index % len(_COLOURS)]
            )
            whisker = bar + width / 2
            canvas.line([(whisker, y_of(estimate.low)), (whisker, y_of(estimate.high))], _INK)


def _arms(summary: Summary) -> list[str]:
    return list(dict.fromkeys(arm for arms in summary.kinds.values() for arm in arms))


def _estimates(summary: Summary, metric: str) -> list[Estimate]:
    arms = [figures for arms in summary.kinds.values() for figures in arms.values()]
    return [estimate for figures in arms if (estimate := figures.metrics[metric]) is not None]
