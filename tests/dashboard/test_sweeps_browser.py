"""A sweep of 6 in headless Chromium: begun on the page, watched to its end, its best trial taken to Launch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dashboard.browsing import by_key, choose, fill, settle, visitor
from tests.dashboard.serving import Server, served
from tests.tiny import make_run
from workbench import jobs
from workbench.jobs.sweeps import Sweep
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LONGEST = 540  # seconds for six tiny runs on a busy machine


@pytest.fixture
def server(workspace: Workspace, shared_cache: Path) -> Iterator[Server]:
    try:
        with served(workspace, OMP_NUM_THREADS="1") as running:
            yield running
    finally:
        for sweep in Sweep.all(workspace):
            sweep.stop()
        jobs.stop_worker(workspace)


@pytest.mark.timeout(900)
def test_a_sweep_of_six(chromium: Browser, server: Server, workspace: Workspace) -> None:
    first = make_run(workspace, {"training.epochs": 1})
    first.update_status(state="stopped")
    with visitor(chromium, server.url) as someone:
        page = someone.open("/sweeps")
        title = first.id[16:-5] + f" ({first.id[-4:]})"
        choose(page, "sweep.spec", f"As in {title}")
        fill(page, "sweep.values.0", "1e-4..1e-2:log:3")
        choose(page, "sweep.field.1", "training.batch_size")
        fill(page, "sweep.values.1", "8,16")
        choose(page, "sweep.method", "Every combination")
        page.get_by_text("6 trials, 6 runs.").wait_for()
        by_key(page, "sweep.start").get_by_role("button").click()
        page.wait_for_url("**/sweeps?sweep=*")
        sweep = Sweep.all(workspace)[0]
        end = time.monotonic() + LONGEST
        while sweep.read()["state"] == "running" and time.monotonic() < end:
            time.sleep(1)
        assert sweep.read()["state"] == "succeeded", sweep.read()
        page.get_by_text("6 of 6 trials finished").wait_for()
        page.reload()
        settle(page)
        page.get_by_text("6 of 6 trials finished").wait_for()
        by_key(page, "sweep.parallel").wait_for()
        by_key(page, "sweep.importance").or_(page.get_by_text("Importance needs")).first.wait_for()
        by_key(page, "sweep.launch").get_by_role("button").click()
        page.wait_for_url("**/launch?from=*")
        settle(page)
        best = sweep.best()
        assert best and page.url.endswith(best["runs"]["0"])
    assert len(Run.all(workspace)) == 7
