"""One VS Code and one window for all tests but those that need a new one; a picture of each failure."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import vscode_fetching
from command import Command, Homes
from fetching import Unavailable
from playwright.sync_api import Browser
from shop import write_shop
from vscode_server import VSCode, vscode
from vscode_window import Window, browser

CROSSLIGHT = str(Path(sys.executable).with_name("crosslight"))
IMAGES = Path(__file__).parents[3] / "editors" / "vscode" / "images"
Open = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(900))  # the first test waits for all that is fetched


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.failed and "window" in getattr(item, "funcargs", {}):
        report.sections.append(("picture", str(item.funcargs["window"].picture(f"failed {item.name}"))))
    return report


@pytest.fixture(scope="package")
def fetched() -> vscode_fetching.Fetched:
    try:
        return vscode_fetching.fetch()
    except Unavailable as reason:
        pytest.skip(f"THE VS CODE EXTENSION IS NOT TESTED: {reason}")


@pytest.fixture(scope="package")
def chromium(fetched: vscode_fetching.Fetched) -> Iterator[Browser]:
    with browser(fetched.browser) as running:
        yield running


@pytest.fixture(scope="package")
def pictures(artefacts: Path) -> Path:
    folder = artefacts / "vscode"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="package")
def home(editor_homes: Homes) -> Command:
    """A home whose engine is this suite's alone."""
    return editor_homes.new(with_model=True)


@pytest.fixture(scope="package")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("vscode") / "shop")


@pytest.fixture(scope="package")
def code(
    fetched: vscode_fetching.Fetched, home: Command, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VSCode]:
    with vscode(fetched, home, tmp_path_factory.mktemp("code"), server_path=CROSSLIGHT) as running:
        yield running


@pytest.fixture(scope="package")
def shared_window(chromium: Browser, code: VSCode, repository: Path, pictures: Path) -> Window:
    """A window that has come up, with the model loaded and the repository indexed."""
    window = new_window(chromium, pictures)
    window.go(code.url, repository)
    window.until_status("Crosslight: ready")
    window.picture("ready")
    return window


@pytest.fixture
def window(shared_window: Window) -> Iterator[Window]:
    """The shared window without an open file, whatever became of the test before."""
    if shared_window.status.startswith("Crosslight: error"):
        shared_window.run("Crosslight: Restart Server")
    shared_window.until_status("Crosslight: ready")
    yield shared_window
    shared_window.tidy()


@pytest.fixture
def open_file(window: Window, repository: Path) -> Iterator[Open]:
    """Writes a new file into the repository, and opens it; the cursor goes where a `|` stands."""
    written = []

    def write_and_open(name: str, text: str, *, line_end: str = "\n") -> Path:
        before, _, after = text.partition("|")
        file = repository / name
        file.write_bytes((before + after).replace("\n", line_end).encode())
        written.append(file)
        units = len(before.rpartition("\n")[2].encode("utf-16-le")) // 2
        window.open(name, before.count("\n") + 1, units + 1)
        return file

    yield write_and_open
    window.tidy()
    for file in written:
        file.unlink()


def new_window(
    running: Browser, pictures: Path, name: str = "", *, width: int = 1100, height: int = 700, scale: int = 1
) -> Window:
    """Return a window of a user who was never here."""
    context = running.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=scale, color_scheme="dark"
    )
    return Window(context.new_page(), pictures, name)
