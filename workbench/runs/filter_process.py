"""Evaluates a filter in a process that ends itself when it takes too long: ``python -m workbench.runs.filter_process``.

DuckDB can be interrupted between values, not inside one: a regular expression over a long text would hold the process
that asked for minutes. Read from the standard input: a line of JSON (``expression``, ``seconds``), then the table as an
Arrow stream. Written to the standard output: ``{"places": [...]}`` or ``{"error": "..."}``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

TOO_LONG = 3  # the exit status


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline())
    import duckdb
    import pyarrow

    from workbench.runs.table import matching_indices

    with pyarrow.ipc.open_stream(sys.stdin.buffer) as stream:
        table = stream.read_all()
    end = threading.Timer(request["seconds"], os._exit, (TOO_LONG,))
    end.daemon = True
    end.start()
    try:
        answer: dict[str, Any] = {"places": matching_indices(table, request["expression"])}
    except duckdb.Error as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
