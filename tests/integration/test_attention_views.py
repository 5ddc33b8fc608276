"""The attention views in a real offline browser: they draw, request nothing, and run no script in a text.

Screenshots are saved to the folder named by WORKBENCH_SCREENSHOTS, if it is set.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.unit.explain.explain_models import bag_of_words, bert, tokenizer
from tests.unit.explain.test_explain_queries import CONFIGS, model_of
from workbench.explain import Attention, capture_attention, explain
from workbench.explain.internals.queries import capture_queries_keys
from workbench.explain.render import bertviz, canvas, neuron
from workbench.explain.render.static import token_heat_html
from workbench.files import write_text
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser

TEXT = "the film was unbelievable with good actors"
HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked=1'>",
    "<!--<script>",
    "\"'`${window.hacked = 1}\\",
    "\u2028window.hacked = 1",
    "\u202e\u05e9\u05dc\u05d5\u05dd",
    "\U0001f642",
    "<svg onload=window.hacked=1>",
    "PYTHON_PARAMS",
]


class RecordedPage:
    """A page of an offline browser that records its errors and requests."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def show(self, document: str, name: str) -> None:
        """Open the document from a file, as a recipient would."""
        file = self.folder / f"{name}.html"
        write_text(file, document)
        self.page.goto(file.as_uri())

    def screenshot(self, name: str) -> None:
        folder = os.environ.get("WORKBENCH_SCREENSHOTS")
        if folder:
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))

    def assert_clean(self) -> None:
        assert self.errors == []
        assert len(self.requests) == 1 and self.requests[0].startswith("file://")  # the document and nothing else
        assert self.page.evaluate("window.hacked") is None
        ids = self.page.evaluate("Array.from(document.querySelectorAll('[id]'), element => element.id)")
        assert len(ids) == len(set(ids))


@pytest.fixture(params=["light", "dark"])
def recorded(request: pytest.FixtureRequest, chromium: Browser, tmp_path: Path) -> Iterator[RecordedPage]:
    context = chromium.new_context(color_scheme=request.param, viewport={"width": 1100, "height": 800})
    context.set_offline(True)
    yield RecordedPage(context.new_page(), tmp_path)
    context.close()


@pytest.fixture
def assets(workspace: Workspace, shared_cache: Path) -> Workspace:
    """A workspace whose cache has, or can fetch, the scripts."""
    return workspace


def hostile_attention() -> Attention:
    count = len(HOSTILE)
    weights = np.random.default_rng(0).dirichlet(np.ones(count), (2, 2, count)).astype(np.float32)
    return Attention(weights, HOSTILE, HOSTILE, [(0, 0)] * count, [0] * count, [False] * count, [])


def test_the_head_view_draws_and_reacts_to_the_user(recorded: RecordedPage, assets: Workspace) -> None:
    attention = capture_attention(bert(), tokenizer(), TEXT)
    count = len(attention.tokens)
    recorded.show(bertviz.head_view(attention, workspace=assets), "head")
    page = recorded.page
    assert page.locator("svg line").count() == 4 * count**2
    assert page.locator("svg text").all_text_contents() == attention.shown * 2
    assert page.locator("#layer").input_value() == "2"  # the last
    opacity = page.locator("svg line").first.get_attribute("stroke-opacity")
    assert float(opacity or "nan") == pytest.approx(attention.weights[2, 0, 0, 0] / 4, abs=1e-4)
    page.select_option("#layer", "0")
    opacity = page.locator("svg line").first.get_attribute("stroke-opacity")
    assert float(opacity or "nan") == pytest.approx(attention.weights[0, 0, 0, 0] / 4, abs=1e-4)
    page.locator("svg #left text").nth(5).hover()
    assert page.locator("svg line[visibility=visible]").count() == 4 * count
    recorded.screenshot(f"head-{page.evaluate('document.documentElement.dataset.theme')}")
    recorded.assert_clean()


def test_the_model_view_draws_and_enlarges(recorded: RecordedPage, assets: Workspace) -> None:
    attention = capture_attention(bert(), tokenizer(), TEXT)
    count = len(attention.tokens)
    recorded.show(bertviz.model_view(attention, workspace=assets), "model")
    page = recorded.page
    assert page.locator("svg line").count() == 3 * 4 * count**2
    page.locator(".attn_background").nth(5).click(force=True)
    assert page.locator("svg line").count() == (3 * 4 + 1) * count**2
    assert "Layer 1, Head 1" in page.locator("svg text.detail").all_text_contents()
    recorded.screenshot(f"model-{page.evaluate('document.documentElement.dataset.theme')}")
    recorded.assert_clean()


def test_the_head_view_of_a_pair_without_special_tokens(recorded: RecordedPage, assets: Workspace) -> None:
    attention = capture_attention(bert(), tokenizer(), "good film", "bad story was a film")
    recorded.show(bertviz.head_view(attention, hide_special=True, workspace=assets), "pair")
    page = recorded.page
    assert page.locator("svg line").count() == 4 * 7**2
    page.select_option("#filter", label="Sentence A -> Sentence B")
    assert page.locator("svg line").count() == 4 * 2 * 5
    recorded.screenshot(f"pair-{page.evaluate('document.documentElement.dataset.theme')}")
    recorded.assert_clean()


@pytest.mark.parametrize("view", [bertviz.head_view, bertviz.model_view])
def test_hostile_text_is_shown_and_not_run(view: object, recorded: RecordedPage, assets: Workspace) -> None:
    assert callable(view)
    recorded.show(view(hostile_attention(), workspace=assets), "hostile")
    page = recorded.page
    assert page.locator("svg line").count() > 0
    if view is bertviz.head_view:
        shown = page.locator("svg #left text").all_text_contents()
        assert all(token.startswith(text.removesuffix("…")) for token, text in zip(HOSTILE, shown, strict=True))
    else:
        page.locator(".attn_background").first.click(force=True)
    recorded.screenshot(f"hostile-{view.__name__}")
    recorded.assert_clean()


def test_the_content_security_policy_blocks_other_scripts(recorded: RecordedPage, assets: Workspace) -> None:
    """The second line of defence: even if a token were not escaped, its script would not run."""
    document = bertviz.head_view(hostile_attention(), workspace=assets)
    recorded.show(document.replace("</body>", "<script>window.hacked = 1</script></body>"), "injected")
    assert recorded.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in error for error in recorded.errors)


def test_the_static_heat_map(recorded: RecordedPage) -> None:
    explanation = explain(bag_of_words(), "the story was bad and the film with actors and music was good", "occlusion")
    hostile = replace(explanation, shown=[*HOSTILE, *explanation.shown[len(HOSTILE) :]])
    style = "<style>:root { color-scheme: light dark }</style>"
    for name, shown in (("heat", explanation), ("heat-hostile", hostile)):
        recorded.requests.clear()
        recorded.show(f"<!DOCTYPE html><html lang='en'>{style}<body>{token_heat_html(shown)}</body></html>", name)
        assert recorded.page.locator("bdi[title]").count() == len(explanation.tokens)
        dark = recorded.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        recorded.screenshot(f"{name}-{'dark' if dark else 'light'}")
        recorded.assert_clean()


# -- the canvas view --------------------------------------------------------------------------------------------------


def long_attention(tokens: int, layers: int, heads: int) -> Attention:
    """Make heads that attend h tokens back (head h of every layer), and a little to every token."""
    names = ["[CLS]", *(f"word{i // 2}" if i % 2 == 0 else "##piece" for i in range(tokens - 2)), "[SEP]"]
    weights = np.full((layers, heads, tokens, tokens), 0.2 / tokens, dtype=np.float32)
    position = np.arange(tokens)
    for head in range(heads):
        weights[:, head, position, np.maximum(position - head, 0)] += 0.8
    special = [name.startswith("[") for name in names]
    words = [None, *(i // 2 for i in range(tokens - 2)), None]
    segments = [None if is_special else 0 for is_special in special]
    return Attention(weights, names, names, [(0, 0)] * tokens, segments, special, [], words)


def wait_for_drawing(page: Page, name: str) -> None:
    page.wait_for_selector(f"#picture[data-drawn='{name}']")


def hover_over_cell(page: Page, row: int, column: int, count: int) -> None:
    """Hover over a cell of the full matrix: margins of 118 and 96 pixels, cells as large as fit (at most 40)."""
    box = page.locator("#picture").bounding_box()
    assert box is not None
    cell = min(box["width"] - 2 - 118, box["height"] - 2 - 96, 40 * count) / count
    page.mouse.move(box["x"] + 1 + 118 + (column + 0.5) * cell, box["y"] + 1 + 96 + (row + 0.5) * cell)


def status(page: Page) -> str:
    page.wait_for_timeout(100)
    return page.locator("#status").inner_text()


def test_the_canvas_shows_the_weights_that_were_captured(recorded: RecordedPage) -> None:
    attention = capture_attention(bert(), tokenizer(), TEXT)
    count, page = len(attention.tokens), recorded.page
    recorded.show(canvas.canvas_view(attention), "canvas")
    wait_for_drawing(page, f"matrix-2-0-{count}")
    hover_over_cell(page, 3, 5, count)
    assert f"({3}) attends to" in status(page) and f"(5): {attention.weights[2, 0, 3, 5]:.2f}"[:-1] in status(page)
    page.locator("#maps").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    wait_for_drawing(page, f"matrix-1-1-{count}")
    assert page.locator("#heading").inner_text() == "Layer 1, head 1"
    page.keyboard.press("w")  # "un ##believ ##able" is one word
    wait_for_drawing(page, f"matrix-1-1-{count - 2}")
    hover_over_cell(page, 4, 4, count - 2)
    word_weight = attention.weights[1, 1, 4:7, 4:7].sum(-1).mean()
    text = status(page)
    assert "unbelievable" in text and abs(float(text.split("(4): ")[1].split(". ")[0]) - word_weight) < 0.01
    page.keyboard.press("s")
    wait_for_drawing(page, f"matrix-1-1-{count - 4}")
    recorded.screenshot(f"canvas-{page.evaluate('document.documentElement.dataset.theme')}")
    recorded.assert_clean()


def test_the_canvas_draws_long_texts(recorded: RecordedPage) -> None:
    attention, page = long_attention(512, 12, 12), recorded.page
    recorded.show(canvas.canvas_view(attention, layer=3, head=5), "canvas-long")
    wait_for_drawing(page, "matrix-3-5-512")
    theme = page.evaluate("document.documentElement.dataset.theme")
    recorded.screenshot(f"canvas-long-{theme}")
    page.locator("#maps").click(position={"x": 26 + 30 * 7 + 15, "y": 20 + 30 * 9 + 15})
    wait_for_drawing(page, "matrix-9-7-512")
    page.keyboard.press("a")
    wait_for_drawing(page, "arcs-9-7-512")
    for key in ("]", "]", "]"):
        page.keyboard.press(key)
    page.locator("#search").fill("word20")
    assert page.locator("#matches").inner_text() == "11 matches"  # word20 and word200 to word209
    page.locator("#search").press("Enter")
    text = status(page)
    assert "word20" in text and "(41) attends most to" in text  # token 41 attends to the token 7 before it
    assert float(text.split("(34): ")[1].split(". ")[0]) == pytest.approx(0.8, abs=0.004)
    recorded.screenshot(f"canvas-arcs-{theme}")
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    page.locator("#maps").focus()
    for _ in range(12):
        page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowDown")
    assert "attends to" in status(page)
    recorded.screenshot(f"canvas-near-{theme}")
    recorded.assert_clean()


def test_the_canvas_saves_pictures(recorded: RecordedPage) -> None:
    attention, page = hostile_attention(), recorded.page
    recorded.show(canvas.canvas_view(attention), "canvas-hostile")
    wait_for_drawing(page, f"matrix-1-0-{len(HOSTILE)}")
    for key, n_cells in (("m", len(HOSTILE) ** 2), ("a", 0)):
        page.keyboard.press(key)
        page.wait_for_timeout(100)
        with page.expect_download() as download:
            page.locator("#svg").click()
        tree = ElementTree.fromstring(Path(download.value.path()).read_text(encoding="utf-8"))
        names = [element.tag.split("}")[1] for element in tree.iter()]
        assert set(names) <= {"svg", "rect", "text", "title", "path", "circle"}
        assert names.count("rect") == n_cells + 1 and names.count("text") == (2 if key == "m" else 1) * len(HOSTILE)
        texts = [element.text or "" for element in tree.iter() if element.tag.endswith("text")]
        assert any("<svg onload=window.hacked=1>" in text for text in texts)
    assert "".join(names).count("script") == 0
    with page.expect_download() as download:
        page.locator("#png").click()
    assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    recorded.screenshot(f"canvas-hostile-{page.evaluate('document.documentElement.dataset.theme')}")
    recorded.requests = [address for address in recorded.requests if not address.startswith("blob:")]
    recorded.assert_clean()


def test_the_canvas_requests_a_head_when_it_is_shown(recorded: RecordedPage) -> None:
    attention, page = long_attention(60, 2, 3), recorded.page
    document = canvas.canvas_view(attention, layer=0, head=1, source="/heads")

    def fulfill(route: Route) -> None:
        path = route.request.url.removeprefix("http://view.test/heads/").split("/")
        if len(path) == 2:
            route.fulfill(body=canvas.packed_head(attention, int(path[0]), int(path[1])))
        else:
            route.fulfill(body=document, content_type="text/html")

    page.route("http://view.test/**", fulfill)
    page.goto("http://view.test/")
    wait_for_drawing(page, "matrix-0-1-60")
    page.locator("#maps").focus()
    page.keyboard.press("ArrowRight")
    wait_for_drawing(page, "matrix-0-2-60")
    hover_over_cell(page, 30, 28, 60)
    assert float(status(page).split("(28): ")[1].split(". ")[0]) == pytest.approx(
        attention.weights[0, 2, 30, 28], abs=0.004
    )
    assert [address for address in recorded.requests if "/heads/" in address] == ["http://view.test/heads/0/2"]
    assert recorded.errors == []


# -- the neuron view --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["bert", "our-rotary-encoder"])
def test_the_neuron_view_draws_for_any_model(model: str, recorded: RecordedPage, assets: Workspace) -> None:
    vectors = capture_queries_keys(bert() if model == "bert" else model_of(CONFIGS[model]), tokenizer(), TEXT)
    page = recorded.page
    recorded.show(neuron.neuron_view(vectors, head=1, workspace=assets), f"neuron-{model}")
    names = page.locator("#collapsed #leftText text").all_text_contents()
    assert names == vectors.attention.shown
    page.locator("#collapsed #leftText text").nth(3).hover()
    page.locator("#collapsed #leftText rect").nth(2 * 3 + 1).click()  # the plus
    assert page.locator("#expanded").get_attribute("visibility") == "visible"
    page.locator("#expanded #leftText text").nth(3).hover()
    products = [float(rect.get_attribute("data-value") or "nan") for rect in page.locator("#dotproducts rect").all()]
    expected = vectors.queries[-1, 1, 3] @ vectors.keys[-1, 1].T / np.sqrt(vectors.keys.shape[-1])
    np.testing.assert_allclose(products, expected, atol=0.02)
    recorded.screenshot(f"neuron-{model}-{page.evaluate('document.documentElement.dataset.theme')}")
    assert recorded.errors == [] and len(recorded.requests) == 1
