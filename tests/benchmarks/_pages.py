"""The dashboard of the current workspace in headless Chromium, for benchmarks."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for the makers of runs, which the tests share

from dashboard.screenshots import _SERVE
from tests.dashboard.browsing import SETTLED

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE = 300_000  # milliseconds
REST = 3000  # milliseconds before a measurement: the browser ends what the page before began


@contextlib.contextmanager
def browsed() -> Iterator[tuple[Page, str, int]]:
    """A tab, the dashboard's address, and the id of its process."""
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome-stable"))), None)
    if executable is None:
        raise SystemExit("Chromium is needed (Debian's package: chromium).")
    server = subprocess.Popen([sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        result = re.search(r"http://\S+", server.stdout.readline())
        if result is None:
            raise SystemExit("The dashboard could not be started.")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(PATIENCE)
            yield page, result[0].rstrip("/"), server.pid
            browser.close()
    finally:
        server.terminate()
        server.wait(15)


def seconds_until(page: Page, url: str, ready: str = SETTLED) -> float:
    """From opening the page until it has its heading and the JavaScript function ``ready`` says yes."""
    page.goto("about:blank")
    page.wait_for_timeout(REST)
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("h1")
    page.wait_for_function(ready)
    return time.perf_counter() - began


def seconds_after_click(page: Page, title: str, ready: str) -> float:
    """From a click in the navigation, on another page, until that page has its heading and ``ready`` says yes."""
    page.locator("[data-testid=stSidebarNavLink]", has_text="Home").click()
    page.wait_for_selector(f"h1:not(:has-text('{title}'))")
    page.wait_for_timeout(REST)
    began = time.perf_counter()
    page.locator("[data-testid=stSidebarNavLink]", has_text=title).click()
    page.wait_for_selector(f"h1:has-text('{title}')")
    page.wait_for_function(ready)
    return time.perf_counter() - began
