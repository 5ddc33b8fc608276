"""Attacks on the server's login, connections, open pages and uploads, with real requests at a real process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import http.client
import os
import resource
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from dashboard.serving import comparisons, connections, uploads, websockets
from dashboard.serving.server import set_password
from tests.dashboard.serving import Answer, Server, answer_of, served
from workbench.workspace import Workspace

PASSWORD = "correct horse battery staple"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Workspace]]:
    workspace = Workspace(tmp_path_factory.mktemp("attacked") / "home").create()
    set_password(workspace, PASSWORD)
    with served(workspace, "127.0.0.1", "box.example") as running:
        yield running, workspace


def log_in(server: Server, secret: str = PASSWORD, **headers: str) -> Answer:
    body = f"password={quote(secret, safe='')}&next=/".encode()
    return server.ask("/login", "POST", body, Content_Type=FORM, **headers)


def cookies_of(answer: Answer) -> dict[str, str]:
    """The cookies that a login sets: session and device."""
    values = (header.split(";")[0].split("=", 1) for header in answer.headers.get_all("Set-Cookie", []))
    return {name.split("_")[1]: f"{name}={value}" for name, value in values}


def from_address(server: Server, address: str, secret: str) -> int:
    """The status of a login from another address of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60, source_address=(address, 0))
    try:
        connection.request("POST", "/login", f"password={secret}", {"Content-Type": FORM})
        return connection.getresponse().status
    finally:
        connection.close()


def peak_megabytes(server: Server) -> float:
    status = Path(f"/proc/{server.process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@contextlib.contextmanager
def guessing(server: Server, people: int) -> Iterator[list[int]]:
    """So many people who guess all the time from this address, one guess after the other."""
    ended, statuses = threading.Event(), []

    def guess(number: int) -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                statuses.append(log_in(server, f"guess {number}").status)

    threads = [threading.Thread(target=guess, args=(number,), daemon=True) for number in range(people)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        ended.set()


# -- passwords ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_right_password_gets_in_while_40_guess_from_the_same_address(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home").create()
    set_password(workspace, PASSWORD)
    with served(workspace) as server:
        device = cookies_of(log_in(server))["device"]
        times, known = [], []
        with guessing(server, 40) as answered:
            for wait in (0.2, 3, 3):
                time.sleep(wait)
                for cookie, seconds in (("", times), (device, known)):
                    begin = time.monotonic()
                    assert log_in(server, Cookie=cookie).status == 303
                    seconds.append(time.monotonic() - begin)
            statuses = list(answered)
        peak = peak_megabytes(server)
    print(
        f"\n40 guess: right password in {max(times):.1f} s, from a known browser in {max(known):.1f} s, {peak:.0f} MB"
    )
    assert max(times) < 5 and max(known) < 2, (times, known)
    assert set(statuses) <= {401, 429} and len(statuses) < 150, "guesses are slowed down"
    assert peak < 300, peak


@pytest.mark.slow
def test_150_addresses_at_once_need_little_memory_and_are_compared_slowly(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home").create()
    set_password(workspace, PASSWORD)
    with served(workspace) as server, concurrent.futures.ThreadPoolExecutor(250) as pool:
        begin = time.monotonic()
        tries = [
            pool.submit(from_address, server, f"127.0.{number // 100}.{number % 100 + 2}", "guess")
            for number in range(150)
        ]
        statuses = [each.result() for each in tries]
        seconds, peak = time.monotonic() - begin, peak_megabytes(server)
    print(f"\n150 guesses at once from 150 addresses: {seconds:.0f} s, {peak:.0f} MB")
    assert set(statuses) == {401}
    assert seconds > (150 - comparisons.BURST) / comparisons.PER_SECOND - 1, "a budget for all strangers together"
    assert peak < 300, peak


@pytest.mark.slow
def test_a_first_login_waits_for_none_of_60_addresses_that_guess(tmp_path: Path) -> None:
    """In turn with all of them, at four comparisons a second, it took a quarter of a minute."""
    workspace = Workspace(tmp_path / "home").create()
    set_password(workspace, PASSWORD)
    ended, statuses = threading.Event(), list[int]()

    def guess(address: str) -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                statuses.append(from_address(server, address, "guess"))

    patch = "from dashboard.serving import comparisons; comparisons.BURST = 1; comparisons._FIRST_DELAY = 0.01"
    with served(workspace, patch=patch) as server:
        for number in range(120):  # two at once from each
            threading.Thread(target=guess, args=(f"127.0.1.{number % 60 + 2}",), daemon=True).start()
        times = []
        for wait, address in ((30, "127.0.2.2"), (2, "127.0.2.3"), (2, "127.0.2.4"), (2, "127.0.2.5")):
            time.sleep(wait)
            begin = time.monotonic()
            assert from_address(server, address, quote(PASSWORD)) == 303
            times.append(time.monotonic() - begin)
        answered, peak = list(statuses), peak_megabytes(server)
        ended.set()
    print(f"\n60 addresses guess, {len(answered)} compared: first logins in {max(times):.1f} s at most, {peak:.0f} MB")
    assert max(times) < 5, times
    assert set(answered) <= {401, 429} and peak < 300, (set(answered), peak)


async def _order(tries: list[str]) -> list[str]:
    """The addresses of all tries, in the order in which they are compared; one comparison at a time."""
    compared: list[str] = []
    begin = threading.Event()

    def is_right(text: str, stored: object) -> bool:
        begin.wait(10)
        compared.append(text)
        return False

    queue = comparisons.Comparisons(is_right)
    waiting = [asyncio.create_task(queue.compare(source, {}, source, known=False)) for source in tries]
    await asyncio.sleep(0.05)
    begin.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    return compared


def test_an_address_that_has_not_tried_comes_before_those_that_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparisons, "AT_ONCE", 1)
    order = asyncio.run(_order([*["a", "b", "c"] * 10, "new"]))
    assert order.index("new") < 4, order
    assert all(order.count(source) == 10 for source in "abc"), "and nobody is forgotten"
    shared = [
        index
        for index, source in enumerate(asyncio.run(_order(["shared"] * 3 + list("defghijk"))))
        if source == "shared"
    ]
    assert shared[1] <= 8, "an address that many share waits, and not to the end"


def test_more_addresses_than_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of the try that was turned away stayed empty, and its turn broke the queue."""
    monkeypatch.setattr(comparisons, "BURST", 1000.0)
    tries = [f"10.0.{number // 250}.{number % 250}" for number in range(comparisons.MAX_WAITING + 40)]
    assert len(asyncio.run(_order(tries))) == comparisons.MAX_WAITING + comparisons.AT_ONCE


def test_after_thousands_of_wrong_passwords_the_right_one_gets_in() -> None:
    """The delay of the 1,025th wrong password overflowed a float, and shut out its address."""
    failures = comparisons.Failures()
    assert [failures.add("a") for _ in range(5000)][-1] == comparisons.MAX_DELAY
    for number in range(5000):
        failures.add(f"10.0.{number // 250}.{number % 250}")
    assert len(failures._counts) <= 1024


def test_a_network_of_ipv6_is_one_source() -> None:
    assert comparisons.source_of("2001:db8:1:2::1") == comparisons.source_of("2001:db8:1:2:ffff::9")
    assert comparisons.source_of("2001:db8:1:2::1") != comparisons.source_of("2001:db8:1:3::1")
    assert comparisons.source_of("::ffff:192.0.2.1") == comparisons.source_of("192.0.2.1") == "192.0.2.1"


def test_settings_form_survives_thousands_of_wrong_passwords(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard.serving import password

    set_password(workspace, PASSWORD)
    monkeypatch.setattr(password, "_tries", {"failures": 3000.0, "until": 0.0})
    password.change_password(workspace, PASSWORD, "another horse")
    assert password._tries["failures"] == 0


def test_the_cookie_of_a_known_browser_opens_nothing(locked: tuple[Server, Workspace]) -> None:
    server, _ = locked
    cookies = cookies_of(log_in(server))
    assert server.ask("/_stcore/health", Cookie=cookies["session"]).status == 200
    assert server.ask("/_stcore/health", Cookie=cookies["device"]).status == 401


def test_odd_forms_are_refused_without_a_comparison(locked: tuple[Server, Workspace]) -> None:
    server, _ = locked
    right = f"password={quote(PASSWORD)}"
    odd = [
        (b"&".join(b"f%d=1" % number for number in range(11)), FORM, 400),
        (b"password=" + b"x" * 9000, FORM, 413),
        (b"&" * 8000, FORM, 400),
        (b"", FORM, 400),
        (b"password=", FORM, 400),
        (b"next=/", FORM, 400),
        (b"\xff\xfe\x00\x01password=x", FORM, 400),
        (b"password=%FF%FE", FORM, 400),
        (b'{"password": ["x"]}', "application/json", 415),
        (
            b"--x\r\nContent-Disposition: form-data; name=password\r\n\r\ny\r\n--x--",
            "multipart/form-data; boundary=x",
            415,
        ),
        (right.encode("utf-16"), FORM, 400),
        (right.encode(), "text/plain", 415),
        (b"password[]=x&password.a=1", FORM, 400),
    ]
    for body, kind, status in odd:
        answer = server.ask("/login", "POST", body, Content_Type=kind)
        assert answer.status == status, (body[:40], answer.status)
    for content in ("-1", "1e3", "9" * 30):
        assert (
            raw(server, f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {content}\r\n\r\n")
            == 400
        )
    assert server.ask("/login", "POST", b"password=x&password=y", Content_Type=FORM).status == 401
    assert "Traceback" not in server.log.read_text()


def raw(server: Server, request: str, wait: float = 20) -> int:
    """The status of what is sent as it is; 0 if the connection is closed without an answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        connection.sendall(request.encode())
        answer = connection.recv(4096)
    return int(answer.split()[1]) if answer else 0


# -- open pages -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_page(server: Server, session: str = "", **options: object) -> Iterator[ClientConnection]:
    """A page's WebSocket, after the page has been drawn."""
    headers = {"Cookie": session} if session else {}
    address = f"{server.url.replace('http', 'ws')}/_stcore/stream"
    with connect(address, additional_headers=headers, max_size=None, close_timeout=1, **options) as page:  # type: ignore[arg-type]
        page.send(BackMsg(rerun_script={"query_string": ""}).SerializeToString())
        yield page


def closed_with(page: ClientConnection, seconds: float = 20) -> int:
    """Why the server closes a page; whatever it still sends is read."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                page.recv(timeout=1)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0
    return -1


def test_logging_out_ends_the_open_pages(locked: tuple[Server, Workspace]) -> None:
    server, _ = locked
    first, second = cookies_of(log_in(server))["session"], cookies_of(log_in(server))["session"]
    with open_page(server, first) as page, open_page(server, second) as other:
        assert page.recv(timeout=20)
        server.ask("/logout", Cookie=first)
        with contextlib.suppress(ConnectionClosed):
            page.send(b"\x00" * 100)  # refused before it is read
        assert closed_with(page) == 1008
        assert closed_with(other, 3) == -1, "the pages of another login stay"


def test_a_new_password_ends_pages_that_are_idle(locked: tuple[Server, Workspace]) -> None:
    server, workspace = locked
    with open_page(server, cookies_of(log_in(server))["session"]) as page:
        assert page.recv(timeout=20)
        set_password(workspace, "another password")
        try:
            begin = time.monotonic()
            assert closed_with(page) == 1008
            assert time.monotonic() - begin < 2 * websockets.CHECK_SECONDS + 3
        finally:
            set_password(workspace, PASSWORD)


def test_a_login_ends_after_its_time(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home").create()
    set_password(workspace, PASSWORD)
    with served(workspace, patch="from dashboard.serving import login; login.SESSION_SECONDS = 4") as server:
        session = cookies_of(log_in(server))["session"]
        with open_page(server, session) as page:
            assert closed_with(page) == 1008
        assert server.ask("/_stcore/health", Cookie=session).status == 401


def test_one_login_opens_a_limited_number_of_pages(locked: tuple[Server, Workspace]) -> None:
    server, _ = locked
    session, other = (cookies_of(log_in(server))["session"] for _ in range(2))
    with contextlib.ExitStack() as stack:
        for _ in range(websockets.MAX_PAGES_OF_ONE):
            stack.callback(opened(server, session).close)
        assert server.shake_hands(Cookie=session) == 403
        assert server.shake_hands(Cookie=other) == 101
    end = time.monotonic() + 20
    while server.shake_hands(Cookie=session) != 101:  # room again when they have been closed
        assert time.monotonic() < end


def opened(server: Server, session: str) -> socket.socket:
    """A WebSocket that says nothing."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Cookie: {session}",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    assert b" 101 " in connection.recv(100)
    return connection


def test_a_page_that_asks_without_end_holds_up_nobody(locked: tuple[Server, Workspace]) -> None:
    """2,000 requests to draw a page, 40 kB, each of which started a thread: the server answered nobody for a minute."""
    server, _ = locked
    session = cookies_of(log_in(server))["session"]
    with open_page(server, session) as page:
        for _ in range(2000):
            page.send(BackMsg(rerun_script={"query_string": ""}).SerializeToString())
        for _ in range(3):
            assert server.ask("/_stcore/health", Cookie=session).status == 200  # within 20 s


def test_pages_that_fail_end_where_nobody_reads_the_output(locked: tuple[Server, Workspace]) -> None:
    """Each traceback was printed to standard output, too. Once the pipe was full, failing pages hung for ever."""
    server, _ = locked
    session = cookies_of(log_in(server))["session"]
    unknown = {"widgets": [{"id": "no widget", "string_value": "x"}]}
    with open_page(server, session) as page:
        for _ in range(12):
            request = {"page_name": "launch", "widget_states": unknown}
            page.send(BackMsg(rerun_script=request).SerializeToString())
            message = ForwardMsg()
            while message.WhichOneof("type") != "script_finished":
                message.ParseFromString(page.recv(timeout=60))


# -- uploads --------------------------------------------------------------------------------------------------------


def test_a_page_holds_a_limited_number_of_bytes(tmp_path: Path) -> None:
    """Files are sent to a real page; the limit is lowered, so that the test needs little memory."""
    limits = "(uploads.held_by_streamlit, 5 * 2**20, 8 * 2**20)"
    patch = f"from dashboard.serving import uploads; uploads.Uploads.__init__.__defaults__ = {limits}"
    home = Workspace(tmp_path / "home").create()
    with served(home, patch=patch) as server, open_page(server) as page, open_page(server) as other:
        name, second = session_of(page), session_of(other)
        assert [upload(server, name, file, 2) for file in "ab"] == [204, 204]
        assert upload(server, name, "c", 2) == 413
        assert upload(server, name, "b", 2) == 204, "a file in place of itself"
        assert upload(server, second, "a", 3) == 204
        assert upload(server, second, "b", 2) == 413, "the limit of all pages"
        assert upload(server, name, "a", 0, "DELETE") == 204
        assert upload(server, name, "c", 2) == 204
        path = f"/_stcore/upload_file/{name}/d"
        head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert raw(server, head) == 411
    assert uploads.PAGE_MEGABYTES < uploads.TOTAL_MEGABYTES


def session_of(page: ClientConnection) -> str:
    message = ForwardMsg()
    message.ParseFromString(page.recv(timeout=20))
    return str(message.new_session.initialize.session_id)


def upload(server: Server, page: str, file: str, megabytes: int, method: str = "PUT") -> int:
    token = server.ask("/_stcore/health").headers.get("Set-Cookie", "").split(";")[0]
    start = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\n\r\n'
    body = start + b"a" * (megabytes * 2**20) + b"\r\n--x--\r\n"
    headers = {
        "Cookie": token,
        "X_Xsrftoken": token.partition("=")[2],
        "Content_Type": "multipart/form-data; boundary=x",
    }
    return server.ask(f"/_stcore/upload_file/{page}/{file}", method, body, **headers).status


# -- connections ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_silent_connections_make_room_and_are_closed(tmp_path: Path) -> None:
    """With 256 descriptors, 400 connections that send nothing, half a header or half a form kept everybody out."""
    workspace = Workspace(tmp_path / "home").create()
    set_password(workspace, PASSWORD)
    patch = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"
    host = "Host: 127.0.0.1"
    halves = [b"", f"GET / HTTP/1.1\r\n{host}".encode(), b"", b"X"]
    with served(workspace, patch=patch) as server, contextlib.ExitStack() as stack:
        halves[2] = f"POST /login HTTP/1.1\r\n{host}:{server.port}\r\nContent-Length: 100\r\n\r\npassword=".encode()
        begin = time.monotonic()
        silent = []
        for number in range(400):
            silent.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30)))
            with contextlib.suppress(OSError):
                silent[-1].sendall(halves[number % len(halves)])
        served_within = time.monotonic()
        session = cookies_of(log_in(server))["session"]
        assert server.ask("/", Cookie=session).status == 200
        assert server.shake_hands(Cookie=session) == 101
        served_within = time.monotonic() - served_within
        descriptors = len(os.listdir(f"/proc/{server.process}/fd"))
        for connection in silent:
            with contextlib.suppress(OSError):
                while connection.recv(4096):  # until the server has closed it
                    pass
        closed_within = time.monotonic() - begin
    print(f"\n400 silent: others served in {served_within:.1f} s, {descriptors} descriptors, {closed_within:.0f} s")
    assert served_within < 5 and descriptors < 256
    assert closed_within < connections.HEADER_SECONDS + 10


@pytest.mark.slow
def test_a_form_that_is_sent_slowly_ends(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home").create()
    set_password(workspace, PASSWORD)
    patch = "from dashboard.serving import login, connections; login.FORM_SECONDS = connections.HEADER_SECONDS = 2"
    with served(workspace, patch=patch) as server:
        for start in (
            f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 1000\r\n\r\n",
            f"GET /login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX: ",
            f"POST /other HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 1000\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
                begin = time.monotonic()
                with contextlib.suppress(OSError):
                    connection.sendall(start.encode())
                    while time.monotonic() - begin < 15:
                        time.sleep(0.3)
                        connection.sendall(b"p")  # a byte now and then
                assert time.monotonic() - begin < 8, start


def test_pages_are_never_closed_to_make_room(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home").create()
    patch = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"
    with served(workspace, patch=patch) as server, contextlib.ExitStack() as stack:
        page = opened(server, "")
        stack.callback(page.close)
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
        page.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                assert page.recv(4096), "the page was closed"


def test_the_limit_of_descriptors_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = int(answer_of("from dashboard.serving.connections import connection_limit as limit; print(limit())"))
    assert 16 <= limit <= connections.MAX_CONNECTIONS
    if hard == resource.RLIM_INFINITY or hard >= 2200:
        assert limit == connections.MAX_CONNECTIONS
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


# -- HTTPS ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("certificate")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    try:
        subprocess.run([*command, *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return cert, key


def test_https(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    workspace = Workspace(tmp_path / "home").create()
    set_password(workspace, PASSWORD)
    patch = "from dashboard.serving import connections; connections.HEADER_SECONDS = 2"
    with served(workspace, patch=patch, https=certificate) as server:
        context = ssl.create_default_context(cafile=str(certificate[0]))
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=context)
        connection.request(
            "POST", "/login", f"password={quote(PASSWORD)}", {"Content-Type": FORM, "Origin": server.url}
        )
        answer = connection.getresponse()
        cookies = answer.headers.get_all("Set-Cookie", [])
        assert answer.status == 303 and len(cookies) == 2 and all("; Secure" in cookie for cookie in cookies)
        connection.close()
        with open_page(server, cookies[0].split(";")[0], ssl=context) as page:
            assert page.recv(timeout=20)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
            begin = time.monotonic()
            with contextlib.suppress(OSError):
                assert silent.recv(10) == b"", "a handshake that never comes"
            assert time.monotonic() - begin < 10


def test_behind_a_proxy_with_tls_the_cookies_are_secure(locked: tuple[Server, Workspace]) -> None:
    server, _ = locked
    answer = log_in(server, Host="box.example", Origin="https://box.example")
    cookies = answer.headers.get_all("Set-Cookie", [])
    assert len(cookies) == 2 and all("; Secure" in cookie for cookie in cookies)
    assert not any("; Secure" in cookie for cookie in log_in(server).headers.get_all("Set-Cookie", []))


def test_a_wrong_certificate_is_an_error(workspace: Workspace, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    from dashboard.serving.server import serve
    from workbench.errors import RequestError

    for files in ((certificate[0], tmp_path / "none.pem"), (certificate[1], certificate[0])):
        with pytest.raises(RequestError, match="cannot be used"):
            serve(workspace, port=0, https=files)
