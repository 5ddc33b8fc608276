"""A small local server that replaces the public one, and the catalogues and processes that fetch from it."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from workbench.workspace import Workspace

CONTENT = bytes(range(256)) * 4000  # 1 MB
REPOSITORY, COMMIT = "owner/name", "0" * 40


def pin(content: bytes) -> dict[str, object]:
    """Return the size and hash that a catalogue pins for a file."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def make_catalogue(source: dict, **files: bytes) -> dict:
    """Return a catalogue with one dataset, ``small``."""
    names = {f"{name}.csv": content for name, content in files.items()}
    first = next(iter(names))
    description = {
        "label": "small",
        "size": "small",
        "licence": "none",
        "citation": "none",
        "task": "t",
        "language": "en",
    }
    contents = {
        "columns": {},
        "splits": {"train": first},
        "files": {name: pin(content) for name, content in names.items()},
    }
    return {"datasets": {"small": {**description, **contents, "sources": [source]}}}


def url_catalogue(content: bytes = CONTENT) -> dict:
    """Return a catalogue whose dataset comes from a file of a public repository."""
    source = {"kind": "url", "repository": REPOSITORY, "commit": COMMIT, "files": {"train.csv": "data/train.csv"}}
    return make_catalogue(source, train=content)


class DownloadServer:
    """Serves CONTENT at any path and records the requests.

    Each request uses up one behaviour; the last one is repeated: ``whole``, ``slow``, ``torn`` (ends halfway),
    ``no-range`` (ignores Range), ``wrong`` (other bytes), ``longer``, ``shorter``, ``endless``, ``missing``, ``busy``,
    ``to-file`` (redirects to file://).
    """

    def __init__(self, *behaviours: str) -> None:
        self.behaviours = list(behaviours)
        self.requests: list[tuple[str, str | None]] = []  # path and Range header
        self.n_sent = 0  # bytes
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Range")))
                behaviour = outer.behaviours.pop(0) if len(outer.behaviours) > 1 else outer.behaviours[0]
                self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    outer.respond(self, behaviour)

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def respond(self, request: http.server.BaseHTTPRequestHandler, behaviour: str) -> None:
        if behaviour in ("missing", "busy"):
            return request.send_error(404 if behaviour == "missing" else 503)
        if behaviour == "to-file":
            request.send_response(302)
            request.send_header("Location", f"file://{__file__}")
            return request.end_headers()
        body = {"wrong": CONTENT[::-1], "longer": CONTENT + b"x", "shorter": CONTENT[:-1]}.get(behaviour, CONTENT)
        byte_range = request.headers.get("Range")
        start = int(byte_range.removeprefix("bytes=").rstrip("-")) if byte_range and behaviour != "no-range" else 0
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if behaviour != "endless":
            request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        self.send(request, body[start:], behaviour)

    def send(self, request: http.server.BaseHTTPRequestHandler, body: bytes, behaviour: str) -> None:
        if behaviour == "torn":
            request.wfile.write(body[: len(body) // 2])
        elif behaviour == "endless":
            for _ in range(100):
                request.wfile.write(CONTENT)
                self.n_sent += len(CONTENT)
        elif behaviour == "slow":
            for start in range(0, len(body), 50_000):
                request.wfile.write(body[start : start + 50_000])
                request.wfile.flush()
                time.sleep(0.05)
        else:
            request.wfile.write(body)

    def __enter__(self) -> DownloadServer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()


FETCH = """
import json, sys
from workbench.data.catalogue import download, sources
from workbench.data.catalogue.entries import Catalogue
from workbench.workspace import Workspace

entries, raw = json.loads(sys.argv[1]), sys.argv[2]
sources.catalogue = lambda: Catalogue.model_validate(entries)
download.RAW_FILE = raw
labels = []
sources.fetch_dataset("small", Workspace.current(), lambda label, done, total: labels.append(label))
print(json.dumps(sorted(set(labels))))
"""


def start_fetch(address: str, document: dict, before: str = "", **variables: str) -> subprocess.Popen[str]:
    """Start a process that runs the code ``before`` and then fetches ``small``."""
    command = [sys.executable, "-c", before + FETCH, json.dumps(document), address + "/{repository}/{commit}/{path}"]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **variables}
    )


def cached_file(workspace: Workspace) -> Path:
    """Return the path of the file of ``small`` in the cache."""
    return workspace.cache / "datasets" / "small" / "train.csv"


def leftovers(workspace: Workspace) -> list[str]:
    """List the files in the cache except locks."""
    return sorted(path.name for path in workspace.cache.rglob("*") if path.is_file() and path.suffix != ".lock")
