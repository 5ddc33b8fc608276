"""A browser whose login ends sees the login, and not a page that no longer answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboard.serving.server import set_password
from tests.dashboard.browsing import expect
from tests.dashboard.serving import Server, served
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PASSWORD = "correct horse battery staple"


def enter(context: BrowserContext, server: Server, path: str, password: str = PASSWORD) -> Page:
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(server.url + path)
    if page.locator("input[type=password]").count():
        page.fill("input[type=password]", password)
        page.click("button")
    page.wait_for_selector("h1:has-text('Settings'), h1:has-text('Runs')")
    return page


def test_every_open_page_shows_the_login(chromium: Browser, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home").create()
    set_password(workspace, PASSWORD)
    with served(workspace) as server:
        context = chromium.new_context()
        settings, runs = enter(context, server, "/settings"), enter(context, server, "/runs")
        settings.get_by_role("link", name="Log out").click()
        expect(runs.locator("input[type=password]")).to_be_visible()
        assert "/login?next=%2Fruns" in runs.url
        again = enter(context, server, "/login?next=/runs")
        set_password(workspace, "another password")
        expect(again.locator("input[type=password]")).to_be_visible()
        enter(context, server, "/login?next=/runs", "another password")
        context.close()
