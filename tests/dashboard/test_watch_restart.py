"""The dashboard goes and comes back while a run is at work: the page finds the view that it had, and what is new."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dashboard.browsing import by_key, choose, expect, settle, visitor
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.serving import served
from workbench import jobs
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOSS = """() => { const plot = document.querySelector('.js-plotly-plot');
    if (!plot || !plot._fullData || !plot._fullData.length) return null;
    const look = plot._fullLayout;
    return [look.xaxis.title.text, look.yaxis.type, Math.max(...plot._fullData[0].x)]; }"""


def write(run: Run, steps: range) -> None:
    """Lines as the run's process writes them; it knows of no dashboard."""
    for step in steps:
        row = {"step": step, "epoch": step / 100, "time": 0.5 * step, "tokens": 800 * step, "train/loss": 1 / step}
        run.append_metrics(row)


def drawn(page: Page, tokens: int) -> list[object]:
    """Axis, scale and last point of the first figure, as soon as it has a point of so many tokens."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        loss: list[object] | None = page.evaluate(LOSS)
        if loss and loss[2] == tokens:
            return loss
        page.wait_for_timeout(300)
    raise AssertionError(f"the page shows {loss}, and not {tokens} tokens")


@pytest.mark.timeout(600)
def test_the_dashboard_is_restarted_during_a_run(chromium: Browser, workspace: Workspace, shared_cache: Path) -> None:
    run = fake_run(workspace, "running", steps=1)  # of which nothing is written yet; its process is this one
    write(run, range(1, 51))
    try:
        with served(workspace, OMP_NUM_THREADS="1") as server, visitor(chromium, server.url) as someone:
            page = someone.open(f"/run?id={run.id}")
            choose(page, "watch.x", "Tokens")
            by_key(page, "watch.log").locator("label").first.click()
            settle(page)
            assert drawn(page, 800 * 50)[:2] == ["Tokens", "log"]
            path = page.url.removeprefix(server.url)
        write(run, range(51, 81))  # while there is no dashboard
        assert run.is_alive()
        with served(workspace, OMP_NUM_THREADS="1") as server, visitor(chromium, server.url) as someone:
            page = someone.open(path)
            assert drawn(page, 800 * 80) == ["Tokens", "log", 800 * 80]
            expect(by_key(page, "watch.x").locator("input").first).to_have_value("Tokens")
            assert page.url.removeprefix(server.url) == path
            write(run, range(81, 91))
            drawn(page, 800 * 90)  # and it goes on being live
    finally:
        jobs.stop_worker(workspace)
