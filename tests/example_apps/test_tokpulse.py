"""tokpulse alone, with its worker, as its shops and its operator see it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from example_apps.demo import logs, pages, plan
from example_apps.demo.processes import Running, send_signal
from example_apps.demo.services import METRICS_TOKEN, WORKER
from example_apps.demo.waiting import until
from example_apps.tokpulse.experiments import Experiment, Render
from example_apps.tokpulse.tenants import Bucket
from tests.example_apps.collector import Collector
from tests.example_apps.conftest import MOST_WAITING

SECONDS = 60.0  # that a worker takes at most on a busy machine
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
PAID, CANCELLED = "orders-paid", "orders-cancelled"


@pytest.fixture
def tokpulse(alone: dict[str, Running]) -> Running:
    return alone["tokpulse"]


def order(order_id: str, *, store_id: str = "vinyl-cave", total: float = 3.0) -> dict[str, Any]:
    buyer = {"email": f"{order_id}@example.com"}
    return {
        "order_id": order_id,
        "store_id": store_id,
        "lines": [1.0, 2.0],
        "total": total,
        "customer": buyer,
    }


def deliver(
    tokpulse: Running, body: dict[str, Any], topic: str = PAID, *, signed_for: str = "", **headers: str
) -> httpx.Response:
    content, signature = plan.signed(body, signed_for or topic)
    url = f"{tokpulse.url}/webhooks/{topic}"
    return httpx.post(url, content=content, headers={**signature, **headers}, trust_env=False, timeout=60.0)


def metric(tokpulse: Running, name: str, **labels: str) -> float:
    return pages.total(pages.read(tokpulse), f"tokpulse_{name}", **labels)


class Growth:
    """How much metrics have grown since it was made; other tests use the same service."""

    def __init__(self, tokpulse: Running) -> None:
        self._tokpulse = tokpulse
        self._before = pages.read(tokpulse)

    def of(self, name: str, **labels: str) -> float:
        return metric(self._tokpulse, name, **labels) - pages.total(
            self._before, f"tokpulse_{name}", **labels
        )

    def reaches(self, wanted: float, name: str, **labels: str) -> None:
        """Wait until a metric has grown so much."""
        seen = until(lambda: self.of(name, **labels), lambda found: found == wanted, SECONDS)
        assert seen == wanted, (name, labels)


def lines_with(tokpulse: Running, **fields: object) -> list[logs.Line]:
    def look() -> list[logs.Line]:
        lines = logs.lines_of(tokpulse)
        return [line for line in lines if fields.items() <= line.items()]

    return until(look, bool, SECONDS)


@contextmanager
def worker_stopped(tokpulse: Running) -> Iterator[None]:
    """Stop the worker where it holds no lock of the database, which would stop the app too."""
    (worker,) = tokpulse.beside
    try:
        send_signal(worker, signal.SIGSTOP)
        while is_locked(tokpulse):
            send_signal(worker, signal.SIGCONT)
            send_signal(worker, signal.SIGSTOP)
        yield
    finally:
        send_signal(worker, signal.SIGCONT)


def is_locked(tokpulse: Running) -> bool:
    with closing(sqlite3.connect(tokpulse.database, timeout=0.2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return True
        return False


def test_a_webhook_is_queued_and_processed_once_however_often_it_comes(tokpulse: Running) -> None:
    growth = Growth(tokpulse)
    answers = [deliver(tokpulse, order("once", store_id="tape-heads"), CANCELLED) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202] * 4
    assert [answer.json()["status"] for answer in answers] == ["queued", *["duplicate"] * 3]
    of_store = {"topic": CANCELLED, "storeId": "tape-heads"}
    growth.reaches(1, "webhook_processed_total", status="ok", **of_store)
    assert growth.of("webhook_processed_total", status="duplicate", **of_store) == 3
    growth.reaches(1, "webhook_processing_duration_seconds_count", **of_store)
    assert metric(tokpulse, "webhook_redelivery_rate", **of_store) == 0.75
    tenant = {"storeId": "tape-heads", "orgId": "tape-heads", "eventType": "webhook"}
    growth.reaches(4, "tenant_events_total", **tenant)


@pytest.mark.parametrize("signed_for", [CANCELLED, "nothing"])
def test_a_webhook_signed_for_another_topic_is_refused_and_counted(
    tokpulse: Running, signed_for: str
) -> None:
    rejected = {"topic": PAID, "storeId": "other", "status": "rejected"}
    growth = Growth(tokpulse)
    answer = deliver(tokpulse, order("forged"), signed_for=signed_for)
    assert answer.status_code == 401
    assert "X-Tokpulse-Signature must be" in answer.text
    assert growth.of("webhook_processed_total", **rejected) == 1


def test_a_signed_webhook_that_is_no_order_is_told_what_is_missing(tokpulse: Running) -> None:
    answer = deliver(tokpulse, {"order_id": "half"})
    assert answer.status_code == 422
    assert "store_id" in answer.text


def test_a_webhook_that_is_too_big_is_refused_before_it_is_read(tokpulse: Running) -> None:
    answer = deliver(tokpulse, {"note": "a" * 2**20})
    assert answer.status_code == 413


def test_all_unknown_stores_are_counted_as_one(tokpulse: Running) -> None:
    growth = Growth(tokpulse)
    for number in range(3):
        deliver(tokpulse, order(f"unknown-{number}", store_id=f"unheard-of-{number}"), CANCELLED)
    growth.reaches(3, "webhook_processed_total", topic=CANCELLED, storeId="other", status="ok")
    assert "unheard-of" not in pages.read(tokpulse)


def test_what_waits_is_on_the_page_and_outlives_a_stopped_worker(tokpulse: Running) -> None:
    assert until(lambda: metric(tokpulse, "job_queue_size"), (0.0).__eq__, SECONDS) == 0
    growth = Growth(tokpulse)
    with worker_stopped(tokpulse):
        for number in range(2):
            deliver(tokpulse, order(f"waits-{number}", store_id="north-records"))
        assert metric(tokpulse, "webhook_queue_depth", topic=PAID) == 2
        assert metric(tokpulse, "job_queue_size", jobType="process_webhook") == 2
    of_store = {"storeId": "north-records", "status": "ok"}
    growth.reaches(2, "job_attempts_total", job="process_webhook", **of_store)
    growth.reaches(2, "job_attempts_total", job="recommend", **of_store)
    for name in ("webhook_queue_depth", "job_queue_size"):
        assert until(partial(metric, tokpulse, name), (0.0).__eq__, SECONDS) == 0
    growth.reaches(4, "job_processing_duration_seconds_count", storeId="north-records")


def test_a_job_that_fails_comes_again_five_times_and_is_dead_until_somebody_wants_it(
    tokpulse: Running,
) -> None:
    """It takes a second and a half, because each pause is twice the one before."""
    growth = Growth(tokpulse)
    request_id = deliver(tokpulse, order("odd", store_id="vinyl-cave", total=9.0)).headers["X-Request-ID"]
    job = {"job": "process_webhook", "storeId": "vinyl-cave"}
    growth.reaches(1, "job_attempts_total", status="dead", **job)
    assert growth.of("job_attempts_total", status="retried", **job) == 4
    growth.reaches(1, "webhook_processed_total", status="failed", storeId="vinyl-cave")
    (line,) = lines_with(tokpulse, message="job failed", status="dead", requestId=request_id)
    assert line["exception"]["type"] == "ValueError"
    assert "@example.com" not in json.dumps(line)
    again = [*WORKER, "--requeue-dead"]
    done = subprocess.run(
        again, cwd=tokpulse.directory, env=tokpulse.environment, capture_output=True, check=True
    )
    assert done.stdout.splitlines()[-1].endswith(b"dead jobs wait again")
    tried = until(  # those of other tests that were dead wait again too
        lambda: growth.of("job_attempts_total", status="retried", **job), lambda found: found >= 8, SECONDS
    )
    assert tried >= 8


def test_one_page_has_the_metrics_of_the_app_and_of_its_worker(tokpulse: Running) -> None:

    def workers() -> int:
        return len(pages.label_values(pages.read(tokpulse), "process_start_time_seconds", "worker"))

    assert until(workers, (2).__eq__, SECONDS) == 2


def test_a_job_goes_on_with_the_trace_of_its_webhook_down_to_the_database(
    tokpulse: Running, collector: Collector
) -> None:
    trace_id = uuid4().hex
    deliver(tokpulse, order("traced"), traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    queued = [
        "POST /webhooks/{topic}",
        "INSERT jobs",
        "job process_webhook",
        "api.add_order",
        "INSERT orders",
    ]
    seen = until(lambda: collector.way_to(trace_id, "INSERT orders"), queued.__eq__, SECONDS)
    assert seen == queued
    recommended = [*queued, "job recommend", "INSERT recommendations"]
    seen = until(lambda: collector.way_to(trace_id, "INSERT recommendations"), recommended.__eq__, SECONDS)
    assert seen == recommended
    assert {span.service for span in collector.of(trace_id)} == {"tokpulse"}


def test_a_widget_is_traced_down_to_the_database(tokpulse: Running, collector: Collector) -> None:
    trace_id = uuid4().hex
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    httpx.get(
        f"{tokpulse.url}/widgets/cart?store_id=tape-heads", headers=headers, trust_env=False, timeout=60.0
    )
    wanted = ["GET /widgets/{surface}", "widget.render", "api.sales", "SELECT orders"]
    assert until(lambda: collector.way_to(trace_id, "SELECT orders"), wanted.__eq__, SECONDS) == wanted


def test_lines_of_app_and_worker_say_request_store_and_organisation(tokpulse: Running) -> None:
    request_id = deliver(tokpulse, order("logged")).headers["X-Request-ID"]
    known = {"requestId": request_id, "storeId": "vinyl-cave", "orgId": "cave-group"}
    (received,) = lines_with(tokpulse, message="webhook received", **known)
    (done,) = lines_with(tokpulse, message="job done", job="process_webhook", **known)
    assert done["trace_id"] == received["trace_id"]


def test_the_api_is_counted_by_route_status_and_store(tokpulse: Running) -> None:
    growth = Growth(tokpulse)
    tokpulse.get("/widgets/product?store_id=north-records")
    tokpulse.get("/widgets/garage?store_id=north-records")
    tokpulse.get("/nowhere/at/all")
    for route, code, store in (
        (plan.WIDGET, "200", "north-records"),
        (plan.WIDGET, "422", "none"),
        ("other", "404", "none"),
    ):
        growth.reaches(1, "api_requests_total", method="GET", route=route, code=code, storeId=store)
    of_route = {"route": plan.WIDGET, "method": "GET", "storeId": "north-records"}
    growth.reaches(1, "api_request_duration_seconds_count", **of_route)
    assert until(partial(metric, tokpulse, "api_active_connections"), (0.0).__eq__, SECONDS) == 0
    assert growth.of("widget_render_ms_count", surface="product", storeId="north-records") == 1
    page = pages.read(tokpulse)
    assert pages.total(page, "http_server_request_duration_seconds_count", store="north-records") >= 1


def test_a_widget_that_fails_is_counted_by_its_error(tokpulse: Running) -> None:
    growth = Growth(tokpulse)
    assert tokpulse.get("/widgets/cart?store_id=vinyl-cave&currency=XTS").status_code == 500
    of_store = {"surface": "cart", "storeId": "vinyl-cave"}
    assert growth.of("widget_errors_total", errorType="KeyError", **of_store) == 1
    assert growth.of("widget_render_ms_count", **of_store) == 0
    growth.reaches(1, "api_requests_total", code="500", storeId="vinyl-cave")


def test_what_a_page_tells_of_its_paint_is_kept_if_it_is_possible(tokpulse: Running) -> None:
    growth = Growth(tokpulse)

    def tell(**told: object) -> int:
        beacon = json.dumps({"surface": "home", "store_id": "tape-heads", **told})
        url = f"{tokpulse.url}/beacons/lcp"
        return httpx.post(url, content=beacon, trust_env=False, timeout=60.0).status_code

    statuses = [tell(lcp_ms=120.5), tell(lcp_ms=-1), tell(lcp_ms=1, surface="garage"), tell()]
    assert statuses == [204, 422, 422, 422]
    of_store = {"surface": "home", "storeId": "tape-heads"}
    assert growth.of("widget_lcp_proxy_ms_count", **of_store) == 1
    assert growth.of("widget_lcp_proxy_ms_sum", **of_store) == 120.5


@pytest.mark.once
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (apt-get install chromium-headless-shell)")
def test_a_page_in_a_browser_tells_its_largest_contentful_paint(tokpulse: Running) -> None:
    """It takes seconds, because a browser starts, and a page that stays open tells after two seconds."""
    growth = Growth(tokpulse)
    of_store = {"surface": "product", "storeId": "vinyl-cave"}
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    home = tokpulse.directory / "chromium"
    options = [f"--user-data-dir={home}", "--remote-debugging-port=0", "--no-first-run"]
    page = f"{tokpulse.url}/widgets/product?store_id=vinyl-cave"
    with subprocess.Popen(
        [*command, *options, page], stderr=subprocess.DEVNULL, start_new_session=True
    ) as browser:
        try:
            growth.reaches(1, "widget_lcp_proxy_ms_count", **of_store)
        finally:
            os.killpg(browser.pid, signal.SIGTERM)  # Debian's command is a script around the browser
    assert 0 < growth.of("widget_lcp_proxy_ms_sum", **of_store) < 600_000


def test_a_visitor_is_assigned_once_and_sees_the_same_variant(tokpulse: Running) -> None:
    of_store = {"experiment": "widget-layout", "storeId": "north-records"}
    growth = Growth(tokpulse)
    with httpx.Client(base_url=tokpulse.url, trust_env=False, timeout=60.0) as visitor:
        widgets = [visitor.get("/widgets/home?store_id=north-records").text for _ in range(3)]
    assert len(set(widgets)) == 1
    assert growth.of("assignment_total", **of_store) == 1
    assert growth.of("exposure_total", surface="home", **of_store) == 3


def test_a_variant_that_fails_breaches_its_guardrail_and_is_paused(tokpulse: Running) -> None:
    def breached() -> float:
        tokpulse.get("/widgets/home?store_id=vinyl-cave&currency=XTS")
        return metric(tokpulse, "guardrail_breach_total", metric="error_ratio", threshold="0.2")

    assert until(breached, bool, SECONDS) >= 1
    names = pages.label_values(pages.read(tokpulse), "tokpulse_guardrail_breach_total", "experiment")
    assert names == {"widget-layout"}


def test_a_guardrail_looks_at_what_the_last_renders_took() -> None:
    slow = Experiment("speed", control="old", treatment="new", guardrails={"p95_ms": 250.0})
    visitor = next(name for name in map(str, range(99)) if slow.assigned(name) == "new")
    for _ in range(20):
        slow.breaches("old", Render(900.0, False))
        slow.breaches("new", Render(20.0, False))
    assert slow.shown(visitor) == "new"
    found = [slow.breaches("new", Render(300.0, False)) for _ in range(3)]
    assert found[-1] == {"p95_ms": 250.0}
    assert slow.shown(visitor) == "old"


def test_a_store_whose_webhooks_pile_up_is_refused_and_the_others_are_not(tokpulse: Running) -> None:
    growth = Growth(tokpulse)
    with worker_stopped(tokpulse):
        crowd = [order(f"crowd-{number}", store_id="tape-heads") for number in range(MOST_WAITING + 2)]
        answers = [deliver(tokpulse, one) for one in crowd]
        other = deliver(tokpulse, order("beside-the-crowd"))
    assert [answer.status_code for answer in answers] == [202] * MOST_WAITING + [429] * 2
    assert answers[-1].headers["Retry-After"] == "1"
    assert other.status_code == 202
    refused = {"storeId": "tape-heads", "orgId": "tape-heads", "reason": "backlog"}
    assert growth.of("tenant_throttling_total", **refused) == 2
    assert growth.of("tenant_throttling_total") == 2
    growth.reaches(MOST_WAITING, "webhook_processed_total", storeId="tape-heads", status="ok")


def test_a_bucket_gives_its_burst_at_once() -> None:
    bucket = Bucket(per_second=0.001, burst=3)
    assert [bucket.take() for _ in range(5)] == [True] * 3 + [False] * 2


def test_the_metrics_are_for_who_has_the_token(tokpulse: Running) -> None:
    tokens = ("", "wrong", METRICS_TOKEN)
    assert [tokpulse.get("/internal/metrics", token=token).status_code for token in tokens] == [401, 401, 200]


def test_a_widget_is_a_page_with_what_the_store_has_sold(tokpulse: Running) -> None:
    answer = tokpulse.get("/widgets/cart?store_id=north-records")
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>North Records</h1>" in answer.text
    assert 'data-surface="cart" data-store="north-records"' in answer.text


def test_a_shopper_finds_the_orders_that_workers_have_kept(tokpulse: Running) -> None:
    deliver(tokpulse, order("bought"))
    found = until(
        lambda: tokpulse.get("/shoppers/bought@example.com"), lambda seen: seen.status_code == 200, SECONDS
    )
    assert found.json() == {"orders": 1, "recommended": []}
