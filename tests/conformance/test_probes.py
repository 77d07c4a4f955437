"""Health and metrics pages."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.apps.probe import Options
from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import Request, Response
from tests.conformance.probes import Probe
from tests.conformance.servers import PATIENCE_SECONDS, eventually

PROBES = ("/health/live", "/health/ready", "/health/startup")
PAGES = (*PROBES, "/metrics")
SETTINGS = {
    "/health/live": "live_path",
    "/health/ready": "ready_path",
    "/health/startup": "startup_path",
    "/metrics": "metrics_path",
}


def test_probes_and_metrics_answer(app: Probe) -> None:
    """Liveness, readiness, startup and the metrics page answer with no setting at all."""
    for target in PROBES:
        response = app.get(target)
        assert (response.status, response.one("content-type")) == (200, "application/health+json")
        assert json.loads(response.body)["status"] == "pass"
    page = app.get("/metrics")
    assert page.status == 200
    assert b"http_server_request_duration_seconds" in page.body


def test_probes_and_scrapes_are_silent(app: Probe) -> None:
    """Probes and scrapes are neither traced nor logged nor counted."""
    for target in PAGES:
        app.get(target)
        app.get(target, method="HEAD")
    app.get("/items/1")
    assert app.counted(1)
    assert app.span().name.startswith("GET /items")
    assert app.access_line()["path"] == "/items/1"


def test_probes_carry_no_id(app: Probe) -> None:
    """Probes and the metrics page carry no request ID."""
    for target in PAGES:
        assert app.get(target).all("x-request-id") == []


def test_head_on_a_page_has_no_body(app: Probe) -> None:
    """HEAD on a probe or the metrics page has its status and no body; other methods are refused."""
    for target in PAGES:
        response = app.get(target, method="HEAD")
        assert (response.status, response.body) == (200, b"")
        assert app.get(target, method="POST").status == 405


def test_a_failing_check_is_a_503(app: Probe) -> None:
    """A failing check turns readiness to 503 and back; liveness and startup stay."""
    is_broken = [True]
    app.observer.health.add("database", lambda: not is_broken[0], every_seconds=0)
    assert _status(app.get("/health/ready")) == (503, "fail")
    assert _status(app.get("/health/live")) == (200, "pass")
    assert _status(app.get("/health/startup")) == (200, "pass")
    is_broken[0] = False
    assert _status(app.get("/health/ready")) == (200, "pass")


def test_a_failing_check_that_is_not_critical_is_a_warning(app: Probe) -> None:
    """A failing check that is not critical is a warning, with 200."""
    app.observer.health.add("mail", lambda: False, critical=False)
    assert _status(app.get("/health/ready")) == (200, "warn")


def test_async_checks_are_run(app: Probe) -> None:
    """Checks may be async."""
    calls = []

    @app.observer.health.check("queue", every_seconds=0)
    async def queue() -> bool:
        calls.append(1)
        return len(calls) > 1

    assert _status(app.get("/health/ready")) == (503, "fail")
    assert _status(app.get("/health/ready")) == (200, "pass")


def test_checks_and_groups_have_pages_of_their_own(app: Probe) -> None:
    """A single check and a group of checks have a page of their own; an unknown check is a 404."""
    app.observer.health.add("mail", lambda: False, groups=("reports",))
    app.observer.health.add("database", lambda: True, groups=("ready", "reports"))
    assert _status(app.get("/health/ready")) == (200, "pass")
    assert _status(app.get("/health/reports")) == (503, "fail")
    assert _status(app.get("/health/reports/mail")) == (503, "fail")
    assert _status(app.get("/health/ready/database")) == (200, "pass")
    assert _status(app.get("/health/ready/mail")) == (404, "fail")
    assert app.get("/health/ready/database", method="HEAD").body == b""
    assert app.get("/health/nothing").status == 404  # the app's own
    assert {labels[2] for labels in app.counted(1)} == {"404"}


def test_probes_have_the_names_that_others_give_them(app: Probe) -> None:
    """The probes are answered at `/livez`, `/readyz`, `/startupz` and `/health` too."""
    app.observer.health.add("database", lambda: False)
    for target, status in (("/livez", 200), ("/readyz", 503), ("/startupz", 200), ("/health", 503)):
        assert app.get(target).status == status


def test_liveness_asks_no_dependency(app: Probe) -> None:
    """Liveness and startup run no check."""
    calls = []
    app.observer.health.add("database", lambda: calls.append(1), every_seconds=0)
    app.get("/health/live")
    app.get("/health/startup")
    assert calls == []
    app.get("/health/ready")
    assert calls == [1]


def test_a_hung_check_is_answered_at_once(app: Probe) -> None:
    """A hung check is answered at once, with 503; requests and liveness go on meanwhile."""
    release, ended = threading.Event(), list[int]()

    def hang() -> None:
        release.wait(60)
        ended.append(1)

    app.observer.health.add("database", hang, timeout_seconds=0.2)
    assert _status(app.get("/health/ready")) == (503, "fail")
    assert _status(app.get("/health/live")) == (200, "pass")
    assert app.get("/items/1").status == 200
    assert _status(app.get("/health/ready")) == (503, "fail")
    assert not ended
    release.set()


def test_details_of_a_failure_are_not_for_everyone(serve: Any) -> None:
    """Details of a failing check are shown to the bearer of the token alone, and without secrets."""
    app = serve(health_token="for-the-operators")
    app.observer.health.add("database", _cannot_connect)
    public = app.get("/health/ready")
    assert json.loads(public.body) == {"status": "fail"}
    assert app.get("/health/ready", ("Authorization", "Bearer wrong-token")).body == public.body
    private = app.get("/health/ready", ("Authorization", "Bearer for-the-operators"))
    [entry] = json.loads(private.body)["checks"]["database"]
    assert entry["status"] == "fail"
    assert "ConnectionError" in entry["output"]
    assert b"hunter2" not in private.body


def test_without_a_token_details_stay_closed(app: Probe) -> None:
    """With no token set, details are shown to nobody in production."""
    app.observer.health.add("database", _cannot_connect)
    response = app.get("/health/ready", ("Authorization", "Bearer None"))
    assert json.loads(response.body) == {"status": "fail"}


def test_in_development_details_are_open(make: Any, server: Any) -> None:
    """In development details are open."""
    with make(environment="development").served_by(server) as app:
        app.observer.health.add("database", _cannot_connect)
        assert "checks" in json.loads(app.get("/health/ready").body)


def test_draining_turns_readiness_alone(app: Probe) -> None:
    """Draining turns readiness to 503 while liveness and requests go on."""
    app.observer.lifecycle.drain()
    assert _status(app.get("/health/ready")) == (503, "fail")
    assert _status(app.get("/health/live")) == (200, "pass")
    assert app.get("/items/1").status == 200


def test_a_post_with_the_token_begins_to_drain(serve: Any) -> None:
    """A POST with the token begins to drain; who lacks it is refused."""
    app = serve(health_token="for-the-hook")
    assert app.get("/health/drain", method="POST").status == 401
    assert _status(app.get("/health/ready")) == (200, "pass")
    token = ("Authorization", "Bearer for-the-hook")
    assert app.get("/health/drain", token).status == 405
    assert app.get("/health/drain", token, method="POST").status == 202
    assert _status(app.get("/health/ready")) == (503, "fail")
    assert app.get("/items/1").status == 200


def test_initialisers_hold_startup_back(app: Probe) -> None:
    """Initialisers, sync and async, hold startup and readiness back until they are done; requests are served."""
    release = threading.Event()
    ran = []
    app.observer.lifecycle.initialiser(lambda: release.wait(PATIENCE_SECONDS))

    @app.observer.lifecycle.initialiser
    async def load() -> None:
        ran.append(1)

    assert _status(app.get("/health/startup")) == (503, "fail")
    assert _status(app.get("/health/ready")) == (503, "fail")
    assert _status(app.get("/health/live")) == (200, "pass")
    assert app.get("/items/1").status == 200
    release.set()
    eventually(lambda: _status(app.get("/health/startup")) == (200, "pass"), "the startup probe passes")
    assert _status(app.get("/health/ready")) == (200, "pass")
    assert ran == [1]


def test_probes_pass_before_the_apps_own_refusals(serve: Any, front_end: FrontEnd) -> None:
    """Probes pass before the app's host checks and limits."""
    can_refuse = "early rejection" not in front_end.absent
    app = serve(Options(max_body_bytes=1 if can_refuse else None))
    for target in PAGES:
        assert app.send(Request(target.encode(), host=b"evil.test")).status == 200


def test_the_metrics_page_can_want_a_token(serve: Any) -> None:
    """The metrics page can want a token."""
    app = serve(metrics_token="for-prometheus")
    for headers in ((), (("Authorization", "Bearer wrong"),), (("Authorization", "Basic for-prometheus"),)):
        refused = app.get("/metrics", *headers)
        assert refused.status == 401
        assert b"http_server" not in refused.body
    assert app.get("/metrics", ("Authorization", "Bearer for-prometheus")).status == 200


def test_the_metrics_page_is_not_public_behind_a_proxy(serve: Any) -> None:
    """The metrics page is refused to what came through a proxy; the status of a probe is not."""
    app = serve()
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "Via", "X-Real-IP"):
        refused = app.get("/metrics", (name, "for=198.51.100.7"))
        assert (refused.status, b"metrics_access" in refused.body) == (403, True)
        assert app.get("/health/live", (name, "for=198.51.100.7")).status == 200
    assert app.get("/metrics").status == 200


def test_a_page_can_be_for_networks_behind_trusted_proxies(serve: Any) -> None:
    """A page can be for networks, which a chain of trusted proxies tells, read from its right end."""
    app = serve(metrics_networks="198.51.100.0/24", trusted_proxies="127.0.0.1,10.0.0.0/8")
    assert app.get("/metrics", ("X-Forwarded-For", "6.6.6.6, 198.51.100.7, 10.0.0.2")).status == 200
    assert app.get("/metrics", ("X-Forwarded-For", "198.51.100.7, 203.0.113.9")).status == 403
    assert app.get("/metrics").status == 403


def test_the_pages_can_have_other_paths(serve: Any) -> None:
    """The pages can have other paths; the old ones are then the app's."""
    app = serve(
        metrics_path="/internal/metrics", live_path="/livez", ready_path="/readyz", startup_path="/startz"
    )
    for target in ("/internal/metrics", "/livez", "/readyz", "/startz"):
        assert app.get(target).status == 200
    for target in PAGES:
        assert app.get(target).status == 404
    assert {labels[2] for labels in app.counted(len(PAGES))} == {"404"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_turned_off(serve: Any, page: str) -> None:
    """Each page can be turned off; its path is then the app's, and the others go on."""
    app = serve(**{SETTINGS[page]: None})
    assert [app.get(target).status for target in PAGES] == [
        404 if target == page else 200 for target in PAGES
    ]
    app.counted(1)


def test_the_metrics_page_comes_as_openmetrics(app: Probe) -> None:
    """The metrics page comes as text or as OpenMetrics, as the scraper accepts."""
    text = app.get("/metrics")
    assert text.one("content-type").startswith("text/plain")
    openmetrics = app.get("/metrics", ("Accept", "application/openmetrics-text; version=1.0.0"))
    assert openmetrics.one("content-type").startswith("application/openmetrics-text")
    assert openmetrics.body.endswith(b"# EOF\n")


@pytest.mark.needs("asgi")
def test_a_scrape_does_not_hold_the_event_loop(app: Probe) -> None:
    """A slow scrape does not hold up requests."""
    slow = _SlowCollector()
    app.registry.register(slow)
    scrape = threading.Thread(target=app.get, args=("/metrics",))
    scrape.start()
    try:
        assert slow.has_begun.wait(PATIENCE_SECONDS)
        assert app.get("/items/1").status == 200
    finally:
        slow.may_end.set()
        scrape.join()
    assert not slow.was_alone, "the request has waited for the scrape"


@pytest.mark.needs("asgi", "no thread")
def test_pages_answer_where_no_thread_can_be_started(
    make: Any, front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started, probes and the metrics page answer all the same, and the app stops."""
    app = make()
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    for _ in range(2):
        answers = front_end.call_all(app.app, [Request(target.encode()) for target in PAGES])
        assert [answer.status for answer in answers] == [200] * len(PAGES)


def _refuse(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


class _SlowCollector:
    """Take until somebody else has been served, or for some seconds where nobody is."""

    def __init__(self) -> None:
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.was_alone = False

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> list[Any]:
        self.has_begun.set()
        self.was_alone = self.was_alone or not self.may_end.wait(PATIENCE_SECONDS)
        return []


def _cannot_connect() -> None:
    raise ConnectionError("postgres://shop:hunter2@db/shop is not there")


def _status(response: Response) -> tuple[int | None, str]:
    return response.status, json.loads(response.body)["status"]
