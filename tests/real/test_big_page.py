"""A page of megabytes through real servers: it arrives whole, and the app serves on meanwhile."""

from __future__ import annotations

import gzip
import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import installed, running
from tests.installed import ROOT
from tests.running import Server

APP = "tests.real.big_page_app:app"
SERVERS = {
    "uvicorn": ["uvicorn", "--port", "{port}", APP],
    "uvicorn h11 asyncio": ["uvicorn", "--port", "{port}", "--http", "h11", "--loop", "asyncio", APP],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", APP],
    "granian": ["granian", "--host", "127.0.0.1", "--port", "{port}", "--interface", "asgi", APP],
}
SERIES = 200 * 3 * 4


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program, *options = SERVERS[request.param]
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"}
    command = [sys.executable, "-m", program, *options]
    folder = tmp_path_factory.mktemp("server")
    with running.serve(command, folder=folder, env=installed.clean() | path) as server:
        yield server
        assert "Traceback" not in server.stdout + server.stderr


def lines(page: bytes) -> list[str]:
    """Return the samples of the app's histogram; times of creation are on no page of a service (hypercorn, granian)."""
    found = (line for line in page.decode().splitlines() if line.startswith("shop_seconds"))
    return [line for line in found if not line.startswith("shop_seconds_created")]


def test_page_arrives_whole(server: Server) -> None:
    plain, zipped = server.get("/metrics"), server.get("/metrics", Accept_Encoding="gzip")
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert len(zipped.body) == int(zipped.headers["Content-Length"]) < 500_000
    assert len(plain.body) == int(plain.headers["Content-Length"]) > 3_000_000
    assert lines(gzip.decompress(zipped.body)) == lines(plain.body)
    assert len(lines(plain.body)) == SERIES * (15 + 2)


def test_openmetrics_page_arrives_up_to_its_end(server: Server) -> None:
    page = server.get("/metrics", Accept="application/openmetrics-text; version=1.0.0").body
    assert page.endswith(b"# EOF\n")
    assert page.count(b"# EOF") == 1
    assert len(lines(page)) == SERIES * (15 + 2)


def test_head_tells_the_size_and_sends_nothing(server: Server) -> None:
    head = server.get("/metrics", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) > 3_000_000


@pytest.mark.parametrize("accept_encoding", ["gzip", "identity"])
def test_app_serves_while_the_page_is_made(server: Server, accept_encoding: str) -> None:
    server.get("/close")
    with ThreadPoolExecutor(1) as threads:
        scrape = threads.submit(server.get, "/metrics", Accept_Encoding=accept_encoding)
        for _ in range(20):
            assert server.get("/ping").body == b"ok"
        assert not scrape.done()
        server.get("/open")
        page = scrape.result()
    text = gzip.decompress(page.body) if accept_encoding == "gzip" else page.body
    assert re.search(rb'^gate_opened(\{worker="\d+"\})? 1.0$', text, re.MULTILINE)


def test_app_serves_while_a_slow_client_takes_the_page(server: Server) -> None:
    with _asking(server) as slow:
        seen = slow.recv(1000)
        for _ in range(20):
            assert server.get("/ping").body == b"ok"
        while b"gate_opened" not in seen[-1_000_000:]:
            piece = slow.recv(1_000_000)
            assert piece
            seen += piece
    assert len(lines(seen.partition(b"\r\n\r\n")[2])) == SERIES * (15 + 2)


def test_client_that_leaves_in_the_middle_harms_nobody(server: Server) -> None:
    for _ in range(3):
        with _asking(server) as gone:
            assert gone.recv(1000)
    assert len(lines(server.get("/metrics").body)) == SERIES * (15 + 2)


def _asking(server: Server) -> socket.socket:
    """Ask for the page over a connection that holds little of it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: shop.test\r\n\r\n")
    return connection
