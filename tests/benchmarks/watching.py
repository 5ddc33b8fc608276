"""Measure the dashboard on 1,000 runs: delay of a new point, time of each page, and memory of the server.

python tests/benchmarks/watching.py [--runs 1000] [--rounds 5]      (needs Chromium)
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import psutil
from _common import fresh_workspace, machine, print_table, spread
from _pages import open_dashboard, seconds_until
from compare_page import write_runs

from dashboard import state
from tests import tiny
from tests.dashboard.browsing import SETTLED, settle
from tests.dashboard.fake_runs import fake_run
from workbench.runs.run import Run
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page

TEXT = "a wonderful film with a dull ending"
LAST_STEP = """() => { const plot = document.querySelector('.js-plotly-plot');
    return plot && plot._fullData && plot._fullData.length ? Math.max(...plot._fullData[0].x.slice(-1)) : -1; }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    workspace = fresh_workspace()
    write_runs(workspace, options.runs)
    real = _real_runs(workspace)
    running = fake_run(workspace, "running", name="is-running", steps=10_000)
    rows = []
    with open_dashboard() as (page, url, server):
        for name, query in _pages(real).items():
            seconds = seconds_until(page, f"{url}/{name}?{urlencode(query)}")
            settle(page, 2000)  # let deferred content load as well
            page.wait_for_function(SETTLED)
            assert not page.locator("[data-testid=stException]").count(), name
            rows.append([f"/{name}: until its script has finished", f"{seconds:.1f} s"])
        page.goto(f"{url}/run?id={running.id}")
        page.wait_for_function(f"() => ({LAST_STEP})() > 0")
        delays = [_delay(page, running, 4001 + number) for number in range(options.rounds)]
        rows.append(["from a new line of metrics to its point on the page", f"{spread(delays, 2)} s"])
        rows.append(["memory of the server after opening all pages", f"{_memory(server) / 1e6:.0f} MB"])
    print(f"{machine()}\n\n### The dashboard on {options.runs} runs of 1,000 lines\n")
    print_table(["measurement", "value"], rows)
    shutil.rmtree(workspace.root)


def _real_runs(workspace: Workspace) -> list[str]:
    """Train two tiny models, so that Compare, Explain and Playground can load them; return their ids."""
    runs = [tiny.make_run(workspace, {"training.seed": seed}) for seed in (0, 1)]
    for run in runs:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            code = run_folder(run.folder)
        if code != 0:
            raise SystemExit(f"The run {run.id} is {run.state}: {output.getvalue()[-2000:]}")
    return [run.id for run in runs]


def _pages(real: list[str]) -> dict[str, dict[str, str]]:
    """Return every page of the navigation with the query that shows the real runs."""
    first, second = real
    explain, playground, model_input = state.Explain, state.Playground, json.dumps({"text": TEXT})
    queries = {
        state.RUNS_PAGE: {state.RUN.param: first},
        state.COMPARE_PAGE: {state.Compare.RUNS.param: f"{first},{second}"},
        state.EXPLAIN_PAGE: {state.RUN.param: first, explain.TEXT.param: TEXT, explain.COMPARE_WITH.param: second},
        state.PLAYGROUND_PAGE: {
            state.RUN.param: first,
            playground.COMPARE_WITH.param: second,
            playground.INPUT.param: model_input,
        },
    }
    pages = [value for name, value in vars(state).items() if name.endswith("_PAGE")]
    return {"" if page == state.HOME_PAGE else Path(page).stem: queries.get(page, {}) for page in pages}


def _delay(page: Page, run: Run, step: int) -> float:
    """Return the seconds from appending a line of metrics to its point in the first plot."""
    time.sleep(0.37 * (step % 7))  # at a different point between two updates each time
    row = {"step": step, "epoch": 1.0, "time": 0.6 * step, "tokens": 800 * step, "train/loss": 0.5}
    start = time.perf_counter()
    run.append_metrics(row)
    page.wait_for_function(f"() => ({LAST_STEP})() >= {step}")
    return time.perf_counter() - start


def _memory(pid: int) -> int:
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in processes)


if __name__ == "__main__":
    main()
