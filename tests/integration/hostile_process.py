"""Load model folders as a run or a predictor does, and print how each attempt ended.

    python tests/integration/hostile_process.py JOBS.json

``JOBS.json`` is a list of ``{"name", "kind": "run" | "predict", "folder"}``; it prints a line of JSON for each. The
hub libraries are not set to offline mode here: attempts to reach the network are blocked and recorded.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

network_attempts: list[str] = []


def block_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        network_attempts.append(f"{event} {arguments[-1] if event == 'socket.connect' else arguments[0]}")
        raise OSError("this process may not reach the network")


def main(jobs: list[dict[str, str]]) -> None:
    from workbench.errors import WorkbenchError
    from workbench.inference.predictor import Predictor
    from workbench.runs.run import Run
    from workbench.training.runner import run_folder

    sys.addaudithook(block_network)
    for job in jobs:
        network_attempts.clear()
        run = Run(Path(job["folder"]))
        result: dict[str, Any] = {"name": job["name"], "error": None, "kind": None}
        if job["kind"] == "run":
            run_folder(run.folder)
            error = run.status().error
            result |= {"error": f"{error.message} {error.hint}", "kind": error.kind} if error else {}
        else:
            try:
                Predictor.load(run).predict([{"text": "a great film"}])
            except WorkbenchError as error:
                result |= {"error": str(error), "kind": error.kind}
            except BaseException as error:
                result |= {"error": repr(error), "kind": "Internal"}
        print("RESULT " + json.dumps({**result, "network_attempts": list(network_attempts)}), flush=True)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
