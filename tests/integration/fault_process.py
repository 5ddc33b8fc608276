"""A run's process with a fault in it: ``python -m tests.integration.fault_process FOLDER JSON``.

JSON holds a :class:`~tests.integration.write_faults.Fault` and, under ``limits``, what the process may use:
``{"memory": bytes beyond what it uses when training begins, "file": largest file in bytes}``.

With ``--serve`` in place of FOLDER it imports all that a run needs once, and then forks a process for each line of JSON
(a folder under ``folder`` and the same fields) that it reads; it answers each with a line: how the process ended, and
its write events. That makes hundreds of processes affordable.
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

QUIET_HEARTBEAT = 3600.0  # seconds: the heartbeat's writes come at no fixed place, and would move the others
MODULES = (  # pyarrow is not among them: it starts a thread
    "workbench.training.job",
    "transformers.models.bert.modeling_bert",
    "peft",
)


def main() -> int:
    if sys.argv[1] == "--serve":
        return serve()
    return do(Path(sys.argv[1]), json.loads(sys.argv[2]), report=None)


def do(folder: Path, order: dict[str, Any], report: int | None) -> int:
    """Do the run in ``folder`` with the fault of ``order``; write the events to the file descriptor ``report``."""
    from workbench.training import reporter, runner

    reporter.HEARTBEAT_SECONDS = order.get("heartbeat", QUIET_HEARTBEAT)
    limit(order.get("limits", {}))
    writes = install(folder, Fault(**order.get("fault", {})))
    try:
        return runner.run_folder(folder)
    finally:
        if report is not None:
            os.write(report, json.dumps(writes.events).encode())


def limit(limits: dict[str, int]) -> None:
    if "memory" in limits:
        importlib.import_module("workbench.training.job")  # its size is not what the limit is about
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + limits["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if "file" in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file"], resource.RLIM_INFINITY))


def serve() -> int:
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(fork(json.loads(line))), flush=True)
    return 0


def fork(order: dict[str, Any]) -> dict[str, Any]:
    """Do one order in a process of its own. Returns ``{"code", "events", "threads"}``; a signal's code is negative."""
    threads = len(os.listdir("/proc/self/task"))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.close(reading)
            log = os.open(Path(order["folder"]) / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = do(Path(order["folder"]), order, writing)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as pipe:
        messages = pipe.read()
    _, status = os.waitpid(child, 0)
    return {"code": os.waitstatus_to_exitcode(status), "events": json.loads(messages or "[]"), "threads": threads}


if __name__ == "__main__":
    sys.exit(main())
