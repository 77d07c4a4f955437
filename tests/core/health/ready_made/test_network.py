"""Ready-made checks of the network, against sockets and servers of this process."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from obs_middleware import ConfigError, Observer
from obs_middleware.health.ready_made import certificate_expiry, dns_name, http_url, tcp_port
from tests.core.health.probing import detail, probe
from tests.core.support import eventually
from tests.http_servers import SilentHandler, serving

# A certificate of localhost that its own key has signed, valid until 2056.
CERTIFICATE = Path(__file__).with_name("localhost.pem")
PROBES = 300


class Handler(SilentHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()


@contextmanager
def serving_tls() -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with serving(Handler, context) as port:
        yield port


def add(own: Observer, check: object) -> None:
    own.health.add("net", check, every_seconds=0)  # type: ignore[arg-type]
    eventually(lambda: detail(own, "net").get("output") != "no answer yet")


def test_port_that_listens_passes_and_300_probes_leave_no_connection(own: Observer) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=PROBES * 2) as listener:
        add(own, tcp_port("127.0.0.1", listener.getsockname()[1]))
        assert all(probe(own)[0] == 200 for _ in range(PROBES))
        listener.settimeout(30)
        for _ in range(PROBES):
            with listener.accept()[0] as connection:
                assert connection.recv(1) == b""  # it was closed
    assert probe(own)[0] == 503
    assert "ConnectionRefusedError" in detail(own, "net")["output"]


@pytest.mark.parametrize(("answer", "status"), [(200, "pass"), (302, "pass"), (404, "fail"), (500, "fail")])
def test_url_is_judged_by_its_status(answer: int, status: str, own: Observer) -> None:
    with serving(Handler) as port:
        add(own, http_url(f"http://127.0.0.1:{port}/{answer}"))
        found = detail(own, "net")
    assert (found["status"], found["observedUnit"]) == (status, "ms")
    assert found.get("output") == (None if status == "pass" else f"a response of status {answer}")


def test_server_that_does_not_answer_is_given_up_by_the_check_itself(own: Observer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        own.health.add("net", http_url(url), every_seconds=0, timeout_seconds=0.05)
        eventually(lambda: "no answer after 0.05 s" in detail(own, "net").get("output", ""))
        with listener.accept()[0] as connection:
            connection.settimeout(30)
            while connection.recv(1000):
                pass  # until the check has closed it


def test_name_is_resolved(own: Observer) -> None:
    add(own, dns_name("localhost"))
    found = detail(own, "net")
    assert (found["status"], found["observedUnit"]) == ("pass", "addresses")
    assert found["observedValue"] >= 1
    own.health.add("no", dns_name("no such name"), every_seconds=0)
    eventually(lambda: "gaierror" in detail(own, "no").get("output", ""))


@pytest.mark.parametrize(
    ("warn_below", "fail_below", "status"), [(1, 1, "pass"), (36500, 1, "warn"), (36500, 36500, "fail")]
)
def test_certificate_is_graded_by_its_days(
    warn_below: float, fail_below: float, status: str, own: Observer
) -> None:
    with serving_tls() as port:
        bounds = {"warn_below_days": warn_below, "fail_below_days": fail_below}
        add(own, certificate_expiry("localhost", port, cafile=str(CERTIFICATE), **bounds))
        found = detail(own, "net")
    assert (found["status"], found["observedUnit"]) == (status, "days")
    assert ("expires in" in found.get("output", "")) is (status != "pass")


def test_certificate_that_nobody_trusts_fails(own: Observer) -> None:
    with serving_tls() as port:
        add(own, certificate_expiry("localhost", port))
        assert "CERTIFICATE_VERIFY_FAILED" in detail(own, "net")["output"]


@pytest.mark.parametrize("url", ["ftp://files.test/", "shop.test", "http://"])
def test_url_that_is_none_is_an_error_when_the_check_is_made(url: str) -> None:
    with pytest.raises(ConfigError, match="http_url wants"):
        http_url(url)
