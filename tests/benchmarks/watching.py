"""The dashboard on 1,000 runs: how long a new figure takes to the screen, each page's time, and the server's memory.

python tests/benchmarks/watching.py [--runs 1000] [--rounds 5]      (needs Chromium)
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for the makers of runs, which the tests share

import psutil
from _common import fresh_workspace, machine, print_table, spread
from compare_page import write_runs

from dashboard.screenshots import _SERVE
from tests.dashboard.fake_runs import fake_run
from workbench.runs.run import Run

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGES = ("", "data", "launch", "runs", "sweeps", "compare", "explain", "playground", "settings")
LAST_STEP = """() => { const plot = document.querySelector('.js-plotly-plot');
    return plot && plot._fullData && plot._fullData.length ? Math.max(...plot._fullData[0].x.slice(-1)) : -1; }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    workspace = fresh_workspace()
    write_runs(workspace, given.runs)
    running = fake_run(workspace, "running", name="is-running", steps=10_000)
    server = subprocess.Popen([sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = re.search(r"http://\S+", server.stdout.readline())[0].rstrip("/")  # type: ignore[index]
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome-stable"))))
    rows = []
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            for name in PAGES:
                rows.append([f"/{name}: until its script has ended", f"{_open(page, f'{url}/{name}'):.1f} s"])
            page.goto(f"{url}/runs?run={running.id}")
            page.wait_for_function(f"() => ({LAST_STEP})() > 0", timeout=120_000)
            delays = [_delay(page, running, 4001 + number) for number in range(given.rounds)]
            rows.append(["a line written, until its point is drawn", f"{spread(delays, 2)} s"])
            browser.close()
        rows.append(["memory of the server after all pages", f"{_memory(server.pid) / 1e6:.0f} MB"])
    finally:
        server.terminate()
        server.wait(15)
    print(f"{machine()}\n\n### The dashboard on {given.runs} runs of 1,000 lines\n")
    print_table(["what", "measured"], rows)
    shutil.rmtree(workspace.root)


def _open(page: Page, url: str) -> float:
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("h1", timeout=120_000)
    page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')", timeout=120_000)
    return time.perf_counter() - began


def _delay(page: Page, run: Run, step: int) -> float:
    """Seconds from a line of metrics to its point in the first figure."""
    time.sleep(0.37 * (step % 7))  # at another place between two ticks each time
    row = {"step": step, "epoch": 1.0, "time": 0.6 * step, "tokens": 800 * step, "train/loss": 0.5}
    began = time.perf_counter()
    run.append_metrics(row)
    page.wait_for_function(f"() => ({LAST_STEP})() >= {step}", timeout=60_000)
    return time.perf_counter() - began


def _memory(pid: int) -> int:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in family)


if __name__ == "__main__":
    main()
