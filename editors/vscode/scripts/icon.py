# ruff: noqa: INP001 - a script beside the extension, in no package
"""Draws images/icon.png: a cursor, and the light that falls on it from the lines of other files.

Drawn four times as large and scaled down, so that edges are smooth. Run it with the server's Python, which
has Pillow: `../../.venv/bin/python scripts/icon.py`.
"""

from pathlib import Path

from PIL import Image, ImageDraw

SIZE = 128
SCALE = 4
BACKGROUND = "#12202f"
LINES = ("#3d5a73", "#ffc857", "#3d5a73", "#ffc857", "#3d5a73")
CURSOR = "#f4f7fa"
LIGHT = (255, 200, 87, 90)


def draw() -> Image.Image:
    """Return the icon."""
    side = SIZE * SCALE
    icon = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(icon)
    pen.rounded_rectangle((0, 0, side - 1, side - 1), radius=26 * SCALE, fill=BACKGROUND)
    beams = Image.new("RGBA", icon.size, (0, 0, 0, 0))
    light = ImageDraw.Draw(beams)
    for row, colour in enumerate(LINES):
        top = (23 + 18 * row) * SCALE
        right = (46 + (7 * row) % 15) * SCALE
        if colour != LINES[0]:
            end = (88 * SCALE, 64 * SCALE)
            light.polygon([(right, top), (right, top + 9 * SCALE), end], fill=LIGHT)
        pen.rounded_rectangle((18 * SCALE, top, right, top + 9 * SCALE), radius=4.5 * SCALE, fill=colour)
    icon.alpha_composite(beams)
    pen.rounded_rectangle((84 * SCALE, 30 * SCALE, 92 * SCALE, 98 * SCALE), radius=3 * SCALE, fill=CURSOR)
    for y in (26, 96):
        pen.rounded_rectangle(
            (75 * SCALE, y * SCALE, 101 * SCALE, (y + 7) * SCALE), radius=3 * SCALE, fill=CURSOR
        )
    return icon.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    draw().save(Path(__file__).parents[1] / "images" / "icon.png", optimize=True)
