"""Reload everywhere and find the same: each page with all that its URL holds, in this tab and in another browser."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests import tiny
from tests.dashboard.browsing import SETTLED, by_key, expect, settle, visitor
from tests.dashboard.serving import Server, served
from tests.dashboard.test_sweeps import made
from workbench import jobs
from workbench.runs.run import Run
from workbench.runs.tags import tag
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOOK_EVERY, CALM_LOOKS, MOST_LOOKS = 250, 6, 200  # milliseconds; looks that agree; looks in all
TEXT = "a wonderful film with a dull ending"
SCRIPT = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script> [a](javascript:window.pwned=1)"
COMPARED = {
    "metric": "macro_f1",
    "cost": "trained_parameters",
    "x": "epoch",
    "log": "1",
    "curves": "train/loss,train/gradient_norm",
    "together": "each",
    "smooth": "0.5",
    "only": "0",
}
# What stands there by the clock and not by the URL.
_BY_THE_CLOCK = re.compile(r"just now|[\w ]+ ago|\d+(\.\d+)? m?s\b|\d+(\.\d+)? [GM]B|About[^\n]* left")

# How many numbers an axis has depends on when its chart was drawn.
HIDE_AXIS_NUMBERS = """() => {
    if (window.axisNumbersHidden) return;
    const style = new CSSStyleSheet();
    style.replaceSync(".xtick, .ytick, .role-axis-label {visibility: hidden}");
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, style];
    window.axisNumbersHidden = true;
}"""


@pytest.fixture
def runs(workspace: Workspace) -> list[Run]:
    """Three finished runs of a tiny model, and sweeps that are done, whose runs are none that one could ask."""
    made_runs = [tiny.make_run(workspace, {"training.seed": seed, "training.epochs": 1}) for seed in (0, 1, 2)]
    for run in made_runs:
        assert run_folder(run.folder) == 0, run.log()
    tag(made_runs[0], ["kept"])
    made(workspace, 2, 2, over={"tuning.method": "lora,full"}, method="grid", name="first")
    made(workspace, 2, 2, over={"tuning.method": "lora,full"}, method="grid", name="second")
    return made_runs


@pytest.fixture
def server(workspace: Workspace, shared_cache: Path, runs: list[Run]) -> Iterator[Server]:
    try:
        with served(workspace, OMP_NUM_THREADS="1") as running:
            yield running
    finally:
        jobs.stop_worker(workspace)


def paths(runs: list[Run]) -> dict[str, dict[str, str]]:
    """Every page with what its URL can hold, none of it as it is by default."""
    first, second, third = (run.id for run in runs)
    document = json.dumps({"text": TEXT})
    return {
        "": {},
        "data": {
            "data": "reviews.csv",
            "task": "text-classification",
            "language": "en",
            "split": "test",
            "use": "causal-lm",
            "roles": json.dumps({"text": "text"}),
        },
        "launch": {"preset": "demo-lora"},
        "runs": {
            "where": "accuracy >= 0",
            "sort": "-accuracy",
            "group": "tuning",
            "columns": "State,Result,training.seed",
            "value": "macro_f1",
            "tags": "kept",
            "archived": "1",
        },
        "run": {"id": first, "x": "epoch", "smooth": "0.5", "log": "1"},
        "run?classes": {"id": first, "tab": "classes", "by": "slices"},
        "run?mistakes": {"id": first, "tab": "mistakes", "words": "a"},
        "compare": COMPARED
        | {"runs": f"{second},{first},{third}", "against": third, "evidence": "confusion", "confused": third},
        "compare?thresholds": COMPARED
        | {"runs": f"{second},{first}", "evidence": "thresholds", "class": "good", "together": "training.seed"},
        "compare?slices": {"runs": f"{second},{first}", "evidence": "slices", "slices": "right label"},
        "compare?labels": {"runs": f"{second},{first}", "evidence": "labels", "labels": "label-errors"},
        "compare?examples": {"runs": f"{second},{first}", "which": "second"},
        "explain": {"run": first, "text": TEXT, "view": "lens", "with": second},
        "playground": {"run": first, "with": second, "input": document},
        "sweeps": {"sweep": "first"},
        "learn": {},
        "settings": {},
    }


def state_of(page: Page, expected: list[str] | None = None) -> list[str]:
    """Return what the page says, its fields and its choices, once they stay the same (or stay as expected)."""
    before: list[str] = []
    calm = 0
    for _ in range(MOST_LOOKS):
        now = _read(page)
        same = now == before if expected is None else now == expected
        calm = calm + 1 if same and page.evaluate(SETTLED) else 0
        if calm == CALM_LOOKS:
            break
        before = now
        page.wait_for_timeout(LOOK_EVERY)
    return now


def _read(page: Page) -> list[str]:
    page.evaluate(HIDE_AXIS_NUMBERS)
    text = page.get_by_test_id("stMainBlockContainer").inner_text()
    fields = page.locator("input:not([type=file]), textarea").evaluate_all("all => all.map(e => e.value)")
    chosen = page.locator("[aria-checked=true]").evaluate_all("all => all.map(e => e.textContent)")
    return [*_BY_THE_CLOCK.sub("", text).split("\n"), *(f"field {each}" for each in fields), *map(str, chosen)]


def must_be(page: Page, before: list[str], what: str) -> None:
    """The page comes to say the same; pictures are drawn some time after the page has settled."""
    page.wait_for_selector("h1")
    now = state_of(page, before)
    assert now == before, (what, list(difflib.unified_diff(before, now, lineterm="", n=0))[:30])


@pytest.mark.timeout(900)
def test_reload_everywhere_and_find_the_same(chromium: Browser, server: Server, runs: list[Run]) -> None:
    with visitor(chromium, server.url) as someone, visitor(chromium, server.url) as another:
        for name, query in paths(runs).items():
            page = someone.open(f"/{name.partition('?')[0]}?{urlencode(query)}")
            before, url = state_of(page), page.url
            assert "What to do" not in "\n".join(before), (name, before)
            assert name != "compare" or set(query) <= set(parse_qs(urlsplit(url).query)), url
            page.reload()
            elsewhere = another.open(url.removeprefix(server.url))  # both draw at the same time
            must_be(page, before, f"{name}, reloaded")
            assert page.url == url, name
            must_be(elsewhere, before, f"{name}, in another browser")
            page.close()
            elsewhere.close()


@pytest.mark.timeout(900)
def test_the_playground_keeps_its_input_and_escapes_it(chromium: Browser, server: Server, runs: list[Run]) -> None:
    with visitor(chromium, server.url) as someone:
        page = someone.open(f"/playground?run={runs[0].id}")
        field = by_key(page, "play.field.text").locator("textarea")
        field.fill(TEXT)
        by_key(page, "play_ask").get_by_role("button").click()
        expect(page.get_by_text("Label:").first).to_be_visible()
        page.locator(".js-plotly-plot").first.wait_for()
        page.reload()
        expect(page.get_by_text("Label:").first).to_be_visible()
        expect(field).to_have_value(TEXT)
        field.fill(SCRIPT)
        by_key(page, "play_ask").get_by_role("button").click()
        settle(page, 1500)
        assert page.evaluate("window.pwned") is None and page.locator("img[src=x]").count() == 0
        page.get_by_role("link", name="Explain this answer").click()
        page.wait_for_url("**/explain?*")
        expect(by_key(page, "explain.text").locator("textarea")).to_have_value(SCRIPT)
        assert page.evaluate("window.pwned") is None
