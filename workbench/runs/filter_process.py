"""Evaluate a filter in a process that ends itself after a time limit: ``python -m workbench.runs.filter_process``.

DuckDB can be interrupted between values, but not inside one: a regular expression over a long text would block the
calling process for minutes. Standard input: a line of JSON (``expression``, ``seconds``), then the table as an Arrow
stream. Standard output: ``{"indices": [...]}`` or ``{"error": "..."}``.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from workbench.runs.filter import TIMED_OUT, matching_indices


def main() -> None:
    """Read the request, evaluate it, and print the result."""
    request = json.loads(sys.stdin.buffer.readline())
    import duckdb
    import pyarrow

    with pyarrow.ipc.open_stream(sys.stdin.buffer) as stream:
        table = stream.read_all()
    timer = threading.Timer(request["seconds"], os._exit, (TIMED_OUT,))
    timer.daemon = True
    timer.start()
    answer: dict[str, list[int] | str]
    try:
        answer = {"indices": matching_indices(table, request["expression"])}
    except duckdb.Error as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
