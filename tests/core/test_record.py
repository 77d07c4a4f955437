"""What is left of a finished exchange."""

from __future__ import annotations

import gc
import time
import weakref

import pytest

from obs_middleware import RequestRecord
from tests.core.support import Output, observer, request, serve


def test_line_tells_the_moment_its_exchange_ended(output: Output) -> None:
    own = observer()
    before = time.time()
    serve(own)
    after = time.time()
    time.sleep(0.2)
    own.close()
    (line,) = output.lines()
    moment = line["timestamp"]
    assert stamp_of(before - 0.002) <= moment <= stamp_of(after + 0.002)


def stamp_of(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


def test_record_has_what_the_exchange_has_decided() -> None:
    info = request("POST", headers={"user-agent": "curl/8"})
    done = serve(observer(), info, route="/items/{id}", status=201, request_bytes=3, response_bytes=5)
    record = done.record()
    for name in ("method", "path", "route", "status", "error_type", "duration", "time_to_first_byte"):
        assert getattr(record, name) == getattr(done, name)
    for name in ("request_bytes", "response_bytes", "request_id", "correlation_id", "ids", "is_sampled"):
        assert getattr(record, name) == getattr(done, name)
    assert (record.outcome, record.client, record.user_agent) == ("ok", "192.0.2.1", "curl/8")
    assert not record.is_logged
    assert done.record(is_logged=True).is_logged


def test_record_of_a_request_without_client_and_browser_has_none() -> None:
    record = serve(observer(), request(peer=None)).record()
    assert (record.client, record.user_agent) == (None, None)


def test_record_can_not_be_changed() -> None:
    record = serve(observer()).record()
    with pytest.raises(AttributeError):
        record.status = 500  # type: ignore[misc]


def test_record_holds_nothing_of_the_request() -> None:
    class Headers(dict[str, str]):
        """A dict that can be referred to weakly."""

    headers = Headers({"user-agent": "curl/8"})
    is_gone = weakref.ref(headers)
    record = serve(observer(), request(headers=headers)).record()
    del headers
    gc.collect()
    assert is_gone() is None
    assert isinstance(record, RequestRecord)
