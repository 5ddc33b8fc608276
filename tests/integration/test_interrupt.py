"""Ctrl-C early in a command, while its modules are imported: it ends at once, without a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.integration.cli_process import COMMAND, environment
from workbench.workspace import Workspace

QUICK, SLOW = 12, 60


def interrupt_after(workspace: Workspace, seconds: float, *arguments: str) -> tuple[int, str]:
    """Send SIGINT to a command; return its exit code and what it wrote to standard error."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(workspace),
        start_new_session=True,
    )
    # Python itself has started once it ignores SIGPIPE and catches SIGINT; before that, the signal ends it.
    status = f"/proc/{process.pid}/status"
    while process.poll() is None and not _catches_interrupts(status):
        time.sleep(0.001)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    return process.returncode, errors


def _catches_interrupts(status: str) -> bool:
    with open(status) as file:
        mask = next(line.split()[1] for line in file if line.startswith("SigCgt"))
    return bool(int(mask, 16) & 1 << (signal.SIGINT - 1))


def assert_quiet(workspace: Workspace, count: int) -> None:
    codes = []
    for number in range(count):
        code, errors = interrupt_after(workspace, 0.05 + 0.5 * number / count, "runs")
        if "Traceback" in errors and "workbench/cli/" not in errors:
            continue  # Python itself was still starting, and none of our code had run
        assert "Traceback" not in errors and "KeyboardInterrupt" not in errors, (number, errors)
        codes.append(code)
    assert set(codes) <= {130, 0, -signal.SIGINT}, codes  # on a busy machine, before Python can handle it
    assert codes.count(130) > count // 3


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_an_early_interrupt_is_quiet(workspace: Workspace) -> None:
    assert_quiet(workspace, QUICK)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_an_interrupt_at_many_moments_is_quiet(workspace: Workspace) -> None:
    assert_quiet(workspace, SLOW)
