"""Time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.apps.probe import BACKGROUND_SECONDS, CHUNK_SECONDS, CHUNKS, SLOW_SECONDS
from tests.conformance.front_ends import FrontEnd
from tests.conformance.probes import DURATION, FIRST_BYTE, Probe

STREAM_SECONDS = CHUNK_SECONDS * len(CHUNKS)
SLACK_SECONDS = 0.25  # for a machine that has other things to do


@pytest.mark.needs("background")
def test_background_work_is_not_latency(app: Probe) -> None:
    """Work after the response is not counted as latency."""
    started = time.monotonic()
    app.get("/bg")
    app.counted(1)
    assert app.value(f"{DURATION}_sum") < BACKGROUND_SECONDS / 2
    assert app.access_line()["duration_ms"] < BACKGROUND_SECONDS / 2 * 1000
    assert _seconds(app.span()) < BACKGROUND_SECONDS / 2
    assert time.monotonic() - started < BACKGROUND_SECONDS, "the signals wait for the background work"


def test_a_stream_is_timed_to_its_last_byte(app: Probe) -> None:
    """A stream is timed to its last byte."""
    assert app.get("/stream").body == b"".join(CHUNKS)
    app.counted(1)
    took = app.value(f"{DURATION}_sum")
    assert STREAM_SECONDS - 0.01 < took < STREAM_SECONDS + SLACK_SECONDS
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
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(app.get, "/slow")
        for _ in range(5):
            app.get("/items/1")
        slow.result()
    took = {line["path"]: line["duration_ms"] for line in app.access_lines(6)}
    assert SLOW_SECONDS * 1000 - 10 < took["/slow"] < (SLOW_SECONDS + SLACK_SECONDS) * 1000
    assert took["/items/1"] < SLACK_SECONDS * 1000


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
