"""Draws every page in every state that people meet.

    python -m tests.dashboard.draw_pages FOLDER [--scenario none one ...] [--look 1280-light ...]

The scenarios are workspaces without a run, with one, with a thousand, and with names of 80 characters; each is drawn
1280 and 1920 pixels wide, light and dark. Look at the pictures after you change a page; they are not committed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dashboard import screenshots
from dashboard.parts.shared.data.uploads import store
from tests.dashboard.fake_runs import LONG, fake_run, long_names, many_runs
from tests.dashboard.pages import PAGES
from tests.dashboard.serving import served
from tests.dashboard.test_sweeps import made
from tests.tiny import reviews
from workbench import jobs
from workbench.workspace import Workspace

LOOKS = ("1280-light", "1280-dark", "1920-light", "1920-dark")


def one(workspace: Workspace) -> None:
    fake_run(workspace)
    _upload(workspace, "reviews")


def thousand(workspace: Workspace) -> None:
    many_runs(workspace, 1000)
    made(workspace, 12, 12)
    _upload(workspace, "reviews")


def long(workspace: Workspace) -> None:
    long_names(workspace)
    made(workspace, 6, 6, name=LONG[:60])
    _upload(workspace, LONG)


SCENARIOS: dict[str, Callable[[Workspace], None]] = {
    "none": lambda workspace: None,
    "one": one,
    "thousand": thousand,
    "long": long,
}


def _upload(workspace: Workspace, name: str) -> None:
    """A file with a few rows that stand there twice."""
    rows = [f'"{text}","{label}"\n' for text, label in reviews(60)]
    store(f"{name}.csv", "".join(["text,label\n", *rows, *rows[:4]]).encode(), workspace)


def paths(workspace: Workspace) -> dict[str, str]:
    """Every page; Data with the upload, where there is one."""
    result = {page: "/" if page == "home" else f"/{page}" for page in PAGES}
    files = list(workspace.uploads.iterdir())
    return result | ({"data": f"/data?data={files[0].name}"} if files else {})


def main(folder: Path, scenarios: Sequence[str], looks: Sequence[str]) -> None:
    """Make each workspace, serve it, and draw its pages."""
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome-stable"))))
    for scenario in scenarios:
        workspace = Workspace(Path(tempfile.mkdtemp()) / "home").create()
        jobs.pause(workspace)  # nothing is trained for a picture
        SCENARIOS[scenario](workspace)
        with served(workspace) as server, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            for look in looks:
                width, _, scheme = look.partition("-")
                target = folder / scenario / look
                target.mkdir(parents=True, exist_ok=True)
                screenshots.draw(browser, server.url, paths(workspace), target, int(width), scheme)
                print(target, flush=True)
            browser.close()
        shutil.rmtree(workspace.root.parent, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draws every page in every state that people meet.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--look", nargs="+", choices=LOOKS, default=LOOKS)
    options = parser.parse_args()
    main(options.folder.absolute(), options.scenario, options.look)
