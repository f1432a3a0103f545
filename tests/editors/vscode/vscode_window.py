"""A window of VS Code in a browser, as its user has it before them.

Acts by keys and clicks only, and sees only what is on the screen. Everything is waited for, for as long as a
loaded machine may take.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import vscode_fetching
from playwright.sync_api import Browser, FrameLocator, Locator, Page, sync_playwright

T = TypeVar("T")

PATIENCE_S = 120
_STATUS = '[id="crosslight.crosslight.status"] a'
_LINES = """(wanted) => {
  const text = (line) => [...line.querySelectorAll("span > span")]
    .filter((span) => wanted === "all" || span.matches("[class*=ghost-text]") === (wanted === "ghost"))
    .map((span) => span.textContent).join("");
  const top = (line) => line.getBoundingClientRect().top;
  return [...document.querySelectorAll(".editor-instance .view-line")]
    .sort((one, other) => top(one) - top(other)).map(text);
}"""
"""The lines on the screen: of all that stands there, of the document alone, or of the ghost text alone."""


@contextmanager
def browser(fetched: vscode_fetching.Browser) -> Iterator[Browser]:
    """Run a browser without a screen."""
    environment = {**os.environ, **fetched.environment}
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=fetched.program, env=environment)
        try:
            yield running
        finally:
            running.close()


class Window:
    """One window, on one folder."""

    def __init__(self, page: Page, pictures: Path, name: str = "") -> None:
        self.page = page
        self._pictures = pictures
        self._name = f"{name} " if name else ""
        self._n_pictures = 0
        page.set_default_timeout(PATIENCE_S * 1000)

    def go(self, url: str, folder: Path, *, trusting: bool = True) -> None:
        """Open a folder, and answer whether its authors are trusted."""
        self.page.goto(f"{url}/?folder={folder}")
        answer = "Yes, I trust the authors" if trusting else "No, I don't trust the authors"
        self.page.get_by_role("button", name=answer).click()
        self.page.locator(".statusbar-item").first.wait_for()

    # what a user does

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        """Type as fast as people do who know what they want."""
        self.page.keyboard.type(text, delay=60)

    def open(self, name: str, line: int = 1, column: int = 1) -> None:
        """Open a file of the folder, with the cursor at a place counted from 1."""
        # the place is typed once the file is found, or nothing is found
        self._pick("Control+p", name, name.rpartition("/")[2], then=f":{line}:{column}")
        self.until(lambda: self.place[0], lambda shown: shown == line, "the cursor's line")
        # A new editor lacks the part that asks for suggestions until the window was idle once. Idle callbacks
        # are called in the order of their requests, so once ours is called, the editor is complete.
        self.page.evaluate("() => new Promise(requestIdleCallback)")

    def run(self, command: str) -> None:
        """Run a command from the palette, by its whole title."""
        self._pick("F1", command, command)

    def click_status(self) -> None:
        """Click what the status bar says of Crosslight."""
        self.page.locator(_STATUS).click()

    def choose(self, entry: str) -> None:
        """Choose an entry of the list that has just opened."""
        self.entries.filter(has_text=entry).first.click()

    def _pick(self, key: str, query: str, entry: str, then: str = "") -> None:
        self.press(key)
        self.page.locator(".quick-input-widget input[aria-controls=quickInput_list]").wait_for()
        self.page.keyboard.type(query, delay=10)
        # Enter takes the entry in focus, and that may be another one while the list is still being sorted.
        self.page.locator(".quick-input-list .monaco-list-row.focused").filter(has_text=entry).wait_for()
        self.page.keyboard.type(then)
        self.press("Enter")
        self.page.locator(".quick-input-widget").wait_for(state="hidden")

    def save(self) -> None:
        self.press("Control+s")
        self.page.locator(".tab.active.dirty").wait_for(state="hidden")

    def tidy(self) -> None:
        """Close every list, message and file, whatever was typed into it."""
        self.press("Escape", "Escape", "Escape")
        self.press("Control+Alt+F9")
        if self.page.locator(".part.panel").is_visible():
            self.press("Control+j")
        tabs = self.page.locator(".tabs-container .tab")
        while n_tabs := tabs.count():
            self.press("Control+Alt+F10")
            self.until(tabs.count, lambda n, before=n_tabs: n < before, "the number of tabs")

    # what a user sees

    @property
    def status(self) -> str:
        """What the status bar says of Crosslight, as it is read aloud; empty where there is no such item."""
        found = self.page.locator(_STATUS)
        return found.get_attribute("aria-label") or "" if found.count() else ""

    @property
    def ghost(self) -> str:
        """The ghost text; empty where there is none."""
        return "\n".join(line for line in self._lines("ghost") if line)

    @property
    def text(self) -> list[str]:
        """The lines of the document that are on the screen."""
        return self._lines("document")

    @property
    def place(self) -> tuple[int, int]:
        """The cursor's line and column, counted from 1 as they are seen; zeros where there is no editor."""
        found = self.page.locator(".statusbar-item a", has_text="Ln ")
        words = found.inner_text().replace(",", "").split() if found.count() else []
        return (int(words[1]), int(words[3])) if len(words) >= 4 else (0, 0)

    @property
    def entries(self) -> Locator:
        """The entries of the list that is open."""
        return self.page.locator(".quick-input-list .monaco-list-row")

    @property
    def messages(self) -> list[str]:
        """The messages in the corner."""
        return self.page.locator(".notifications-toasts .notification-list-item-message").all_inner_texts()

    @property
    def panel(self) -> str:
        """The lines of the panel below the editors."""
        lines = self.page.locator(".part.panel .view-line").all_inner_texts()
        return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")

    def message(self, text: str) -> Locator:
        """A message in the corner that has a text, once it is there."""
        found = self.page.locator(".notifications-toasts .notification-list-item", has_text=text).first
        found.wait_for()
        return found

    @property
    def webview(self) -> FrameLocator:
        """What the webview that is open shows."""
        return self.page.frame_locator("iframe.webview.ready").frame_locator("iframe#active-frame")

    def _lines(self, wanted: str) -> list[str]:
        lines: list[str] = self.page.evaluate(_LINES, wanted)
        return [line.replace("\N{NO-BREAK SPACE}", " ").replace("\N{ZERO WIDTH SPACE}", "") for line in lines]

    # waiting

    def until(self, look: Callable[[], T], is_right: Callable[[T], object] = bool, what: str = "it") -> T:
        """Look until what is seen is right, and return it.

        Raises:
            AssertionError: It never was; says what was seen last, and keeps a picture.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not is_right(seen := look()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} is {seen!r}, see {self.picture('given up')}")
            self.page.wait_for_timeout(20)  # lets the browser's events in
        return seen

    def until_ghost(self, is_right: Callable[[str], object] = bool) -> str:
        return self.until(lambda: self.ghost, is_right, "the ghost text")

    def until_no_ghost(self) -> None:
        self.until(lambda: self.ghost, lambda ghost: not ghost, "the ghost text")

    def until_no_ghost_of(self, suggested: str) -> None:
        """Wait until a suggestion that was accepted is part of the text."""
        self.until(lambda: self.ghost, lambda ghost: suggested not in ghost, "the ghost text")

    def until_status_like(self, *beginnings: str) -> str:
        return self.until(lambda: self.status, lambda label: label.startswith(beginnings), "the status")

    def until_status(self, *labels: str) -> str:
        return self.until(lambda: self.status, lambda label: label in labels, "the status")

    def picture(self, step: str) -> Path:
        """Keep what the screen shows."""
        self._n_pictures += 1
        file = self._pictures / f"{self._name}{self._n_pictures:02} {step}.png"
        self.page.screenshot(path=file, animations="disabled")
        return file
