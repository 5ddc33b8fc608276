"""The guard before every route, tried with real requests at a real server. Counts are printed (pytest -s)."""

from __future__ import annotations

import html
import json
import re
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from dashboard.serving import password
from dashboard.serving.guard import is_exposed
from dashboard.serving.server import serve, set_password
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.serving import Server, answer_of, example_path, routes, served
from workbench.cli.app import app
from workbench.errors import RefusedError, RequestError
from workbench.workspace import Workspace

PASSWORD = "correct horse battery staple"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WRONG_HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "localhost:1",
    "127.0.0.1:{port}@evil",
    "evil@127.0.0.1:{port}",
    "10.0.0.1:{port}",
    "[::2]:{port}",
    "",
    "localhost.:x",
    "127.0.0.1:{port}/x",
]
WRONG_ORIGINS = [
    "http://evil.example",
    "https://127.0.0.1:{port}.evil.example",
    "http://localhost:1",
    "null",
    "file://",
    "http://127.0.0.1:1",
    "http://evil.example:{port}",
]
PATHS_OUT = [
    "/../settings.json",
    "/static/../../settings.json",
    "/static/..%2f..%2fsettings.json",
    "/media/..%2fsettings.json",
    "/static/%2e%2e/%2e%2e/settings.json",
    "/component/x/..%5c..%5csettings.json",
    "/static//etc/passwd",
    "/static/..%5c..%5csettings.json",
    "/media/%2fetc%2fpasswd",
    "//etc/passwd",
    "/app/static/../settings.json",
    "/_stcore/bidi-components/x/..%2f..%2fsettings.json",
    "/static/%00",
    "/static/\\\\server\\share",
    "/static/file:///etc/passwd",
    "/static//proc/self/root/etc/passwd",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("served") / "home").create()
    fake_run(workspace)
    workspace.save_settings(secret="KEEP-THIS-TO-YOURSELF")
    return workspace


@pytest.fixture(scope="module")
def server(home: Workspace) -> Iterator[Server]:
    with served(home) as running:
        yield running


@pytest.fixture(scope="module")
def table() -> list[str]:
    paths = [example_path(route) for route in routes()]
    assert any("/_stcore/stream" in path for path in paths), paths
    assert any("upload_file" in path for path in paths), paths
    return paths


def test_it_serves_and_sends_no_secret_headers(server: Server) -> None:
    answer = server.ask("/")
    assert answer.status == 200 and "streamlit" in answer.text.lower()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    assert server.shake_hands() == 101
    assert server.shake_hands(Origin=server.url) == 101


def test_unused_packages_are_not_loaded() -> None:
    code = (
        "import sys; from dashboard.serving.server import _keep_memory_small; _keep_memory_small(); "
        "import bertviz; from workbench.inference import predictor; print('botocore' in sys.modules)"
    )
    assert answer_of(code) == "False"


def test_a_page_preloads_the_code_for_tables_and_figures(server: Server) -> None:
    """Also when a release of streamlit names its files anew."""
    (listed,) = re.findall(r'\["/static/js/[^\]]*\]', server.ask("/").text)
    parts = json.loads(listed)
    assert [Path(part).name.split(".")[0] for part in parts] == ["DataFrame", "PlotlyChart"]
    assert [server.ask(part).status for part in parts] == [200, 200]


def test_every_route_refuses_a_foreign_host_and_origin(server: Server, table: list[str]) -> None:
    tried = 0
    for path in table:
        for host in WRONG_HOSTS:
            assert server.ask(path, Host=host.format(port=server.port)).status in (400, 421), (path, host)
            tried += 1
        for origin in WRONG_ORIGINS:
            for method in ("GET", "POST"):
                assert server.ask(path, method, Origin=origin.format(port=server.port)).status == 403, (path, origin)
                tried += 1
        for site in ("cross-site", "same-site"):
            assert server.ask(path, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403, (path, site)
            tried += 1
    print(f"\nA4: {tried} requests to {len(table)} routes refused")


def test_the_websocket_refuses_a_foreign_host_and_origin(server: Server) -> None:
    for host in WRONG_HOSTS:
        assert server.shake_hands(Host=host.format(port=server.port)) != 101, host
    for origin in WRONG_ORIGINS:
        assert server.shake_hands(Origin=origin.format(port=server.port)) == 403, origin
    print(f"\nA4: {len(WRONG_HOSTS) + len(WRONG_ORIGINS)} WebSocket handshakes refused")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", "", "127.0.0.1.evil.example", "*"])
def test_another_address_needs_a_password(host: str, workspace: Workspace) -> None:
    with pytest.raises(RefusedError, match="no password"):
        serve(workspace, host=host, port=0)


def test_a_foreign_name_needs_a_password_too(workspace: Workspace) -> None:
    with pytest.raises(RefusedError, match="no password"):
        serve(workspace, port=0, allow_hosts=["box.example"])
    assert not is_exposed("127.0.0.1", ["localhost:9000", "127.0.0.1:9000", "[::1]:9000"])


def test_no_path_leads_out(server: Server, home: Workspace) -> None:
    (run,) = home.runs.iterdir()
    inside = [f"/{quote(str(Path('runs') / run.name / name))}" for name in ("spec.yaml", "log.txt", "report.json")]
    for path in [*PATHS_OUT, *inside, "/settings.json", f"/{home.settings_file}", f"/static/{home.settings_file}"]:
        answer = server.ask(path)
        assert "KEEP-THIS" not in answer.text and "root:" not in answer.text and "rotten" not in answer.text, path
    print(f"\nA1, A3: {len(PATHS_OUT) + len(inside) + 3} paths lead nowhere")


def test_a_taken_port_is_passed_over(home: Workspace) -> None:
    from dashboard.serving.server import _bind

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with _bind("127.0.0.1", taken.getsockname()[1]) as listener:
            assert listener.getsockname()[1] > taken.getsockname()[1]


# -- login ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Workspace]]:
    workspace = Workspace(tmp_path_factory.mktemp("locked") / "home").create()
    set_password(workspace, PASSWORD)
    with served(workspace, "127.0.0.1", "box.example") as running:
        yield running, workspace


def log_in(server: Server, secret: str, to: str = "/", **headers: str) -> tuple[int, str, str]:
    """Status, cookie and where one is sent."""
    body = f"password={quote(secret, safe='')}&next={quote(to, safe='')}".encode()
    answer = server.ask("/login", "POST", body, Content_Type="application/x-www-form-urlencoded", **headers)
    cookie = answer.headers.get("Set-Cookie", "")
    return answer.status, cookie, answer.headers.get("Location", "")


def test_every_route_needs_the_login(locked: tuple[Server, Workspace], table: list[str]) -> None:
    server, _ = locked
    tried = 0
    for path in [
        *table,
        "/static/js/x.js",
        "/runs",
        "/nothing/here",
        "/_stcore/health",
        "/robots.txt",
        "/login/x",
        "//login",
    ]:
        for method in METHODS:
            for accept in ("*/*", "text/html"):
                answer = server.ask(path, method, Accept=accept)
                sent = answer.status == 303 and answer.headers["Location"].startswith("/login?next=")
                assert sent or answer.status == 401, (path, method, answer.status)
                assert "streamlit" not in answer.text.lower(), path
                tried += 1
        assert server.shake_hands(path) == 403
        tried += 1
    print(f"\nA5: {tried} requests to {len(table)} routes refused without a login")


def test_every_route_refuses_other_sites_with_a_login_too(locked: tuple[Server, Workspace], table: list[str]) -> None:
    """A browser that has logged in sends its cookies with the requests of any page that it shows."""
    server, _ = locked
    session = log_in(server, PASSWORD)[1].split(";")[0]
    tried = 0
    for path in [*table, "/logout", "/login", "/robots.txt"]:
        for origin in WRONG_ORIGINS:
            for method in METHODS:
                headers = {"Cookie": session, "Origin": origin.format(port=server.port)}
                assert server.ask(path, method, **headers).status == 403, (path, method, origin)
                tried += 1
            assert server.shake_hands(path, Cookie=session, Origin=origin.format(port=server.port)) == 403, path
            tried += 1
        for host in WRONG_HOSTS:
            headers = {"Cookie": session, "Host": host.format(port=server.port)}
            assert server.ask(path, **headers).status in (400, 421), (path, host)
            assert server.shake_hands(path, **headers) != 101, (path, host)
            tried += 2
        for site, mode in (("cross-site", "no-cors"), ("same-site", "cors"), ("cross-site", "websocket")):
            headers = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Cookie": session}
            assert server.ask(path, "POST", **headers).status == 403, (path, site)
            tried += 1
    assert server.ask("/_stcore/health", Cookie=session).status == 200, "and none of them has logged out"
    print(f"\nA4: {tried} requests to {len(table)} routes of other sites refused with a login")


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "../../x", "\xff", "a" * 8000, "null", "{}", "%00", "a; {name}=b", '"', "=", "0"],
)
def test_every_route_refuses_a_made_up_cookie(locked: tuple[Server, Workspace], table: list[str], cookie: str) -> None:
    server, _ = locked
    name = f"workbench_session_{server.port}"
    for path in table:
        headers = {"Cookie": f"{name}={cookie.format(name=name) if 'name' in cookie else cookie}"}
        assert server.ask(path, **headers).status == 401, path
        assert server.shake_hands(path, **headers) == 403, path


def test_the_right_password_opens_and_logout_shuts(locked: tuple[Server, Workspace]) -> None:
    server, _ = locked
    status, cookie, to = log_in(server, PASSWORD, "/runs?run=a")
    assert (status, to) == (303, "/runs?run=a")
    flags = cookie.lower()
    assert "httponly" in flags and "samesite=strict" in flags and "max-age=" in flags
    session = cookie.split(";")[0]
    assert server.ask("/", Cookie=session).status == 200
    assert server.shake_hands(Cookie=session) == 101
    assert server.shake_hands(Cookie=session, Origin="http://evil.example") == 403
    assert server.ask("/_stcore/health", Cookie=session[:-1] + ("a" if session[-1] != "a" else "b")).status == 401
    server.ask("/logout", Cookie=session)
    assert server.ask("/_stcore/health", Cookie=session).status == 401


def test_a_wrong_password_costs_time_and_is_never_shown(locked: tuple[Server, Workspace]) -> None:
    server, workspace = locked
    guess = "<b>hunter2-and-more</b>"
    times = []
    for _ in range(4):
        begin = time.monotonic()
        assert server.ask("/login", "POST", f"password={guess}".encode()).status == 401
        times.append(time.monotonic() - begin)
    assert times[1] > 0.5 and times[2] > 1 and times[3] > 2, times
    assert log_in(server, PASSWORD)[0] == 303
    shown = server.ask("/login").text + server.log.read_text() + (workspace.root / "settings.json").read_text()
    assert PASSWORD not in shown and "hunter2" not in shown
    assert stat.S_IMODE(workspace.settings_file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/a\nb", ""]
)
def test_the_login_never_leads_to_another_site(locked: tuple[Server, Workspace], to: str) -> None:
    assert log_in(locked[0], PASSWORD, to)[2] == "/"


def test_the_login_page_escapes_where_it_leads(locked: tuple[Server, Workspace]) -> None:
    page = locked[0].ask("/login?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script" not in page
    assert re.search(r'value="(.*?)"', page.split('name="next"')[1])[1] == html.escape('/"><script>alert(1)</script>')


def test_a_changed_password_ends_the_sessions(locked: tuple[Server, Workspace]) -> None:
    server, workspace = locked
    session = log_in(server, PASSWORD)[1].split(";")[0]
    assert server.ask("/", Cookie=session).status == 200
    set_password(workspace, "another password")
    assert server.ask("/_stcore/health", Cookie=session).status == 401
    set_password(workspace, PASSWORD)


def test_other_addresses_only_by_number_or_by_a_name_that_was_allowed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home").create()
    set_password(workspace, PASSWORD)
    with served(workspace, "0.0.0.0", "box.example") as server:
        for host in (
            f"192.0.2.7:{server.port}",
            "box.example",
            f"box.example:{server.port}",
            f"[2001:db8::1]:{server.port}",
        ):
            assert server.ask("/login", Host=host).status == 200, host
        for host in ("evil.example", f"evil.example:{server.port}", f"xbox.example:{server.port}", "192.0.2.7:1"):
            assert server.ask("/login", Host=host).status == 421, host
        assert "plain HTTP" in server.log.read_text()
        set_password(workspace, "")  # taken away while others can reach the server: then nobody gets in
        assert server.ask("/", Host=f"192.0.2.7:{server.port}").status == 403


def test_passwords(workspace: Workspace) -> None:
    for wrong in ("short", "x" * 2000):
        with pytest.raises(RequestError):
            set_password(workspace, wrong)
    set_password(workspace, PASSWORD)
    first = password.stored_hash(workspace)
    set_password(workspace, PASSWORD)
    second = password.stored_hash(workspace)
    assert first is not None and second is not None and first["hash"] != second["hash"]  # salted
    assert password.is_right(PASSWORD, second) and not password.is_right(PASSWORD + "x", second)
    assert not password.is_right(PASSWORD, {}) and not password.is_right("", second)


def test_a_password_is_set_and_taken_away_in_a_terminal(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(workspace.root))
    command = ["dashboard", "--set-password"]
    result = CliRunner().invoke(app, command, input=f"{PASSWORD}\n{PASSWORD}\n")
    stored = password.stored_hash(workspace)
    assert result.exit_code == 0 and stored is not None and password.is_right(PASSWORD, stored), result.output
    assert PASSWORD not in result.output
    result = CliRunner().invoke(app, command, input="\n\n")
    assert result.exit_code == 0 and "Password removed" in result.output, result.output
    assert password.stored_hash(workspace) is None
