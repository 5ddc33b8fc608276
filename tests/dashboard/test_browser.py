"""Whole journeys in headless Chromium. Any console error, and any request that leaves the machine, fails them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from dashboard.parts.shared.data.uploads import store
from tests.dashboard.browsing import at_least, by_key, choose, click_row, expect, fill, settle, unfold, visitor
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.serving import Server, served
from tests.dashboard.test_sweeps import made
from workbench import jobs
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SENTENCE = "A film with a big heart and very little brain."
SCRIPT = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"
LINK = "[click](javascript:window.pwned=1) ![p](http://evil.example/x.png) :red[red]"
LONGEST_TRAINING = 300


@pytest.fixture
def server(workspace: Workspace, shared_cache: Path) -> Iterator[Server]:
    try:
        with served(workspace, OMP_NUM_THREADS="1") as running:
            yield running
    finally:
        jobs.stop_worker(workspace)


def finished(workspace: Workspace, count: int) -> list[Run]:
    """All runs, when ``count`` of them have succeeded."""
    end = time.monotonic() + LONGEST_TRAINING
    while time.monotonic() < end:
        runs = Run.all(workspace)
        states = [run.state for run in runs]
        assert "failed" not in states, [run.status().error for run in runs]
        if states.count("succeeded") >= count:
            return runs
        time.sleep(0.5)
    raise AssertionError(f"not finished: {[(run.id, run.status()) for run in Run.all(workspace)]}")


def launch(page: Page, tuning: str) -> str:
    """Fill the form for a small run, start it, and return its id."""
    fill(page, "launch.data_fields.limit.train", "64")
    fill(page, "launch.training.epochs", "1")
    by_key(page, "launch_data").locator("summary").click()
    fill(page, "launch.data_fields.limit.valid", "32")
    fill(page, "launch.data_fields.limit.test", "32")
    choose(page, "launch.tuning", tuning)
    by_key(page, "launch_submit").get_by_role("button").click()
    page.wait_for_url("**/run?id=*")
    settle(page)
    return page.url.rsplit("id=", 1)[1]


@pytest.mark.slow
def test_the_whole_journey(chromium: Browser, server: Server, workspace: Workspace) -> None:
    with visitor(chromium, server.url) as someone:
        home = someone.open("/")
        home.get_by_text("Start the demo").wait_for()
        home.goto(server.url + "/launch")
        settle(home)
        first = launch(home, "full")
        home.goto(server.url + "/launch")
        settle(home)
        second = launch(home, "lora")
        home.close()  # the tab goes while it trains

        finished(workspace, 2)
        page = someone.open(f"/run?id={first}")
        by_key(page, "run_header").get_by_text("succeeded").first.wait_for()
        at_least(page.locator(".js-plotly-plot"), 2)
        by_key(page, "run.compare").get_by_role("button").click()
        page.wait_for_url("**/compare?runs=*")

        page.goto(f"{server.url}/compare?runs={first},{second}")
        page.get_by_text("95% interval").first.wait_for()
        settle(page)
        at_least(page.locator(".js-plotly-plot"), 4)
        expect(page.locator(".xerror")).to_have_count(2)

        page.goto(f"{server.url}/explain?run={first}")
        settle(page)
        fill(page, "explain.text", SENTENCE)
        page.get_by_text("Prediction:").wait_for()
        for view, least in (("Head view", 100), ("Model view", 1000)):
            page.get_by_role("radio", name=view).click()
            lines = page.frame_locator("iframe").locator("svg line")
            at_least(lines, least)
            print(f"\n{view}: {lines.count()} SVG lines")
        page.reload()
        page.get_by_text("Prediction:").wait_for()
        settle(page)
        expect(by_key(page, "explain.text").locator("textarea")).to_have_value(SENTENCE)
        page.frame_locator("iframe").locator("svg line").first.wait_for(state="attached")


def hover_over_charts(page: Page) -> None:
    """Over all that are to be seen: what they say under the mouse is HTML of a kind."""
    page.wait_for_timeout(300)
    for chart in page.locator(".js-plotly-plot .nsewdrag").all():
        if chart.is_visible():
            chart.hover()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_text_of_anybody_becomes_script(chromium: Browser, server: Server, workspace: Workspace) -> None:
    """A6: names, notes, labels, log lines, metrics, errors, columns, file names and link parameters."""
    labels = [SCRIPT, LINK]
    runs = [
        fake_run(
            workspace, name=f"{SCRIPT[:40]}{LINK[:38]}", notes=SCRIPT + LINK, labels=labels, log=f"{SCRIPT}\n{LINK}\n"
        ),
        fake_run(workspace, tuning="lora", seed=1, name=LINK[:80], labels=labels),
        fake_run(workspace, "failed", name=SCRIPT[:80]),
    ]
    for run in runs:
        run.append_metrics({"step": 9999, f"eval/{SCRIPT}{LINK}": 1.0})
        run.update_status(title=SCRIPT + LINK, model=SCRIPT, data=LINK, tuning=SCRIPT)
    report = runs[0].report().as_dict()
    for name in (SCRIPT, LINK):
        report["metrics"][name] = {"value": 0.5, "low": 0.4, "high": 0.6}
    report["notes"] = [SCRIPT, LINK]
    report["primary_metric"] = SCRIPT
    (runs[0].folder / "report.json").write_text(json.dumps(report))
    runs[2].update_status(error={"kind": "Run", "message": SCRIPT + LINK, "hint": LINK + SCRIPT})
    column = f"{SCRIPT},{LINK}".replace(",", ";")
    upload = store(f"{SCRIPT}{LINK}.csv", f'"{column}",label\ngood,a\nbad,b\n'.encode(), workspace)
    sweep = made(workspace, 2, 2, name=SCRIPT[:60], over={"tuning.method": "lora,full"}, method="grid")
    with sweep.changing() as content:
        content["trials"][0]["error"] = {"kind": "Run", "message": SCRIPT, "hint": LINK}
        content["error"] = {"kind": "Sweep", "message": SCRIPT + LINK, "hint": LINK}
        content["trials"][0]["values"]["tuning.method"] = SCRIPT
    ids = ",".join(run.id for run in runs)
    roles = json.dumps({"text": column, "label": SCRIPT})
    paths = [
        "/",
        "/launch",
        *(f"/run?id={run.id}" for run in runs),
        f"/compare?runs={ids}",
        "/explain",
        f"/explain?text={SCRIPT}",
        f"/run?id={SCRIPT}",
        f"/launch?preset={LINK}",
        f"/compare?runs={LINK},{SCRIPT}",
        f"/data?{urlencode({'data': upload.name, 'roles': roles})}",
        f"/data?{urlencode({'data': SCRIPT, 'task': SCRIPT, 'language': LINK, 'show': SCRIPT})}",
        f"/sweeps?sweep={sweep.name}",
        f"/sweeps?{urlencode({'sweep': SCRIPT + LINK})}",
        f"/runs?{urlencode({'columns': SCRIPT, 'value': SCRIPT, 'tags': LINK, 'group': 'title,notes'})}",
        "/settings",
    ]
    with visitor(chromium, server.url) as someone:
        for path in paths:
            page = someone.open(path)
            unfold(page)
            if path == "/launch":
                choose(page, "launch.data", upload.name)
                by_key(page, "launch.data_fields.columns.text").locator("input").first.click()
            hover_over_charts(page)
            for tab in page.get_by_role("tab").all():
                tab.click()
                hover_over_charts(page)
            settle(page)
            assert page.evaluate("window.pwned") is None, path
            assert page.locator("img[src=x], a[href^='javascript'], img[src*=evil], a[href*='//evil']").count() == 0, (
                path
            )
            if "WORKBENCH_SHOTS" in os.environ:
                page.screenshot(path=f"{os.environ['WORKBENCH_SHOTS']}/hostile-{paths.index(path)}.png", full_page=True)
            page.close()
    print(f"\nA6: {len(paths)} pages with hostile text everywhere, no script, link or picture came of it")


def test_an_upload_is_taken_and_a_pickle_is_not(chromium: Browser, server: Server, workspace: Workspace) -> None:
    rows = "".join(f"film number {i} was good,{'fresh' if i % 2 else 'rotten'}\n" for i in range(40))
    good = {"name": "../../my reviews.csv", "mimeType": "text/csv", "buffer": f"review,verdict\n{rows}".encode()}
    bad = {
        "name": "reviews.csv",
        "mimeType": "text/csv",
        "buffer": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00K\x01.",
    }
    with visitor(chromium, server.url) as someone:
        page = someone.open("/launch")
        by_key(page, "launch_own_data").locator("summary").click()
        files = by_key(page, "launch_uploader").locator("input[type=file]")
        files.set_input_files(bad)
        page.get_by_text("pickle").first.wait_for()
        assert list(workspace.uploads.iterdir()) == []
        files.set_input_files(good)
        by_key(page, "launch.data_fields.columns.text").wait_for()
        choose(page, "launch.data_fields.columns.text", "review")
        choose(page, "launch.data_fields.columns.label", "verdict")
        expect(by_key(page, "launch_submit").get_by_role("button")).to_be_enabled()
        (stored,) = workspace.uploads.iterdir()
        assert stored.read_bytes() == good["buffer"] and stored.name.startswith("my-reviews-")


@pytest.mark.slow
def test_a_click_opens_a_run_and_ticks_are_compared(chromium: Browser, server: Server, workspace: Workspace) -> None:
    ids = [fake_run(workspace, seed=seed).id for seed in range(3)][::-1]
    with visitor(chromium, server.url) as someone:
        page = someone.open("/runs")
        # Named, since the tables of a page may be drawn in any order.
        table = page.locator("[class*=st-key-runs-table]")
        click_row(page, table, 2, x=250)
        page.wait_for_url(f"**/run?id={ids[2]}*")
        settle(page)
        page.get_by_text("Right in").first.wait_for()
        page.goto(server.url + "/runs")
        settle(page)
        click_row(page, table, 0)
        settle(page)
        click_row(page, table, 1)
        expect(by_key(page, "list.compare")).to_contain_text("Compare 2 runs")
        assert "/runs" in page.url  # a tick opens no run
        by_key(page, "list.compare").get_by_role("button").click()
        page.wait_for_url("**/compare?*")
        settle(page)
        assert ids[0] in page.url and ids[1] in page.url and ids[2] not in page.url


@pytest.mark.slow
def test_hostile_labels_and_columns_through_a_real_run(chromium: Browser, server: Server, workspace: Workspace) -> None:
    rows = "\n".join(f"{'good' if i % 2 else 'bad'} film {i},{SCRIPT if i % 2 else LINK}" for i in range(80))
    upload = store(f"{SCRIPT}.csv", f"{SCRIPT},{LINK}\n{rows}\n".encode(), workspace)
    spec = RunSpec.parse(
        {
            "task": "text-classification",
            "data": {"train": str(upload), "columns": {"text": SCRIPT, "label": LINK}},
            "model": "minilm",
            "tuning": "head",
            "training": {"epochs": 1},
        }
    )
    run = jobs.submit(spec, workspace, confined=True)
    finished(workspace, 1)
    with visitor(chromium, server.url) as someone:
        for view in ("tokens", "head", "model"):
            page = someone.open(f"/explain?run={run.id}&view={view}&text={SCRIPT} </script><svg onload=window.pwned=1>")
            page.get_by_text("Prediction:").wait_for()
            settle(page, 2000)
            assert all(frame.evaluate("window.pwned") is None for frame in page.frames)
            assert page.locator("img[src=x], a[href^='javascript'], img[src*=evil], a[href*='//evil']").count() == 0
            page.close()
        page = someone.open(f"/run?id={run.id}")
        unfold(page)
        settle(page)
        assert page.evaluate("window.pwned") is None


def test_typing_survives_the_live_updates(chromium: Browser, server: Server, workspace: Workspace) -> None:
    run = fake_run(workspace, "running")
    with visitor(chromium, server.url) as someone:
        page = someone.open(f"/run?id={run.id}")
        unfold(page)
        box = by_key(page, f"run.tags.{run.id}").locator("input").first
        box.click()
        box.press_sequentially("minilm", delay=40)
        for step in range(100, 106):  # new points arrive meanwhile
            run.append_metrics({"step": step, "epoch": 1.0, "time": 60.0, "tokens": 1, "train/loss": 0.5})
            run.update_status(progress={"step": step, "steps": 120, "seconds_left": 30.0, "phase": "training"})
            page.wait_for_timeout(1000)
        assert box.input_value() == "minilm"
        page.get_by_text("step 105 of 120").wait_for()
