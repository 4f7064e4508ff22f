"""Debian's Chromium without a window: a page as a reader has it, and what it does that it should not."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hf_attn.explain.attribution import Attribution
from hf_attn.explain.page import page as html_of

OWN = ("file:", "data:", "blob:")
"""Addresses that ask nobody else."""
PIXELS = """canvases => canvases.map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: canvas.height }, (_, row) => Array.from({ length: canvas.width },
    (_, column) => (255 - data[4 * (row * canvas.width + column)]) / (255 - 0x6f)));
})"""
"""Shares from 0 to 1 that canvases show, (rows, columns) each, in light colours."""


class Chromium:
    """A browser with one page, which is cheaper than a page for each test.

    Attributes:
        faults: errors and warnings of the page, dialogs that it opens, and addresses that it asks for.
    """

    def __init__(self, browser: Any, folder: Path) -> None:
        self.folder, self.numbers = folder, count()
        self.faults: list[str] = []
        self.browser, self.pages = browser, {}

    def show(self, *inputs: list[Attribution], **options: Any) -> Any:
        """Return playwright's page of inputs, opened as by :meth:`open`."""
        return self.open(html_of(inputs), **options)

    def open(self, html: str, scheme: str = "light", height: int = 1600, *, scripts: bool = True) -> Any:
        """Return playwright's page of this HTML, ready.

        Args:
            html: of it.
            scheme: of colours that its reader prefers.
            height: of the window, in pixels.
            scripts: whether they run.
        """
        if scripts not in self.pages:
            self.pages[scripts] = self._page(scripts)
        page = self.pages[scripts]
        page.mouse.move(0, 0)
        page.emulate_media(media="screen", color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": 1000, "height": height})
        path = self.folder / f"{next(self.numbers)}.html"
        path.write_text(html, "utf-8")
        page.goto(path.as_uri())
        if scripts:
            until(page, "document.documentElement.dataset.ready")
            page.wait_for_timeout(50)  # heads in sight are drawn
        return page

    def forget(self) -> None:
        """Leave the page, and forget what it did."""
        for page in self.pages.values():
            if page.url != "about:blank":
                page.goto("about:blank")
        self.faults.clear()

    def _page(self, scripts: bool) -> Any:
        page = self.browser.new_context(java_script_enabled=scripts).new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: said.type in ("error", "warning") and self.faults.append(said.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(OWN) or self.faults.append(asked.url))
        page.on("dialog", self._refused)
        return page

    def _refused(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()


def until(page: Any, true: str, seconds: float = 5.0) -> None:
    """Wait until an expression is true; playwright's own way is forbidden by the pages' policy."""
    for _ in range(round(seconds / 0.02)):
        if page.evaluate(true):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"it never became true that {true}")


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Start the browser, whose pages come from a folder; skip where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield Chromium(browser, folder)
        browser.close()
