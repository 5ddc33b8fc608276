"""Starts the real server in a process of its own, and asks it things as a browser or an attacker would."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parents[2]
_SERVE = """
import sys
from pathlib import Path
from dashboard.serving.server import serve
from workbench.workspace import Workspace
home, host, patch, certificate, key, *allowed = sys.argv[1:]
exec(patch)
https = (Path(certificate), Path(key)) if key else None
serve(Workspace(Path(home)).create(), host=host, port=0, allow_hosts=allowed, https=https)
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Server:
    port: int
    log: Path
    process: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def ask(self, path: str = "/", method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """One request; ``Host`` may be given as it is, other header names with ``_`` for ``-``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.putrequest(method, path, skip_host="Host" in named, skip_accept_encoding=True)
            for name, value in named.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = b"" if answer.status == 101 else answer.read()
            return Answer(answer.status, answer.headers, content)
        finally:
            connection.close()

    def shake_hands(self, path: str = "/_stcore/stream", **headers: str) -> int:
        """The status that a WebSocket handshake gets: 101 when it is let in."""
        wanted = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        return self.ask(path, **wanted, **headers).status


@contextlib.contextmanager
def served(
    workspace: Workspace,
    host: str = "127.0.0.1",
    *allowed: str,
    patch: str = "",
    https: tuple[Path, Path] | None = None,
    **environment: str,
) -> Iterator[Server]:
    """The dashboard of ``workspace`` on any free port, ended at the end; ``patch`` is run in its process first."""
    files = [str(path) for path in https or ("", "")]
    log = workspace.root.parent / "server.log"
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(workspace.root), host, patch, *files, *allowed],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        scheme = "http" if https is None else "https"
        assert line.startswith(f"Dashboard: {scheme}://"), f"{line!r}: {log.read_text()}"
        yield Server(int(line.rsplit(":", 1)[1]), log, process.pid, scheme)
    finally:
        process.terminate()
        process.wait(15)


def routes() -> list[dict[str, Any]]:
    """Every route of the application, from its own table: ``{"path", "kind"}``."""
    code = (
        "import json, tempfile; from pathlib import Path; from dashboard.serving.server import create_app; "
        "from workbench.workspace import Workspace; "
        "app = create_app(Workspace(Path(tempfile.mkdtemp())).create(), '127.0.0.1', 1).app._build_starlette_app(); "
        "print(json.dumps([{'path': r.path, 'kind': type(r).__name__} for r in app.routes]))"
    )
    import json

    return list(json.loads(answer_of(code)))


def answer_of(code: str) -> str:
    """The last line that a Python of its own prints when it runs ``code``."""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def example_path(route: dict[str, Any]) -> str:
    """A path that the route answers, its parameters filled in."""
    import re

    path = re.sub(r"\{[^}]*\}", "x", route["path"]) or "/"
    return path + ("/index.html" if route["kind"] == "Mount" and path != "/" else "")
