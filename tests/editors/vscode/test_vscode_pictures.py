"""The pictures that the extension's page shows, made anew when asked for (`make test-editors SHOW=1`)."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from conftest import IMAGES, new_window
from PIL import Image

SHOWN = """from shop.invoice import Invoice


def bill_for_coffee(invoice: Invoice) -> None:
    \"\"\"Add two cups of coffee to an invoice.\"\"\"
    |
"""
CLIP = {"x": 48, "y": 36, "width": 672, "height": 176}  # the text, without what stands beside it
MAX_PICTURE_BYTES = 150_000
MAX_RECORDING_BYTES = 500_000


@pytest.fixture
def shop_window(makes_readme_pictures, chromium, code, repository, pictures):
    if not makes_readme_pictures:
        pytest.skip("pictures of the README are made on demand")
    window = new_window(chromium, pictures, "readme", width=720, height=400, scale=2)
    window.go(code.url, repository)
    window.until_status("Crosslight: ready")
    window.press("Control+b")  # no files beside the text
    yield window
    window.tidy()
    window.page.context.close()


def frame_of(window) -> Image.Image:
    shot = Image.open(io.BytesIO(window.page.screenshot(clip=CLIP, animations="disabled", caret="initial")))
    return shot.convert("RGB")


def with_few_colours(frame: Image.Image) -> Image.Image:
    return frame.quantize(96, dither=Image.Dither.NONE)


def test_pictures_of_the_readme(shop_window, repository):
    window = shop_window
    file = repository / "coffee.py"
    before, _, after = SHOWN.partition("|")
    file.write_text(before + after)
    window.open("coffee.py", before.count("\n") + 1, 5)
    frames = [(frame_of(window), 800)]
    for key in "invoice.add_":
        window.press(key)
        window.page.wait_for_timeout(30)
        frames.append((frame_of(window), 90))
    window.until_ghost(lambda ghost: ghost.startswith("line("))
    shown = frame_of(window)
    frames.append((shown, 1600))
    window.press("Control+ArrowRight")
    window.until(lambda: window.text[5], lambda line: line.endswith("add_line"), "the line")
    window.until_ghost()
    frames.append((frame_of(window), 1000))
    window.press("Tab")
    window.until(lambda: window.text[5], lambda line: line.endswith(")"), "the line")
    frames.append((frame_of(window), 2000))
    file.unlink()

    save_picture(shown, IMAGES / "completion.png")
    save_recording(frames, IMAGES / "recording.gif")
    assert (IMAGES / "completion.png").stat().st_size <= MAX_PICTURE_BYTES
    assert (IMAGES / "recording.gif").stat().st_size <= MAX_RECORDING_BYTES


def save_picture(frame: Image.Image, file: Path) -> None:
    with_few_colours(frame).save(file, optimize=True)


def save_recording(frames: list[tuple[Image.Image, int]], file: Path) -> None:
    images = [with_few_colours(frame) for frame, _ in frames]
    images[0].save(
        file,
        save_all=True,
        append_images=images[1:],
        duration=[duration_ms for _, duration_ms in frames],
        loop=0,
        optimize=True,
    )
