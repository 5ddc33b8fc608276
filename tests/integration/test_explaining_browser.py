"""The page of ``workbench explain --html`` in a real offline browser: every view draws."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_explaining import finished, trained  # noqa: F401 - fixtures
from workbench.cli import main
from workbench.runs.run import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

TEXT = "the film is lovely </script><script>window.hacked = 1</script> <img src=x onerror=window.hacked=1>"


def test_a_page_with_every_view_draws_offline(
    finished: Run,  # noqa: F811
    chromium: Browser,
    tmp_path: Path,
    capsys: Any,
) -> None:
    page_file = tmp_path / "explanation.html"
    views = [word for view in ("tokens", "head", "model", "neuron", "canvas") for word in ("--view", view)]
    command = [
        "explain",
        finished.id,
        "--text",
        TEXT,
        "--method",
        "occlusion",
        "--faithfulness",
        "--lens",
        "--compare",
        "base",
    ]
    assert main([*command, *views, "--layers", "0-1", "--html", str(page_file)]) == 0
    capsys.readouterr()
    errors: list[str] = []
    requests: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    try:
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(page_file.as_uri())
        frames = [frame for frame in page.frames if frame != page.main_frame]
        assert len(frames) >= 4
        for frame in frames:  # each view is a document of its own
            frame.wait_for_selector("svg, canvas", state="attached", timeout=60_000)
            assert frame.evaluate("window.hacked") is None
        assert page.evaluate("window.hacked") is None
        if os.environ.get("WORKBENCH_SCREENSHOTS"):
            page.screenshot(path=str(Path(os.environ["WORKBENCH_SCREENSHOTS"]) / "explain-page.png"), full_page=True)
    finally:
        context.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(("file://", "about:", "data:", "blob:"))] == []
