"""Who may ask behind a real nginx, which writes `X-Forwarded-For` and hands on what else its client says.

Each test takes parts of a second, because nginx and a server start once for each of two servers.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import installed, running
from tests.core.support import eventually
from tests.installed import ROOT
from tests.real import nginx
from tests.real.proxied_app import INSIDE, OUTSIDE, PAGE, PROXY
from tests.running import Server

TCP, SOCKET = "http://127.0.0.1:{port}/", "http://unix:{folder}/socket:/"
SERVERS = {
    "uvicorn": [
        "uvicorn",
        "--port",
        "{port}",
        "--lifespan",
        "off",
        "--log-level",
        "warning",
        "tests.real.proxied_app:asgi",
    ],
    "gunicorn": [
        "gunicorn",
        "--bind",
        "127.0.0.1:{port}",
        "--bind",
        "unix:{folder}/socket",
        "tests.real.proxied_app:wsgi",
    ],
}

pytestmark = pytest.mark.once


class Site:
    """nginx, and the server behind it."""

    def __init__(self, name: str, front: Server, behind: Server) -> None:
        self.name = name
        self.places = ("inside", "socket") if name == "gunicorn" else ("inside",)
        self._front = front
        self._behind = behind

    def get(
        self,
        place: str,
        path: str,
        client: str,
        headers: dict[str, str] | None = None,
        *,
        is_direct: bool = False,
    ) -> tuple[int, bytes]:
        """Ask from an address; directly, with the header that nginx would set, or through nginx."""
        server = self._behind if is_direct else self._front
        connection = http.client.HTTPConnection(
            "127.0.0.1", server.port, timeout=60, source_address=(client, 0)
        )
        try:
            if is_direct:
                connection.request("GET", path, headers={"X-App": place} | (headers or {}))
            else:
                connection.request("GET", f"/{place}{path}", headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def line(self, path: str) -> dict[str, Any]:
        """Return the access line of a path."""
        deadline = time.monotonic() + 60
        while True:
            for text in self._behind.stdout.splitlines():
                if text.startswith("{") and (line := json.loads(text)).get("path") == path:
                    return dict(line)
            assert time.monotonic() < deadline, self._behind.stdout + self._behind.stderr
            time.sleep(0.02)


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = str(request.param)
    folder, own = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("nginx")
    env = installed.clean() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", *(part.replace("{folder}", str(folder)) for part in SERVERS[name])]
    command += running.gunicorn_options() if name == "gunicorn" else []
    with running.serve(command, folder=folder, env=env, ready="/") as behind:
        tcp, socket = TCP.format(port=behind.port), SOCKET.format(folder=folder)
        locations = {"unset": (tcp, "unset"), "inside": (tcp, "inside"), "socket": (socket, "inside")}
        with nginx.serve(own, locations) as front:
            made = Site(name, front, behind)
            for place in ("unset", "inside"):  # a check has no answer yet where its thread is late
                eventually(lambda place=place: made.get(place, "/health/ready", INSIDE)[0] == 200)  # type: ignore[misc]
            yield made


def test_metrics_are_refused_through_nginx_and_probes_tell_their_status_alone(site: Site) -> None:
    status, body = site.get("unset", "/metrics", INSIDE)
    assert status == 403
    for word in (b"X-Forwarded-For", b"metrics_token", b"metrics_networks", b"metrics_access=open"):
        assert word.lower() in body.lower()
    assert site.get("unset", "/metrics", INSIDE, is_direct=True)[0] == 200
    for path in ("/health/live", "/health/ready", "/health/startup", "/livez", "/health/ready/stock"):
        assert site.get("unset", path, INSIDE) == (200, b'{"status":"pass"}')


def test_client_from_inside_is_let_through_nginx_and_nobody_else(site: Site) -> None:
    for place in site.places:
        assert site.get(place, "/metrics", INSIDE)[0] == 200
        assert b"stock" in site.get(place, "/health/ready", INSIDE)[1]
        status, body = site.get(place, "/metrics", OUTSIDE)
        assert (status, b"metrics_networks" in body) == (403, True)
        assert site.get(place, "/health/ready", OUTSIDE) == (200, b'{"status":"pass"}')


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": INSIDE},
        {"X-Forwarded-For": f"{INSIDE}, {PROXY}"},
        {"X-Forwarded-For": f"{INSIDE},"},
        {"Forwarded": f"for={INSIDE}"},
        {"X-Forwarded-For": INSIDE, "Forwarded": f"for={INSIDE}", "X-Real-IP": INSIDE},
    ],
    ids=str,
)
def test_nobody_gets_inside_by_a_header_of_his_own(site: Site, headers: dict[str, str]) -> None:
    for place in site.places:
        assert site.get(place, "/metrics", OUTSIDE, headers)[0] == 403
        assert site.get(place, "/health/ready", OUTSIDE, headers)[1] == b'{"status":"pass"}'
    assert site.get("inside", "/metrics", OUTSIDE, headers, is_direct=True)[0] == 403


def test_access_line_has_the_real_client(site: Site) -> None:
    for place in site.places:
        path = f"/items/of-{place}"
        assert site.get(place, path, OUTSIDE, {"X-Forwarded-For": INSIDE}) == (200, PAGE)
        assert site.line(path)["client"] == OUTSIDE
    assert site.get("inside", "/items/direct", OUTSIDE, {"X-Forwarded-For": INSIDE}, is_direct=True)[0] == 200
    assert site.line("/items/direct")["client"] == OUTSIDE
