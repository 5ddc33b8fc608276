"""Open the dashboard of the current workspace in headless Chromium, for benchmarks."""

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

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for the helpers that the tests share

from dashboard.screenshots import _SERVE
from tests.dashboard.browsing import SETTLED

if TYPE_CHECKING:
    from playwright.sync_api import Page

TIMEOUT = 300_000  # milliseconds
PAUSE = 3000  # milliseconds before a measurement, in which the browser finishes work for the previous page


@contextlib.contextmanager
def open_dashboard() -> Iterator[tuple[Page, str, int]]:
    """Serve the dashboard; yield a browser tab, the dashboard's URL and the id of its process."""
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome-stable"))), None)
    if executable is None:
        raise SystemExit("This benchmark needs Chromium (Debian's package: chromium).")
    server = subprocess.Popen([sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = re.search(r"http://\S+", server.stdout.readline())
        if url is None:
            raise SystemExit("The dashboard could not be started.")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(TIMEOUT)
            yield page, url[0].rstrip("/"), server.pid
            browser.close()
    finally:
        server.terminate()
        server.wait(15)


def seconds_until(page: Page, url: str, ready: str = SETTLED) -> float:
    """Return the seconds from opening the page until it has a heading and the JavaScript ``ready`` returns true."""
    page.goto("about:blank")
    page.wait_for_timeout(PAUSE)
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("h1")
    page.wait_for_function(ready)
    return time.perf_counter() - start


def seconds_after_click(page: Page, title: str, ready: str) -> float:
    """Return the seconds from a click in another page's navigation until ``ready`` returns true."""
    page.locator("[data-testid=stSidebarNavLink]", has_text="Home").click()
    page.wait_for_selector(f"h1:not(:has-text('{title}'))")
    page.wait_for_timeout(PAUSE)
    start = time.perf_counter()
    page.locator("[data-testid=stSidebarNavLink]", has_text=title).click()
    page.wait_for_selector(f"h1:has-text('{title}')")
    page.wait_for_function(ready)
    return time.perf_counter() - start
