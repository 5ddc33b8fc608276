"""Hostile files, read as the dashboard reads an upload: memory and time stay within what is stated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile_files import QUICK, SLOW
from workbench.data.readers.limits import UPLOAD_MEMORY, UPLOAD_SECONDS
from workbench.system import limited_process

# Reads a file with the library alone, without limits of the process, and reports what that took.
MEASURE = """
import json, resource, sys, time
from workbench.data.limited import check_readable
from workbench.errors import WorkbenchError
resource.setrlimit(resource.RLIMIT_AS, (8 * 1024**3, 8 * 1024**3))
def peak():  # of this program alone, unlike ru_maxrss
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
before, begin, reason = peak(), time.monotonic(), ""
try:
    check_readable(sys.argv[1])
except WorkbenchError as error:
    reason = str(error)
print(json.dumps({"reason": reason, "seconds": time.monotonic() - begin, "bytes": peak() - before}))
"""


def measure(path: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, timeout=UPLOAD_SECONDS + 60,
        env={**os.environ, **limited_process._ENVIRONMENT},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    result: dict[str, object] = json.loads(done.stdout)
    print(f"\n{path.name} ({path.stat().st_size:,} bytes): {result}")
    return result


def is_within_bounds(path: Path) -> bool:
    result = measure(path)
    return float(str(result["bytes"])) < UPLOAD_MEMORY and float(str(result["seconds"])) < UPLOAD_SECONDS


@pytest.mark.parametrize("name", ["repeated-20kB.parquet", "far-row.xlsx", "new-keys.jsonl", "zeros.csv.gz"])
def test_small_files_that_became_large_are_refused_at_once(name: str, tmp_path: Path) -> None:
    QUICK[name](tmp_path / name)
    result = measure(tmp_path / name)
    assert result["reason"] and float(str(result["bytes"])) < 200_000_000 and float(str(result["seconds"])) < 20


@pytest.mark.slow
@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_no_hostile_file_takes_more_memory_or_time_than_stated(name: str, tmp_path: Path) -> None:
    {**QUICK, **SLOW}[name](tmp_path / name)
    assert is_within_bounds(tmp_path / name)
