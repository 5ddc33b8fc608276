"""Take the README's screenshots: python -m dashboard.screenshots [FOLDER] (needs Chromium and two finished runs).

The runs are those of the current workspace; ``make demo SERVE=0`` makes two.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from workbench.errors import MissingPackageError, RequestError, WorkbenchError
from workbench.runs.query import list_runs
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SENTENCE = "A film with a big heart and very little brain."
MAX_HEIGHT = 2600  # pixels of a picture
IN_README = ("dashboard", "attention")
_SERVE = "import sys; from dashboard.serving.server import serve; from workbench.workspace import Workspace; "
_SERVE += "serve(Workspace.current(), port=0)"


def pages(first: str, second: str) -> dict[str, str]:
    """Return the path of each page, by the picture's name.

    Args:
        first: id of a finished run.
        second: id of another.
    """
    explain = f"/explain?run={first}&text={SENTENCE}"
    document = quote(json.dumps({"text": SENTENCE}))
    return {
        "home": "/",
        "data": "/data?data=rotten-tomatoes",
        "launch": "/launch",
        "runs": "/runs",
        "run": f"/run?id={first}",
        "sweeps": "/sweeps",
        "playground": f"/playground?run={first}&with={second}&input={document}",
        "learn": "/learn",
        "settings": "/settings",
        "dashboard": f"/compare?runs={first},{second}",
        "tokens": f"{explain}&view=tokens",
        "attention": f"{explain}&view=head",
        "model-view": f"{explain}&view=model",
    }


def draw(
    browser: Browser, url: str, paths: dict[str, str], folder: Path, width: int = 1280, scheme: str = "light"
) -> None:
    """Take one picture of each page.

    Args:
        browser: Chromium.
        url: URL of the dashboard.
        paths: paths of the pages, by the picture's name.
        folder: where the pictures go.
        width: width of the window, in pixels.
        scheme: light or dark.
    """
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    for name, path in paths.items():
        page = context.new_page()
        page.goto(url + path)
        page.wait_for_selector("h1", timeout=60_000)
        page.wait_for_timeout(1500)
        page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')", timeout=120_000)
        page.wait_for_timeout(4000)  # Plotly and bertviz draw after the page's script has ended
        height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
        page.set_viewport_size({"width": width, "height": min(max(int(height), 500), MAX_HEIGHT)})
        page.wait_for_timeout(1000)
        page.screenshot(path=folder / f"{name}.png")
        page.close()
    context.close()


def main(
    folder: Path = IMAGES,
    widths: tuple[int, ...] = (1280,),
    schemes: tuple[str, ...] = ("light",),
    names: tuple[str, ...] = IN_README,
) -> None:
    """Serve the current workspace for a moment and take pictures of its pages.

    Args:
        folder: where the pictures go; with several widths or schemes, into a subfolder each.
        widths: widths of the window, in pixels.
        schemes: light, dark.
        names: names of the pictures, see ``pages``; empty for all.

    Raises:
        RequestError: there are fewer than two finished runs, or no Chromium.
        MissingPackageError: playwright is not installed.
    """
    finished = [run.id for run in list_runs(Workspace.current()) if run.state == "succeeded"]
    if len(finished) < 2:
        raise RequestError(f"Two finished runs are required; there are {len(finished)}.", "Run: make demo SERVE=0")
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome-stable"))), None)
    if executable is None:
        raise RequestError("Chromium is not installed.", "Install it (Debian's package: chromium).")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingPackageError("playwright", "to draw pictures of the pages") from error
    server = subprocess.Popen([sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        match = re.search(r"http://\S+", server.stdout.readline())
        if match is None:
            raise RequestError("The dashboard did not start.", "Run `workbench dashboard` to see why.")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            for width in widths:
                for scheme in schemes:
                    several = len(widths) * len(schemes) > 1
                    target = folder / f"{width}-{scheme}" if several else folder
                    target.mkdir(parents=True, exist_ok=True)
                    paths = pages(finished[1], finished[0])
                    wanted = {name: path for name, path in paths.items() if not names or name in names}
                    draw(browser, match[0], wanted, target, width, scheme)
            browser.close()
    finally:
        server.terminate()
        server.wait(15)


if __name__ == "__main__":
    try:
        if len(sys.argv) > 1:  # every page in every size and scheme
            main(Path(sys.argv[1]), (1280, 1920), ("light", "dark"), ())
        else:
            main()
    except WorkbenchError as error:
        sys.exit(f"Error: {error}")
