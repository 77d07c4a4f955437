"""Traffic that brings the services into each state that a dashboard has a panel for: well, busy, refused, broken.

What is answered is not looked at, because other tests do that.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from example_apps.demo import pages, plan, traffic
from example_apps.demo.processes import Running
from example_apps.demo.traffic import Call
from example_apps.demo.waiting import until
from tests.example_apps import scraped

CLIENTS = 6
PATIENCE_SECONDS = 60.0
# A limit that a little traffic reaches.
ENVIRONMENT = {"TOKPULSE_REQUESTS_PER_SECOND": "5"}

_trace_ids = itertools.count(1)


def send_all(running: Mapping[str, Running], round_: int) -> None:
    """Send the calls of the tour, and some that are new in each round and so go through all services."""
    new = [call for number in range(4) for call in scraped.calls(100 * round_ + number)]
    _send(running, [*new, *_broken(), *plan.all_calls(), *_settling()])


def overload(running: Mapping[str, Running]) -> None:
    """Have a tenant send more than it may. It has no name, so that the shops go on being served."""
    calls = [_call("tokpulse", "GET", "/widgets/product?store_id=nobody")] * 30

    def refused() -> float:
        _send(running, calls)
        return _total(running, "tokpulse", "tokpulse_tenant_throttling_total")

    until(refused, bool, PATIENCE_SECONDS)


def paint(running: Mapping[str, Running]) -> None:
    """Have a browser say how long it took, until it is heard: its shop may have sent more than it may."""
    beacon = {"surface": "home", "store_id": "vinyl-cave", "lcp_ms": 1234.5}
    heard = _total(running, "tokpulse", "tokpulse_widget_lcp_proxy_ms_count")

    def told() -> float:
        _send(running, [_call("tokpulse", "POST", "/beacons/lcp", beacon)])
        return _total(running, "tokpulse", "tokpulse_widget_lcp_proxy_ms_count")

    until(told, lambda total: total > heard, PATIENCE_SECONDS)


def breach(running: Mapping[str, Running]) -> None:
    """Have widgets fail until a guardrail ends the experiment: each worker looks at what it has rendered itself."""

    def breached() -> float:
        _send(running, _broken())
        return _total(running, "tokpulse", "tokpulse_guardrail_breach_total")

    until(breached, bool, PATIENCE_SECONDS)


def silence_peers(running: Mapping[str, Running]) -> None:
    """Send a message to peers that do not answer, and wait until it is given up."""
    with _silent_peers(running):
        task = {"program": "rank", "values": [3, 1, 2]}
        _send(running, [_call("zerostate", "POST", "/guilds/rankers/tasks/", task)])
        until(
            lambda: _total(running, "zerostate", "zerostate_p2p_messages_total", status="error"),
            bool,
            PATIENCE_SECONDS,
        )


def read_all(running: Mapping[str, Running]) -> None:
    """Read what each service has: it fails while there is no database."""
    reads = (
        ("tokpulse", "/widgets/home?store_id=vinyl-cave"),
        ("audotics", "/songs/1"),
        ("audotics", "/recommendations/night-owl"),
        ("zerostate", "/guilds/rankers/"),
        ("utilityfog", "/nodes/1"),
    )
    _send(running, [_call(service, "GET", path) for service, path in reads * 3])


@contextmanager
def without_databases(running: Mapping[str, Running]) -> Iterator[None]:
    """Move the databases away: requests fail, components turn unhealthy, hooks that read at a scrape raise."""
    paths = [one.database for one in running.values()]
    for path in paths:
        os.replace(path, path.with_suffix(".away"))
    try:
        yield
    finally:
        for path in paths:
            os.replace(path.with_suffix(".away"), path)


def _broken() -> list[Call]:
    """Widgets that fail."""
    return [
        _call("tokpulse", "GET", f"/widgets/cart?store_id={store}&currency=XXX") for store in plan.STORES * 12
    ]


def _settling() -> list[Call]:
    """The first channel is settled, after payments through it."""
    pay = _call("zerostate", "POST", "/guilds/rankers/payments/", {"payee": "node-4", "amount_units": 3})
    return [pay, _call("zerostate", "POST", "/channels/1/settle/")] * 3


def _call(service: str, method: str, path: str, json: Any = None) -> Call:
    return Call(service, method, path, 200, (), json=json)


def _send(running: Mapping[str, Running], calls: Sequence[Call]) -> None:
    """Send calls from several clients; each is of a trace that is sampled, so that there are exemplars."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        httpx.Client(trust_env=False, timeout=60.0, limits=limits) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        list(pool.map(lambda call: traffic.send(_sampled(call), running, client), calls))


def _sampled(call: Call) -> Call:
    number = next(_trace_ids)
    return replace(call, headers={**call.headers, "traceparent": f"00-{number:032x}-{number:016x}-01"})


@contextmanager
def _silent_peers(running: Mapping[str, Running]) -> Iterator[None]:
    """Stop utilityfog, and kill all workers of zerostate but one: who sends them a message gets no answer."""
    _, *workers = sorted(_children(running["zerostate"].process.pid)) or [0]
    for worker in workers:
        _signal(worker, signal.SIGKILL)
    utilityfog = running["utilityfog"].process.pid
    _signal(utilityfog, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(utilityfog, signal.SIGCONT)


def _total(running: Mapping[str, Running], service: str, name: str, **labels: str) -> float:
    """Sum a metric of a page; 0 if the service has no time to answer."""
    with suppress(httpx.TransportError):
        return pages.total(pages.read(running[service]), name, **labels)
    return 0.0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
