"""Notebooks in JupyterLab and headless Chromium: sliders update their plot, and attention views are drawn."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.mirror, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
MINUTES_8 = 480_000  # in milliseconds, for all cells of a notebook on a busy machine
# Every code cell has a number: none is waiting, and none was skipped after an error.
ALL_HAVE_RUN = """() => {
  const cells = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(prompt => prompt.textContent);
  return cells.length > 5 && cells.every(text => /^\\[\\d+\\]:$/.test(text));
}"""


@dataclass(frozen=True)
class Lab:
    """JupyterLab as `workbench lab` starts it.

    Attributes:
        url: without a path.
        token: of the server.
        root: the served folder, a copy because JupyterLab saves the notebooks that it runs.
    """

    url: str
    token: str
    root: Path


@pytest.fixture(scope="module")
def lab(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root, home = tmp_path_factory.mktemp("course"), tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".*"))
    cache = os.environ.get("WORKBENCH_TEST_CACHE") or ROOT / "build" / "test-cache"  # as in the root conftest
    environment = {
        **os.environ,
        "WORKBENCH_HOME": str(Workspace(home / "workspace").create().root),
        "WORKBENCH_CACHE": str(Path(cache).absolute()),
        "WORKBENCH_COURSE_SCALE": "test",
        "OMP_NUM_THREADS": "1",
    }
    command = ["workbench", "lab", "--no-browser", "--port", str(_free_port()), "--", f"--ServerApp.root_dir={root}"]
    log = home / "lab.log"
    with open(log, "wb") as message:
        process = subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=message, stderr=message)
    try:
        yield Lab(*_address(process, log), root)
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _address(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    for _ in range(240):
        result = re.search(r"(http://127\.0\.0\.1:\d+)/\S*token=(\w+)", log.read_text())
        if result:
            return result[1], result[2]
        assert process.poll() is None, log.read_text()
        time.sleep(0.5)
    raise AssertionError(log.read_text())


@pytest.fixture
def page(chromium: Browser, lab: Lab) -> Iterator[Page]:
    """A browser page; the test fails if it requests anything from another machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    external: list[str] = []
    own = (lab.url, "data:", "blob:", "about:")
    context.on("request", lambda request: None if request.url.startswith(own) else external.append(request.url))
    opened = context.new_page()
    opened.set_default_timeout(120_000)
    yield opened
    context.close()
    assert external == [], "requests to other machines"


def run_all(page: Page, lab: Lab, name: str) -> None:
    """Open a notebook, run all cells and wait until the last has run; none may fail."""
    # A separate JupyterLab workspace, which does not reopen the notebooks of the previous test.
    page.goto(f"{lab.url}/lab/workspaces/{name[:2]}/tree/notebooks/{name}?token={lab.token}")
    kernel = page.locator(".jp-NotebookPanel .jp-Toolbar-kernelName")
    kernel.filter(has_text="Python 3 (Transformer workbench)").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(ALL_HAVE_RUN, timeout=MINUTES_8)
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts() == []


def alt_text(plot: Locator) -> str:
    return plot.locator("img").get_attribute("alt") or ""


def wait_for_alt_text(plot: Locator, words: str) -> str:
    """Wait until the plot's alternative text contains these words; return the text."""
    plot.locator(f"img[alt*='{words}']").wait_for()
    return alt_text(plot)


def test_a_slider_updates_its_plot(page: Page, lab: Lab) -> None:
    run_all(page, lab, "03_attention.ipynb")
    box = page.locator(".widget-vbox").filter(has=page.get_by_text("Temperature"))
    box.scroll_into_view_if_needed()
    plot = box.locator(".widget-html")
    start = alt_text(plot)
    assert start.startswith("Attention weights at temperature 1, everything visible")
    assert plot.locator("img").evaluate("image => image.naturalWidth") > 300  # it is an image, and it is drawn
    handle = box.locator(".noUi-handle").first
    handle.focus()
    for _ in range(5):  # the left arrow: five steps of a tenth of a power of ten
        handle.press("ArrowLeft")
    wait_for_alt_text(plot, "temperature 0.32, everything visible")
    box.get_by_role("button", name="causal").click()
    assert "15 of 36 are exactly 0" in wait_for_alt_text(plot, "temperature 0.32, causal")  # all above the diagonal


def test_attention_views_are_drawn(page: Page, lab: Lab) -> None:
    run_all(page, lab, "11_looking_inside.ipynb")
    frames = page.locator("iframe[title='Attention view']")
    frames.first.scroll_into_view_if_needed()
    assert frames.count() == 2
    for index in range(2):
        lines = page.frame_locator("iframe[title='Attention view']").nth(index).locator("svg line")
        lines.nth(100).wait_for(state="attached")  # tokens x tokens for each head that is shown
        drawn = lines.evaluate_all("all => all.filter(line => line.getTotalLength() > 5).length")
        assert drawn > 100
