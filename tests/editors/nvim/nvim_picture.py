"""Draws a screen as a picture, as a terminal would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nvim_screen import Screen, Style
from PIL import Image, ImageDraw, ImageFont

_FONT_PX = 15
_LINE_PX = 19
_MARGIN_PX = 10


def draw(screens: Sequence[Screen], font_file: Path, picture: Path) -> None:
    """Write screens into a PNG file, one below the other."""
    images = [_image(screen, font_file) for screen in screens]
    height = sum(image.height for image in images) + _MARGIN_PX * (len(images) - 1)
    whole = Image.new("RGB", (images[0].width, height), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height + _MARGIN_PX
    picture.parent.mkdir(parents=True, exist_ok=True)
    whole.quantize(64).save(picture, optimize=True)  # text has few colours


def _image(screen: Screen, font_file: Path) -> Image.Image:
    font = ImageFont.truetype(str(font_file), _FONT_PX)
    width = round(font.getlength("M"))
    defaults = screen.styles[0]
    n_rows, n_columns = len(screen.rows), len(screen.rows[0])
    size = (n_columns * width + 2 * _MARGIN_PX, n_rows * _LINE_PX + 2 * _MARGIN_PX)
    image = Image.new("RGB", size, _rgb(defaults.background))
    pen = ImageDraw.Draw(image)
    for row, cells in enumerate(screen.rows):
        for column, cell in enumerate(cells):
            style = screen.style(cell)
            front, back = _colours(style, defaults)
            left, top = _MARGIN_PX + column * width, _MARGIN_PX + row * _LINE_PX
            if screen.cursor == (row, column):
                if screen.mode == "insert":
                    pen.rectangle((left, top, left + 1, top + _LINE_PX - 1), fill=_rgb(defaults.foreground))
                else:
                    front, back = back, front
            n_wide = 2 if cells[column + 1 : column + 2] and cells[column + 1].text == "" else 1
            if back != _rgb(defaults.background):
                pen.rectangle((left, top, left + n_wide * width - 1, top + _LINE_PX - 1), fill=back)
            if cell.text.strip():
                pen.text((left, top + 1), cell.text, fill=front, font=font, stroke_width=0.3 * style.bold)
            if style.underline:
                pen.line((left, top + _LINE_PX - 2, left + width - 1, top + _LINE_PX - 2), fill=front)
    return image


def _colours(style: Style, defaults: Style) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    front = _rgb(defaults.foreground if style.foreground is None else style.foreground)
    back = _rgb(defaults.background if style.background is None else style.background)
    return (back, front) if style.reverse else (front, back)


def _rgb(colour: int | None) -> tuple[int, int, int]:
    assert colour is not None
    return colour >> 16, colour >> 8 & 255, colour & 255
