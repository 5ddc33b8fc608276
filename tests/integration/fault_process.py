"""Execute a run with an injected fault: ``python -m tests.integration.fault_process FOLDER JSON``.

JSON holds a :class:`~tests.integration.write_faults.Fault` under ``fault`` and the limits of the process under
``limits``: ``{"memory": bytes beyond what it uses when training begins, "file": largest file in bytes}``.

With ``--serve`` instead of FOLDER, the process imports everything that a run needs once. It then reads requests, one
line of JSON each (the same fields and the run's folder under ``folder``), and forks a process for each. It answers with
a line that holds the exit code and the write events. This makes hundreds of processes affordable.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.integration.write_faults import Fault, install

QUIET_HEARTBEAT = 3600.0  # seconds: the heartbeat writes at no fixed point and would shift the other events
MODULES = (
    "workbench.training.job",
    "transformers.models.bert.modeling_bert",
    "peft",
    "pandas",  # pyarrow imports it when it makes a column
    "pyarrow.parquet",
)


def main() -> int:
    if sys.argv[1] == "--serve":
        return serve()
    return execute(Path(sys.argv[1]), json.loads(sys.argv[2]), events_handle=None)


def execute(folder: Path, request: dict[str, Any], events_handle: int | None) -> int:
    """Execute the run in ``folder`` with the requested fault; write the events to ``events_handle``."""
    from workbench.training import reporter, runner

    reporter.HEARTBEAT_SECONDS = request.get("heartbeat", QUIET_HEARTBEAT)
    set_limits(request.get("limits", {}))
    writes = install(folder, Fault(**request.get("fault", {})))
    try:
        return runner.run_folder(folder)
    finally:
        if events_handle is not None:
            os.write(events_handle, json.dumps(writes.events).encode())


def set_limits(limits: dict[str, int]) -> None:
    if "memory" in limits:
        importlib.import_module("workbench.training.job")  # the limit applies to what comes on top of it
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        max_bytes = pages * os.sysconf("SC_PAGE_SIZE") + limits["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
    if "file" in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file"], resource.RLIM_INFINITY))


def serve() -> int:
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from workbench.data.readers.formats.base import formats
    from workbench.data.shapes.base import shapes
    from workbench.models.loading import register_models

    register_models()
    for registry in (formats, shapes):
        registry.names()  # imports the entries
    for line in sys.stdin:
        print(json.dumps(fork(json.loads(line))), flush=True)
    return 0


def fork(request: dict[str, Any]) -> dict[str, Any]:
    """Execute one request in a new process; return ``code`` (negative for a signal), ``events`` and ``threads``."""
    threads = len(os.listdir("/proc/self/task"))
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.close(read_end)
            log = os.open(Path(request["folder"]) / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = execute(Path(request["folder"]), request, write_end)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(code)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        events = pipe.read()
    _, status = os.waitpid(child, 0)
    return {"code": os.waitstatus_to_exitcode(status), "events": json.loads(events or "[]"), "threads": threads}


if __name__ == "__main__":
    sys.exit(main())
