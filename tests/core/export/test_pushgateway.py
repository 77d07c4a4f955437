"""What a Pushgateway gets; a real one takes it in tests/real/test_push.py."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from obs_middleware import ConfigError
from obs_middleware.export import Pushgateway
from tests.core.export.receiving import Receiver, receiver
from tests.core.support import caught, observer


@pytest.fixture
def gateway() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


def test_a_push_puts_the_group_of_the_service(gateway: Receiver) -> None:
    own = observer(service_name="shop")
    own.metrics.counter("orders", "Orders.").inc()
    own.exporters.add(Pushgateway(f"127.0.0.1:{gateway.port}", grouping={"zone": "a/b"}))
    assert own.exporters.push()
    (request,) = gateway.requests
    assert (request.method, request.path) == ("PUT", "/metrics/job/shop/zone@base64/YS9i")
    assert request.headers["content-type"].startswith("text/plain")
    assert b"\norders_total 1.0\n" in request.body


def test_a_batch_job_adds_to_the_group_of_its_name_or_of_the_job_that_is_given(gateway: Receiver) -> None:
    own = observer(service_name="shop")
    own.exporters.add(Pushgateway(gateway.url), Pushgateway(gateway.url, job="batch"))
    with own.exporters.job("nightly"):
        pass
    assert sorted((request.method, request.path) for request in gateway.requests) == [
        ("POST", "/metrics/job/batch"),
        ("POST", "/metrics/job/nightly"),
    ]


def test_a_group_of_a_jobs_name_has_that_job_alone(gateway: Receiver) -> None:
    """Its copy in another group would grow old, and an alert on its age would fire."""
    own = observer(service_name="shop")
    own.exporters.add(Pushgateway(gateway.url))
    for name in ("nightly", "weekly"):
        with own.exporters.job(name):
            pass
    assert own.exporters.push()
    weekly, every = gateway.requests[1:]
    assert (weekly.path, every.path) == ("/metrics/job/weekly", "/metrics/job/shop")
    assert b'{job_name="weekly"}' in weekly.body
    assert b'{job_name="nightly"}' not in weekly.body
    assert every.body.count(b"obs_job_last_success_timestamp_seconds{") == 2


def test_a_push_to_the_group_that_is_given_keeps_what_jobs_have_said(gateway: Receiver) -> None:
    own = observer(service_name="shop")
    own.exporters.add(Pushgateway(gateway.url, job="batch"))
    with own.exporters.job("nightly"):
        pass
    assert own.exporters.push()
    assert gateway.requests[-1].method == "PUT"
    assert b'obs_job_last_success_timestamp_seconds{job_name="nightly"}' in gateway.requests[-1].body


def test_user_and_password_are_sent_and_not_logged(gateway: Receiver) -> None:
    gateway.status, gateway.answer = 401, b"who are you?"
    own = observer()
    own.exporters.add(Pushgateway(gateway.url, basic_auth=("ann", "s3cr3t-w0rd")))
    with caught("obs") as lines:
        assert not own.exporters.push()
    sent = gateway.requests[0].headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"ann:s3cr3t-w0rd"
    (line,) = lines.lines
    assert "the gateway answers 401 Unauthorized: who are you?" in line
    assert "s3cr3t-w0rd" not in line


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://localhost",
        "http://",
        "http://ann:word@localhost:9091",
        "ann:word@localhost:9091",
        "ftp://a:word@b",
    ],
)
def test_an_url_that_is_none_is_refused_and_its_password_not_shown(url: Any) -> None:
    with pytest.raises(ConfigError, match="Pushgateway wants a URL") as raised:
        Pushgateway(url)
    assert "word@" not in str(raised.value)


def test_a_path_of_the_gateway_may_have_any_character(gateway: Receiver) -> None:
    own = observer(service_name="shop")
    own.exporters.add(Pushgateway(f"{gateway.url}/team@shop/"))
    assert own.exporters.push()
    assert gateway.requests[0].path == "/team@shop/metrics/job/shop"


def test_a_gateway_that_is_not_there_is_a_failure() -> None:
    own = observer()
    own.exporters.add(Pushgateway("http://127.0.0.1:1"))
    with caught("obs") as lines:
        assert not own.exporters.push()
    assert "export to pushgateway has failed (1 in a row)" in lines.lines[0]
