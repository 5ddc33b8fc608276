"""Three runs of three seeds each in headless Chromium: the verdict is read, and a reload shows the same view."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from dashboard.parts.shared.text import cut
from tests.dashboard.browsing import at_least, by_key, choose, click_row, expect, settle, steady, unfold, visitor
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.serving import served
from workbench.compare.seeds import compare_seeds
from workbench.runs.predictions import read_predictions, write_predictions
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
SCRIPT = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"
LINK = "[click](javascript:window.pwned=1) ![p](http://evil.example/x.png) :red[red]"
FORBIDDEN = "img[src=x], a[href^='javascript'], img[src*=evil], a[href*='//evil']"


@pytest.fixture
def runs(workspace: Workspace) -> list[Run]:
    return [fake_run(workspace, tuning=tuning, seed=s) for tuning in ("full", "lora", "head") for s in range(3)]


def claims(page: Page, count: int) -> list[str]:
    """What is claimed of pairs, as soon as the page says so much."""
    alerts = page.locator("[data-testid=stAlert]").filter(has_text=re.compile("claimed|better"))
    at_least(alerts, count)
    return alerts.all_inner_texts()


@pytest.mark.slow
def test_three_runs_of_three_seeds(chromium: Browser, workspace: Workspace, runs: list[Run], tmp_path: Path) -> None:
    expected = compare_seeds(runs, "macro_f1")
    with served(workspace, OMP_NUM_THREADS="1") as server, visitor(chromium, server.url) as someone:
        page = someone.open(f"/compare?runs={','.join(run.id for run in runs)}")
        choose(page, "compare.metric", "macro f1")
        page.get_by_text("macro f1 on average").first.wait_for()
        choose(page, "compare.cost", "Trained parameters")
        page.wait_for_url("**cost=trained_parameters**")
        at_least(page.locator(".js-plotly-plot"), 5)
        sentences = claims(page, 2)
        assert len(sentences) == len(expected.pairs) == 2
        for sentence, pair in zip(sentences, expected.pairs, strict=True):
            assert pair.verdict[:25] in sentence and "3 seeds" in sentence
        url = page.url
        assert "metric=macro_f1" in url and "cost=trained_parameters" in url

        page.reload()
        page.get_by_text("macro f1 on average").first.wait_for()
        settle(page)
        assert page.url == url and claims(page, 2) == sentences
        expect(by_key(page, "compare.cost").locator("input").first).to_have_value("Trained parameters")

        with page.expect_download() as download:
            by_key(page, "compare.download").get_by_role("button").click()
        saved = tmp_path / "page.html"
        download.value.save_as(saved)
        sent = someone.context.new_page()
        sent.goto(saved.as_uri())
        assert all(pair.verdict in sent.locator("body").inner_text() for pair in expected.pairs)


@pytest.mark.slow
def test_a_cell_of_the_matrix_leads_to_an_explanation(chromium: Browser, workspace: Workspace, runs: list[Run]) -> None:
    with served(workspace, OMP_NUM_THREADS="1") as server, visitor(chromium, server.url) as someone:
        page = someone.open(f"/compare?runs={runs[0].id},{runs[1].id}")
        page.get_by_role("radio", name="Confusion matrix").click()
        page.wait_for_url("**evidence=confusion**")
        cells = by_key(page, "compare.confusion").locator(".scatterlayer .point")
        cell = steady(page, cells.nth(1))  # right: negative; said: positive
        page.mouse.click(cell["x"] + 8, cell["y"] + 8)  # not its middle: the whole cell is met
        expect(page.get_by_text(re.compile(r"predicted as .*: \d+ example"))).to_be_visible()
        click_row(page, by_key(page, "compare.cell.0.1"), 0)
        page.wait_for_url("**/explain?*")
        assert f"run={runs[0].id}" in page.url and f"with={runs[1].id}" in page.url


@pytest.mark.slow
def test_hostile_predictions_are_text_in_every_evidence(chromium: Browser, workspace: Workspace) -> None:
    """A6: what stands in predictions (texts, labels, columns of the data), and names and notes of runs."""
    labels = [SCRIPT, LINK]
    made = [
        fake_run(workspace, name=f"{SCRIPT[:40]}{LINK[:38]}", notes=SCRIPT + LINK, labels=labels, seed=seed)
        for seed in (0, 1)
    ]
    for run in made:
        rows = read_predictions(run)
        texts = [f"{SCRIPT} {LINK} <b>{i}</b> ⟂ {SCRIPT}" for i in range(len(rows["id"]))]
        column = [(SCRIPT, LINK)[i % 2] for i in range(len(texts))]
        write_predictions(run, {**rows, "input:text": texts, f"column:{SCRIPT}": column, f"column:{LINK}": column})
    with served(workspace, OMP_NUM_THREADS="1") as server, visitor(chromium, server.url) as someone:
        query = {"runs": ",".join(run.id for run in made), "class": LINK, "slices": SCRIPT, "metric": LINK}
        page = someone.open(f"/compare?{urlencode(query)}")
        for kind in ("Only one is right", "Confusion matrix", "Calibration", "Thresholds", "Slices", "Label errors"):
            page.get_by_role("radio", name=kind).click()
            settle(page)
            for chart in page.locator(".js-plotly-plot .nsewdrag").all():
                chart.hover()
            assert page.evaluate("window.pwned") is None, kind
            assert page.locator(FORBIDDEN).count() == 0, kind
            if kind == "Slices":
                expect(by_key(page, "compare.slice_by").locator("input").first).to_have_value(cut(SCRIPT, 60))
        unfold(page)
        assert page.evaluate("window.pwned") is None and page.locator(FORBIDDEN).count() == 0
