"""Debian's Chromium without a window: a page as a reader has it, and what it does that it should not."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

OWN = ("file:", "data:", "blob:")
"""Addresses that leave no trace outside the page."""
WINDOW = {"viewport": {"width": 1000, "height": 1600}, "reduced_motion": "reduce"}


class Chromium:
    """A browser.

    Attributes:
        faults: errors and warnings of the pages, dialogs that they open, and addresses that they ask for.
    """

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser, self.folder, self.numbers = browser, folder, count()
        self.faults: list[str] = []

    def open(self, html: str, **options: Any) -> Any:
        """Return playwright's page of this HTML, ready, in a window with these options of playwright's."""
        page = self.browser.new_context(**{**WINDOW, **options}).new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: said.type in ("error", "warning") and self.faults.append(said.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(OWN) or self.faults.append(asked.url))
        page.on("dialog", self._refused)
        path = self.folder / f"{next(self.numbers)}.html"
        path.write_text(html, "utf-8")
        page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_function("document.documentElement.dataset.ready !== undefined")
            page.wait_for_timeout(50)  # heads in sight are drawn
        return page

    def _refused(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def close_pages(self) -> None:
        """Close all pages, and forget what they did."""
        for context in self.browser.contexts:
            context.close()
        self.faults = []


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Start the browser, which reads pages from a folder; skip where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield Chromium(browser, folder)
        browser.close()
