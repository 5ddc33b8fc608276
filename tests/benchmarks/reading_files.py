"""Time and memory of reading a large CSV and JSONL file, in a process of its own.

python tests/benchmarks/reading_files.py [--megabytes 200]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from _common import machine, print_table

_CHILD = textwrap.dedent(
    """
    import resource, sys, time
    from pathlib import Path
    from workbench.data.readers.read import read_table
    path = Path(sys.argv[1])
    small = path.with_name("small" + path.suffix)
    read_table(small)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calls = []
    start = time.perf_counter()
    table = read_table(path, progress=lambda *values: calls.append(values))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(len(table), seconds, (peak - before) * 1024 / path.stat().st_size, len(calls))
    """
)


def _write(path: Path, size: int, extra: str) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            file.write("text,label\n")
        for i in range(10**9):
            text = f"Row {i}: a film that takes its time, and is good; " + "it goes on and on. " * (i % 8) + extra
            label = "pos" if i % 2 else "neg"
            row = json.dumps({"text": text, "label": label}, ensure_ascii=False) if path.suffix == ".jsonl" else ""
            file.write(f"{row}\n" if row else f'"{text}",{label}\n')
            if i % 1000 == 0 and file.tell() > size:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    size = parser.parse_args().megabytes * 10**6
    print(machine())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".csv", ".jsonl"):
            for characters, extra in (("ASCII", ""), ("with an emoji in each row", "\U0001f600")):
                path = Path(folder) / f"large{suffix}"
                _write(path, size, extra)
                _write(path.with_name(f"small{suffix}"), 1000, extra)
                result = subprocess.run([sys.executable, "-c", _CHILD, str(path)], check=True, capture_output=True)
                count, seconds, factor, calls = result.stdout.split()
                file = f"{suffix[1:]}, {characters}"
                rows.append((file, f"{int(count):,}", f"{float(seconds):.1f}", f"{float(factor):.1f}", calls.decode()))
    print_table(("file", "rows", "seconds", "memory / file size", "progress reports"), rows)


if __name__ == "__main__":
    main()
