"""A page in headless Chromium that reports console errors and requests that leave the machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, FloatRect, Locator, LocatorAssertions, Page

_LOCAL = ("data:", "blob:", "about:")
SETTLED = (
    "() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stApp][data-test-script-state=running]')"
)


@dataclass
class Visitor:
    """Somebody with a browser.

    Args:
        context: their browser's session.
        url: of the dashboard.
        trouble: every console error, uncaught error, failed request and request to elsewhere, so far.
    """

    context: BrowserContext
    url: str
    trouble: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        """A new tab, when it has settled."""
        page = self.context.new_page()
        page.set_default_timeout(60_000)
        self._listen(page)
        page.goto(self.url + path)
        page.wait_for_selector("h1")
        settle(page)
        return page

    def _listen(self, page: Page) -> None:
        own = (self.url, self.url.replace("http", "ws"), *_LOCAL)
        page.on("console", lambda m: self.trouble.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: self.trouble.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: (self.trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda r: None if r.url.startswith(own) else self.trouble.append(f"left: {r.url}"))
        page.on("websocket", lambda s: None if s.url.startswith(own) else self.trouble.append(f"left: {s.url}"))


@contextlib.contextmanager
def visitor(chromium: Browser, url: str, **options: Any) -> Iterator[Visitor]:
    """A visitor with a fresh browser session; at the end it must have had no trouble."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, **options)
    try:
        someone = Visitor(context, url)
        yield someone
        assert not someone.trouble, someone.trouble
    finally:
        context.close()


def settle(page: Page, quiet: int = 700) -> None:
    """Wait until the page's script has run and its pictures are drawn."""
    page.wait_for_timeout(quiet)
    page.wait_for_function(SETTLED)
    page.wait_for_timeout(quiet)


def by_key(page: Page, key: str) -> Locator:
    """The element of a session key, as streamlit marks it."""
    return page.locator(f".st-key-{key.replace('.', '-')}")


def expect(locator: Locator) -> LocatorAssertions:
    """Playwright's assertions, which wait until they hold; imported late, so that tests can be skipped without it."""
    from playwright.sync_api import expect as waiting

    waiting.set_options(timeout=60_000)
    return waiting(locator)


def at_least(locator: Locator, count: int) -> None:
    """Wait until the page holds so many of these: charts and views are drawn some time after the page has settled."""
    locator.nth(count - 1).wait_for(state="attached")


def steady(page: Page, element: Locator) -> FloatRect:
    """Where an element stands, scrolled into view; asked until it stays: what is drawn above it moves it."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    for _ in range(60):
        page.wait_for_timeout(500)
        before, box = box, element.bounding_box()
        if box and box == before:
            return box
    raise AssertionError(f"{element} does not come to rest")


def click_row(page: Page, table: Locator, row: int, x: int = 12) -> None:
    """Click into a drawn table, which is one picture: rows are 35 pixels high, the marks stand at the left."""
    box = steady(page, table.locator("canvas").first)
    page.mouse.click(box["x"] + x, box["y"] + 35 * (row + 1) + 17)


def fill(page: Page, key: str, value: str) -> None:
    """Type into the field of a session key and leave it."""
    box = by_key(page, key).locator("input, textarea").first
    box.fill(value)
    box.press("Control+Enter" if box.evaluate("e => e.tagName") == "TEXTAREA" else "Enter")
    settle(page)


def choose(page: Page, key: str, option: str) -> None:
    """Choose an option of a selectbox; again when the page was drawn anew while its list was open."""
    offered = page.get_by_role("option", name=option, exact=True)
    for _ in range(6):
        by_key(page, key).locator("input").first.click()
        page.wait_for_timeout(1000)
        if not offered.count():  # a long list draws only what is in view
            page.keyboard.type(option)
            page.wait_for_timeout(500)
        if offered.count():
            offered.click()
            break
        page.keyboard.press("Escape")
        settle(page)
    else:
        raise AssertionError(f"{key} does not offer {option}")
    settle(page)


def unfold(page: Page) -> None:
    """Open everything that is folded away."""
    page.evaluate("document.querySelectorAll('details:not([open]) > summary').forEach(summary => summary.click())")
    settle(page)
