"""Every view of Explain drawn in headless Chromium, without a network; an error on the console fails it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests import tiny
from tests.dashboard.browsing import at_least, by_key, click_row, expect, settle, visitor
from tests.dashboard.serving import REPOSITORY, Server, served
from workbench.runs.predictions import read_predictions, write_predictions
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

pytestmark = pytest.mark.browser

TEXT = "a wonderful film with a dull ending"
OTHER = "a wonderful film with a superb ending"
LONG = "the film is great and the plot is quite dull " * 60  # more than 512 tokens
HOSTILE = "<script>window.pwned=1</script> wonderful <img src=x onerror='window.pwned=1'> \u202e\u05e9 \U0001f642 \"'"


def _made(workspace: Workspace, seed: int) -> Run:
    """A finished run of a small BERT with 12 layers of 12 heads that reads 512 tokens."""
    from transformers import BertConfig, BertModel

    from workbench.training.runner import run_folder

    folder = workspace.uploads / "tiny"
    if not folder.exists():
        tiny.make_model(folder)
        config = BertConfig.from_pretrained(folder)
        config.update({"hidden_size": 48, "num_hidden_layers": 12, "num_attention_heads": 12})
        config.max_position_embeddings = 512
        BertModel(config).save_pretrained(folder)
        tiny.write_csv(workspace.uploads / "reviews.csv", 60)
    changes = {"training.seed": seed, "training.epochs": 1, "data.max_length": 512}
    run = tiny.make_run(workspace, changes)
    assert run_folder(run.folder) == 0, run.log()
    return run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("explained") / "home").create()


@pytest.fixture(scope="module")
def runs(home: Workspace) -> list[Run]:
    return [_made(home, seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def server(home: Workspace, runs: list[Run]) -> Iterator[Server]:
    cache = os.environ.get("WORKBENCH_TEST_CACHE") or REPOSITORY / "build" / "test-cache"  # as in the root conftest
    with served(home, OMP_NUM_THREADS="1", WORKBENCH_CACHE=str(Path(cache).absolute())) as running:
        yield running


def picture(page: Page, index: int = 0) -> FrameLocator:
    return page.frame_locator("iframe").nth(index)


def drawn(page: Page, view: str, index: int = 0) -> None:
    """Wait until a canvas shows a view."""
    expect(picture(page, index).locator(f"#picture[data-drawn^='{view}']")).to_be_attached()


def test_every_view_draws(chromium: Browser, server: Server, runs: list[Run]) -> None:
    with visitor(chromium, server.url) as someone:
        page = someone.open(f"/explain?run={runs[0].id}&text={quote(TEXT)}&view=tokens&method=occlusion")
        expect(page.get_by_text("Masking the").first).to_be_visible()
        for view, what, count in (
            ("Head view", "svg line", 12 * 81),
            ("Model view", "svg line", 12 * 12 * 81),
            ("Neuron view", "svg line", 81),
        ):
            page.get_by_role("radio", name=view).click()
            at_least(page.frame_locator("iframe").locator(what), count)
        page.get_by_role("radio", name="All heads").click()
        drawn(page, "matrix-11-0-9")
        page.get_by_role("radio", name="Layer by layer").click()
        expect(
            page.get_by_text(re.compile("prediction is the final one|prediction never changes")).first
        ).to_be_visible()
        page.get_by_role("radio", name="Faithfulness").click()
        by_key(page, "explain.evaluate").get_by_role("button").click()
        at_least(page.frame_locator("iframe").locator("figure svg"), 2)
        expect(page.get_by_text("As tokens are masked one by one").first).to_be_visible()


@pytest.mark.slow
def test_512_tokens_are_drawn_and_heads_requested_one_by_one(
    chromium: Browser, server: Server, runs: list[Run]
) -> None:
    urls: list[str] = []
    with visitor(chromium, server.url) as someone:
        page = someone.open(f"/explain?run={runs[0].id}&text={quote(LONG)}&view=canvas")
        page.on("request", lambda request: urls.append(request.url))
        drawn(page, "matrix-11-0-512")
        assert not [url for url in urls if "/explain/heads/" in url]
        maps = picture(page).locator("#maps")
        expect(maps).to_have_attribute("data-drawn", "11-0")
        maps.click()
        maps.press("ArrowUp")
        drawn(page, "matrix-")
        assert any("/explain/heads/" in url for url in urls)
        # A head cannot be had without knowing the address, nor from another site's page.
        address = next(url for url in urls if "/explain/heads/" in url)
        path = address.removeprefix(server.url)
        assert server.ask(path).status == 200
        assert server.ask(path, Sec_Fetch_Site="cross-site").status == 403
        assert server.ask("/explain/heads/nobody-knows/0/0").status == 410


@pytest.mark.slow
def test_two_sides_blink(chromium: Browser, server: Server, runs: list[Run]) -> None:
    query = f"run={runs[0].id}&text={quote(TEXT)}&view=canvas"
    with visitor(chromium, server.url) as someone:
        page = someone.open(f"/explain?{query}&with=text&other={quote(OTHER)}")
        drawn(page, "matrix-11-0-9")
        canvas = picture(page).locator("#picture")
        expect(canvas).to_have_attribute("data-side", "2")
        expect(picture(page).locator("#heading")).to_have_text("Layer 11, head 0: other text minus this text")
        picture(page).locator("#blink").check()
        for side in ("0", "1", "0"):
            expect(canvas).to_have_attribute("data-side", side)
        at_least(picture(page, 1).locator("figure svg rect"), 144)


@pytest.mark.slow
def test_a_run_compared_with_its_base_and_another_run(chromium: Browser, server: Server, runs: list[Run]) -> None:
    with visitor(chromium, server.url) as someone:
        for beside in ("base", runs[1].id):
            query = f"run={runs[0].id}&text={quote(TEXT)}&with={beside}"
            page = someone.open(f"/explain?{query}&view=canvas")
            drawn(page, "matrix-11-0-9")
            page.get_by_role("radio", name="Head view").click()
            for index in (0, 1):
                at_least(picture(page, index).locator("svg line"), 12 * 81)
            page.get_by_role("radio", name="What heads do").click()
            by_key(page, "explain.moves").get_by_role("button").click()
            at_least(picture(page).locator("figure svg rect"), 144)
            page.close()


@pytest.mark.slow
def test_hostile_text_runs_nothing_in_any_view(chromium: Browser, server: Server, runs: list[Run]) -> None:
    texts = (HOSTILE, HOSTILE + " film" * 1900)
    assert len(texts[1]) > 9_000
    with visitor(chromium, server.url) as someone:
        for text in texts:
            for view in ("tokens", "head", "model", "neuron", "canvas", "lens"):
                page = someone.open(f"/explain?run={runs[0].id}&text={quote(text)}&other={quote(text)}&view={view}")
                settle(page, 1500)
                assert all(frame.evaluate("window.pwned") is None for frame in page.frames), view
                assert page.locator("img[src=x]").count() == 0
                expect(by_key(page, "explain.text").locator("textarea")).to_have_value(text)
                page.close()


@pytest.mark.slow
def test_from_an_example_to_its_explanation_in_both_runs(chromium: Browser, server: Server, runs: list[Run]) -> None:
    rows = read_predictions(runs[0])
    other = {name: list(column) for name, column in rows.items()}
    right = rows["correct"].index(True)
    other["correct"][right] = False  # the only example that one of the two gets right
    other["prediction"][right] = "another"
    write_predictions(runs[1], other)
    text = rows["input:text"][right]
    with visitor(chromium, server.url) as someone:
        page = someone.open(f"/compare?runs={runs[0].id},{runs[1].id}")
        click_row(page, by_key(page, "compare.examples"), 0)
        page.wait_for_url("**/explain?*")
        expect(by_key(page, "explain.text").locator("textarea")).to_have_value(text)
        assert f"with={runs[1].id}" in page.url and f"run={runs[0].id}" in page.url
