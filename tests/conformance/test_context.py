"""Context."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace

from obs_middleware import Exchange, current_exchange
from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import (
    TIMEOUT_SECONDS,
    Request,
    Response,
    environ_of,
    through_asgi,
    through_wsgi,
)
from tests.conformance.probes import ACTIVE, Probe

IN_FLIGHT = 300
THREADS = 60


def test_the_view_sees_its_exchange(app: Probe) -> None:
    """The view sees its exchange: after a pause, in tasks, in thread pools, in threads with a copied context."""
    response = app.get("/whoami?ms=5")
    _saw_itself(response)


@pytest.mark.needs("thread pool")
def test_a_sync_view_of_an_async_framework_sees_its_exchange(app: Probe) -> None:
    """A sync view that an async framework runs in its thread pool sees its exchange."""
    _saw_itself(app.get("/whoami/sync"))


def test_outside_a_request_there_is_no_exchange(make: Any, front_end: FrontEnd) -> None:
    """Nothing is left in the context after a request, however it ended."""
    app = make()
    for target in (
        b"/items/1",
        b"/boom",
        b"/handled",
        b"/nothing",
        b"/stream",
        b"/stream/broken",
        b"/own-id",
    ):
        front_end.call(app.app, Request(target))
        assert current_exchange() is None
        assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.needs("asgi")
def test_a_caller_in_the_same_task_keeps_its_context(make: Any, front_end: FrontEnd) -> None:
    """Requests in one task, one after the other, leave nothing to each other."""
    app = make()

    async def work() -> list[Any]:
        left = []
        for target in (b"/items/1", b"/boom", b"/stream", b"/stream/broken", b"/items/2"):
            await through_asgi(app.app, Request(target))
            left.append((current_exchange(), trace.get_current_span().get_span_context().is_valid))
        return left

    assert front_end.run(app.app, work) == [(None, False)] * 5
    assert len({span.context.trace_id for span in app.spans(5) if span.context}) == 5


@pytest.mark.needs("wsgi")
def test_an_open_body_leaves_the_thread_alone(make: Any) -> None:
    """Between the chunks of a body its thread belongs to nobody's request."""
    app = make()
    body = app.app(environ_of(Request(b"/stream")), lambda *_: None)
    assert current_exchange() is None
    chunks = iter(body)
    next(chunks)
    assert current_exchange() is None
    body.close()
    assert current_exchange() is None


def test_hundreds_in_flight_do_not_mix(make: Any, front_end: FrontEnd) -> None:
    """Hundreds of requests in flight, interleaved at random, see each their own exchange."""
    app = make()
    dice = random.Random(2)
    ids = [b"request-%d" % i for i in range(IN_FLIGHT)]
    requests = [
        Request(b"/whoami?ms=%d" % dice.randrange(30), headers=((b"x-request-id", one),)) for one in ids
    ]
    responses = _all_at_once(front_end, app.app, requests)
    for one, response in zip(ids, responses, strict=True):
        assert response.request_id == one.decode()
        _saw_itself(response)
    assert {line["request_id"] for line in app.access_lines(IN_FLIGHT)} == {one.decode() for one in ids}
    assert app.counted(IN_FLIGHT).total() == IN_FLIGHT
    assert app.value(ACTIVE) == 0
    assert len({span.context.span_id for span in app.spans(IN_FLIGHT) if span.context}) == IN_FLIGHT


def test_streams_in_flight_do_not_mix(make: Any, front_end: FrontEnd) -> None:
    """Streams, errors and short requests in flight together are recorded each as its own."""
    app = make()
    targets = [b"/stream", b"/items/1", b"/boom", b"/stream/broken", b"/nothing"] * 8
    requests = [Request(t, headers=((b"x-request-id", b"%d" % i),)) for i, t in enumerate(targets)]
    _all_at_once(front_end, app.app, requests)
    lines = {int(line["request_id"]): line["path"] for line in app.access_lines(len(targets))}
    assert [lines[i].encode() for i in range(len(targets))] == targets
    assert app.value(ACTIVE) == 0


def test_a_kept_connection_serves_each_request_in_its_own_context(app: Probe) -> None:
    """Requests on one server, one after the other, see each their own exchange."""
    responses = [app.get("/whoami") for _ in range(20)]
    for response in responses:
        _saw_itself(response)
    assert len({response.request_id for response in responses}) == 20


def test_many_clients_of_a_real_server_do_not_mix(app: Probe) -> None:
    """Many clients of a real server see each their own ID."""
    with ThreadPoolExecutor(20) as pool:
        asked = [
            pool.submit(app.get, f"/whoami?ms={i % 7}", ("X-Request-ID", f"client-{i}")) for i in range(100)
        ]
    responses = [one.result() for one in asked]
    for i, response in enumerate(responses):
        assert response.request_id == f"client-{i}"
        _saw_itself(response)
    app.counted(100)


def _all_at_once(front_end: FrontEnd, app: Any, requests: list[Request]) -> list[Response]:
    if front_end.is_asgi:

        async def work() -> list[Response]:
            return list(await asyncio.gather(*(through_asgi(app, request) for request in requests)))

        return list(front_end.run(app, work))
    gate = threading.Barrier(min(THREADS, len(requests)))

    def call(request: Request) -> Response:
        if gate.n_waiting < gate.parties and not gate.broken:
            _wait(gate)
        return through_wsgi(app, request)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(call, requests))


def _wait(gate: threading.Barrier) -> None:
    with contextlib.suppress(threading.BrokenBarrierError):
        gate.wait(0.5)


def _saw_itself(response: Response) -> None:
    seen = json.loads(response.body)
    assert seen
    assert set(seen.values()) == {response.request_id}, seen


def test_nothing_of_a_request_stays_in_memory(make: Any, front_end: FrontEnd) -> None:
    """When a request has ended nothing keeps its exchange alive, whatever it was; no cycle waits for the collector."""
    app = make()
    targets = (b"/items/1", b"/nothing", b"/own-id", b"/handled", b"/stream")
    front_end.call_all(app.app, [Request(target) for target in targets])
    gc.collect()
    before = _exchanges()
    gc.disable()
    try:
        front_end.call_all(app.app, [Request(b"/items/1")] * 20)
        waiting = _exchanges() - before
        front_end.call_all(app.app, [Request(target) for target in targets * 4])
    finally:
        gc.enable()
    gc.collect()
    if not front_end.name.startswith(
        "django"
    ):  # some of whose releases leave their requests to the collector
        assert waiting <= 1
    assert _exchanges() - before <= 1


def _exchanges() -> int:
    return sum(type(thing) is Exchange for thing in gc.get_objects())


@pytest.mark.needs("asgi")
def test_pipelined_requests_do_not_share_a_trace(app: Probe) -> None:
    """Requests that a client pipelines on one connection each continue their own trace."""
    traces = [f"{number:032x}" for number in (1, 2, 3)]
    asked = [
        f"GET /items/{number} HTTP/1.1\r\nHost: x\r\ntraceparent: 00-{trace_id}-00f067aa0ba902b7-01\r\n"
        + ("Connection: close\r\n\r\n" if number == 2 else "\r\n")
        for number, trace_id in enumerate(traces)
    ]
    with socket.create_connection(app.address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall("".join(asked).encode())
        while connection.recv(65536):
            pass
    lines = app.access_lines(3)
    assert sorted(line["trace_id"] for line in lines) == traces
    assert len({line["span_id"] for line in lines}) == 3
