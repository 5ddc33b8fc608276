"""Time until Chromium has drawn the dashboard's first page, when the server has served it before.

python tests/benchmarks/first_page.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time

from _common import fresh_workspace, machine, print_table, spread
from playwright.sync_api import sync_playwright

PORT = 8599


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    fresh_workspace()
    command = [sys.executable, "-m", "workbench", "dashboard", "--port", str(PORT), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        while "http" not in line:
            line = server.stdout.readline()
        address = line[line.index("http") :].split()[0]
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            seconds = [_visit(browser, address) for _ in range(rounds + 1)]
            browser.close()
    finally:
        server.terminate()
        server.wait()
    print(f"{machine()}; {rounds} rounds\n\n### First page of the dashboard, in a new browser session\n")
    print_table(
        ["visit", "seconds"],
        [["first after the server's start", f"{seconds[0]:.2f}"], ["warm", spread(seconds[1:], 2)]],
    )


def _visit(browser, address: str) -> float:
    """Return the seconds until the page is drawn in a new browser session."""
    context = browser.new_context()
    page = context.new_page()
    start = time.perf_counter()
    page.goto(address)
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    seconds = time.perf_counter() - start
    context.close()
    return seconds


if __name__ == "__main__":
    main()
