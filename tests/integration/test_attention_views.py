"""The views in a real browser with the network cut: they draw, ask for nothing, and run nothing that a text holds.

Screenshots go to the folder that WORKBENCH_SCREENSHOTS names, if it is set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.unit.explain_models import bag_of_words, bert, tokenizer
from workbench.explain import Attention, capture_attention, explain
from workbench.explain.render import bertviz
from workbench.explain.render.static import token_heat_html
from workbench.files import write_text
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

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


class Watched:
    """A page of a browser without network, and all that went wrong on it."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def show(self, document: str, name: str) -> None:
        """Open the document as a file, as someone would who was sent it."""
        file = self.folder / f"{name}.html"
        write_text(file, document)
        self.page.goto(file.as_uri())

    def shot(self, name: str) -> None:
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
def watched(request: pytest.FixtureRequest, chromium: Browser, tmp_path: Path) -> Iterator[Watched]:
    context = chromium.new_context(color_scheme=request.param, viewport={"width": 1100, "height": 800})
    context.set_offline(True)
    yield Watched(context.new_page(), tmp_path)
    context.close()


@pytest.fixture
def assets(workspace: Workspace, shared_cache: Path) -> Workspace:
    """A workspace that has (or can fetch) the scripts."""
    return workspace


def hostile_attention() -> Attention:
    count = len(HOSTILE)
    weights = np.random.default_rng(0).dirichlet(np.ones(count), (2, 2, count)).astype(np.float32)
    return Attention(weights, HOSTILE, HOSTILE, [(0, 0)] * count, [0] * count, [False] * count, [])


def test_the_head_view_draws_and_follows_the_reader(watched: Watched, assets: Workspace) -> None:
    attention = capture_attention(bert(), tokenizer(), TEXT)
    count = len(attention.tokens)
    watched.show(bertviz.head_view(attention, workspace=assets), "head")
    page = watched.page
    assert page.locator("svg line").count() == 4 * count**2
    assert page.locator("svg text").all_text_contents() == attention.shown * 2
    assert page.locator("#layer").input_value() == "2"  # the last
    drawn = page.locator("svg line").first.get_attribute("stroke-opacity")
    assert float(drawn or "nan") == pytest.approx(attention.weights[2, 0, 0, 0] / 4, abs=1e-4)
    page.select_option("#layer", "0")
    drawn = page.locator("svg line").first.get_attribute("stroke-opacity")
    assert float(drawn or "nan") == pytest.approx(attention.weights[0, 0, 0, 0] / 4, abs=1e-4)
    page.locator("svg #left text").nth(5).hover()
    assert page.locator("svg line[visibility=visible]").count() == 4 * count
    watched.shot(f"head-{page.evaluate('document.documentElement.dataset.theme')}")
    watched.assert_clean()


def test_the_model_view_draws_and_enlarges(watched: Watched, assets: Workspace) -> None:
    attention = capture_attention(bert(), tokenizer(), TEXT)
    count = len(attention.tokens)
    watched.show(bertviz.model_view(attention, workspace=assets), "model")
    page = watched.page
    assert page.locator("svg line").count() == 3 * 4 * count**2
    page.locator(".attn_background").nth(5).click(force=True)
    assert page.locator("svg line").count() == (3 * 4 + 1) * count**2
    assert "Layer 1, Head 1" in page.locator("svg text.detail").all_text_contents()
    watched.shot(f"model-{page.evaluate('document.documentElement.dataset.theme')}")
    watched.assert_clean()


def test_a_pair_and_no_special_tokens(watched: Watched, assets: Workspace) -> None:
    attention = capture_attention(bert(), tokenizer(), "good film", "bad story was a film")
    watched.show(bertviz.head_view(attention, hide_special=True, workspace=assets), "pair")
    page = watched.page
    assert page.locator("svg line").count() == 4 * 7**2
    page.select_option("#filter", label="Sentence A -> Sentence B")
    assert page.locator("svg line").count() == 4 * 2 * 5
    watched.shot(f"pair-{page.evaluate('document.documentElement.dataset.theme')}")
    watched.assert_clean()


@pytest.mark.parametrize("view", [bertviz.head_view, bertviz.model_view])
def test_hostile_text_is_shown_and_not_run(view: object, watched: Watched, assets: Workspace) -> None:
    assert callable(view)
    watched.show(view(hostile_attention(), workspace=assets), "hostile")
    page = watched.page
    assert page.locator("svg line").count() > 0
    if view is bertviz.head_view:
        shown = page.locator("svg #left text").all_text_contents()
        assert all(token.startswith(text.removesuffix("…")) for token, text in zip(HOSTILE, shown, strict=True))
    else:
        page.locator(".attn_background").first.click(force=True)
    watched.shot(f"hostile-{view.__name__}")
    watched.assert_clean()


def test_the_policy_stops_a_script_that_is_not_ours(watched: Watched, assets: Workspace) -> None:
    """The second wall: were a token not escaped, its script would still not run."""
    document = bertviz.head_view(hostile_attention(), workspace=assets)
    watched.show(document.replace("</body>", "<script>window.hacked = 1</script></body>"), "broken-into")
    assert watched.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in error for error in watched.errors)


def test_the_static_picture(watched: Watched) -> None:
    explanation = explain(bag_of_words(), "the story was bad and the film with actors and music was good", "occlusion")
    hostile = replace(explanation, shown=[*HOSTILE, *explanation.shown[len(HOSTILE) :]])
    style = "<style>:root { color-scheme: light dark }</style>"
    for name, one in (("heat", explanation), ("heat-hostile", hostile)):
        watched.requests.clear()
        watched.show(f"<!DOCTYPE html><html lang='en'>{style}<body>{token_heat_html(one)}</body></html>", name)
        assert watched.page.locator("bdi[title]").count() == len(explanation.tokens)
        dark = watched.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        watched.shot(f"{name}-{'dark' if dark else 'light'}")
        watched.assert_clean()
