"""Time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.apps.probe import CHUNK_SECONDS, CHUNKS, SLOW_SECONDS, held
from tests.conformance.front_ends import FrontEnd
from tests.conformance.probes import DURATION, FIRST_BYTE, Probe
from tests.conformance.servers import eventually

STREAM_SECONDS = CHUNK_SECONDS * len(CHUNKS)


@pytest.mark.needs("background")
def test_background_work_is_not_latency(app: Probe) -> None:
    """Work after the response is not counted as latency."""
    began = time.monotonic()
    with held():  # so no signal waits for the work
        app.get("/bg")
        line, span = app.access_line(), app.span()
        seen = time.monotonic()
        time.sleep(0.1)
    app.counted(1)
    took = (app.value(f"{DURATION}_sum"), line["duration_ms"] / 1000, _seconds(span))
    assert max(took) < seen - began


def test_a_stream_is_timed_to_its_last_byte(app: Probe) -> None:
    """A stream is timed to its last byte."""
    began = time.monotonic()
    assert app.get("/stream").body == b"".join(CHUNKS)
    app.counted(1)
    assert STREAM_SECONDS - 0.01 < app.value(f"{DURATION}_sum") < time.monotonic() - began
    assert app.access_line()["outcome"] == "ok"


def test_the_first_byte_of_a_stream_is_timed_apart(app: Probe) -> None:
    """The time to the first byte is measured apart from the whole."""
    app.get("/stream")
    app.counted(1)
    line = app.access_line()
    assert app.value(f"{FIRST_BYTE}_count") == 1
    assert app.value(f"{FIRST_BYTE}_sum") * 1000 == pytest.approx(line["ttfb_ms"], abs=0.01)
    assert line["duration_ms"] - line["ttfb_ms"] > CHUNK_SECONDS * (len(CHUNKS) - 1) * 1000 - 10


def test_a_slow_request_is_timed_in_full_beside_fast_ones(app: Probe) -> None:
    """A slow request does not change the time of fast ones beside it."""
    times = [time.monotonic()]
    with ThreadPoolExecutor(1) as pool:
        with held() as has_begun:  # so no fast one waits for it
            slow = pool.submit(app.get, "/slow")
            eventually(has_begun.is_set, "the slow request has begun")
            time.sleep(0.1)
            for number in range(1, 6):
                times.append(time.monotonic())
                app.get("/items/1")
                app.access_lines(number)
        slow.result()
    *fast, last = app.access_lines(6)
    times.append(time.monotonic())
    assert SLOW_SECONDS - 0.01 < last["duration_ms"] / 1000 < times[-1] - times[0]
    for line, (began, ended) in zip(fast, pairwise(times[1:]), strict=True):
        assert line["path"] == "/items/1"
        assert line["duration_ms"] / 1000 < ended - began


@pytest.mark.parametrize("target", ["/items/1", "/stream", "/boom", "/nothing", "/handled"])
def test_all_signals_of_a_request_agree(app: Probe, target: str) -> None:
    """Histogram, span and access line agree on time, status, route, error and trace."""
    app.get(target)
    [(method, route, status, error)] = app.counted(1)
    line, span = app.access_line(), app.span()
    seconds = app.value(f"{DURATION}_sum")
    assert line["duration_ms"] == pytest.approx(seconds * 1000, abs=0.01)
    assert _seconds(span) == pytest.approx(seconds, abs=0.00001)
    attributes: dict[str, Any] = dict(span.attributes or {})
    assert method == line["method"] == attributes["http.request.method"]
    assert (route or None) == (line["route"] or None) == attributes.get("http.route")
    assert status == str(line["status"]) == str(attributes["http.response.status_code"])
    assert (error or None) == (line.get("error_type") or None) == attributes.get("error.type")
    assert span.context is not None
    assert line["trace_id"] == f"{span.context.trace_id:032x}"
    assert line["span_id"] == f"{span.context.span_id:016x}"


def test_an_exemplar_names_the_trace_of_its_request(app: Probe, front_end: FrontEnd) -> None:
    """The exemplar on the metrics page leads to the span and the log line of its request."""
    app.get("/items/1")
    line = app.access_line()
    app.counted(1)
    page = app.get("/metrics", ("Accept", "application/openmetrics-text")).body.decode()
    assert page.endswith("# EOF\n")
    bucket = next(
        text for text in page.splitlines() if text.startswith(f"{DURATION}_bucket") and "# {" in text
    )
    assert front_end.routes["item"] in bucket
    assert line["trace_id"] in bucket
    assert line["span_id"] in bucket


def _seconds(span: ReadableSpan) -> float:
    assert span.end_time is not None
    assert span.start_time is not None
    return (span.end_time - span.start_time) / 1e9
