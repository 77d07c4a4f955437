"""`python -m obs_middleware doctor`: nothing is wrong with a healthy app, and each thing that is broken is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from obs_middleware import __main__
from obs_middleware.cli.doctor import (
    access,
    address,
    internals,
    metrics_page,
    planted_secret,
    probes,
    propagation,
    request_ids,
    series,
)
from obs_middleware.cli.doctor.checks import CHECKS, run_checks
from obs_middleware.cli.doctor.finding import Finding
from obs_middleware.cli.doctor.service import Service
from obs_middleware.cli.doctor.session import Options, Session
from tests import running
from tests.core.cli.doctor.faulty_app import Answered, Asked, Fault, FaultyApp, served

Capture = pytest.CaptureFixture[str]
Check = Callable[[Session], Iterator[Finding]]


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyApp]:
    with served(FaultyApp(service_name="shop", service_version="1.2")) as app:
        yield app


@pytest.fixture(autouse=True)
def _counts_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for what was counted to be on the page than in production, because a busy machine is late."""
    monkeypatch.setattr(propagation, "_SECONDS", 30.0)


@pytest.fixture
def app(server: FaultyApp) -> Iterator[FaultyApp]:
    yield server
    server.fault, server.hides_proxies = None, False


def session(app: FaultyApp, **options: Any) -> Session:
    service = Service(address.parse(f":{app.port}"), timeout_seconds=20)
    own = Session(service, service, Options(**options))
    own.first = own.page()
    return own


def found(check: Check, app: FaultyApp, **options: Any) -> dict[str, Finding]:
    return {one.check: one for one in check(session(app, **options))}


_of_healthy_app: dict[Check, dict[str, Finding]] = {}


def healthy(check: Check, app: FaultyApp) -> dict[str, Finding]:
    """Return what a check finds of the app as it is, asked once."""
    if check not in _of_healthy_app:
        _of_healthy_app[check] = found(check, app)
    return _of_healthy_app[check]


def doctor(*arguments: str) -> int:
    return __main__.main(["doctor", *arguments])


def on(path: str, change: Fault) -> Fault:
    """Break the answers of one path alone."""
    return lambda asked, answered: change(asked, answered) if asked.path == path else answered


def page(old: str, new: str) -> Fault:
    return on("/metrics", lambda asked, answered: answered.replacing(old, new))


def status(number: int, body: bytes = b"") -> Fault:
    return lambda asked, answered: Answered(number, [], body)


def leaking(asked: Asked, answered: Answered) -> Answered:
    leaking.paths.append(asked.path)  # type: ignore[attr-defined]
    if asked.path != "/metrics" or b"# EOF" in answered.body:
        return answered
    lines = "".join(f'by_path_total{{path="{path}"}} 1\n' for path in set(leaking.paths))  # type: ignore[attr-defined]
    return answered._replace(body=answered.body + lines.encode()).without("content-length")


leaking.paths = []  # type: ignore[attr-defined]


def growing(asked: Asked, answered: Answered) -> Answered:
    growing.count += 1  # type: ignore[attr-defined]
    if asked.path != "/metrics":
        return answered
    lines = "".join(f'grown{{number="{number}"}} 1\n' for number in range(growing.count))  # type: ignore[attr-defined]
    return answered._replace(body=answered.body + lines.encode()).without("content-length")


growing.count = 0  # type: ignore[attr-defined]


def test_healthy_app_passes(app: FaultyApp, capsys: Capture) -> None:
    """It takes a second, because it sends ninety requests."""
    assert doctor(f"localhost:{app.port}") == 0
    text = capsys.readouterr().out
    lines = [line.split("  ") for line in text.splitlines()[2:-2]]
    assert {line[0].strip() for line in lines if line[0].strip()} <= {"pass", "skipped", "warn"}
    passed = [line for line in text.splitlines() if line.startswith("pass ")]
    assert len(passed) >= len(CHECKS)
    assert "request ID on 405" in text
    assert "build info             shop, 1.2, on" in text or "shop, 1.2" in text
    assert "\x1b" not in text, "no colours but on a terminal"
    assert " passed" in text.splitlines()[-1]


def test_report_for_programs_has_the_same(app: FaultyApp, capsys: Capture) -> None:
    app.fault = on("/health/live", status(404))
    assert doctor(f"http://127.0.0.1:{app.port}/", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == "fail"
    assert [one["check"] for one in report["findings"] if one["status"] == "fail"] == ["liveness"]
    assert report["address"] == f"http://127.0.0.1:{app.port}"


BROKEN: dict[str, tuple[Check, str, str, Fault]] = {
    "no ID": (request_ids.check, "request ID on 404", "fail", lambda _, it: it.without("x-request-id")),
    "two IDs": (
        request_ids.check,
        "request ID on 200",
        "fail",
        lambda _, it: it.with_header("X-Request-ID", "x"),
    ),
    "no page": (
        request_ids.check,
        "request ID on 200",
        "skipped",
        on("/", lambda _, it: it._replace(status=404)),
    ),
    "other ID": (
        request_ids.check,
        "caller's request ID",
        "warn",
        lambda _, it: it.without("x-request-id").with_header("X-Request-ID", "mine"),
    ),
    "unsafe ID": (
        request_ids.check,
        "unsafe request ID",
        "fail",
        lambda asked, it: it.without("x-request-id").with_header(
            "X-Request-ID", asked.headers.get("x-request-id", "")
        ),
    ),
    "other trace": (
        propagation.check,
        "traceparent",
        "fail",
        lambda _, it: it.with_header("traceresponse", f"00-{'1' * 32}-{'2' * 16}-01"),
    ),
    "no exemplars": (propagation.check, "traceparent", "skipped", on("/metrics", status(404))),
    "other exemplars": (propagation.check, "traceparent", "fail", page('trace_id="', 'trace_id="f')),
    "page not found": (metrics_page.check, "metrics page", "fail", on("/metrics", status(404))),
    "page wants token": (metrics_page.check, "metrics page", "fail", on("/metrics", status(401))),
    "page forbidden": (metrics_page.check, "metrics page", "fail", on("/metrics", status(403, b"why"))),
    "broken text": (
        metrics_page.check,
        "Prometheus text",
        "fail",
        page("# TYPE obs_fast", "a{ 1\n# TYPE obs_fast"),
    ),
    "no end": (metrics_page.check, "OpenMetrics", "fail", page("# EOF\n", "")),
    "one format": (
        metrics_page.check,
        "OpenMetrics",
        "warn",
        on("/metrics", lambda _, it: it.without("content-type").with_header("Content-Type", "text/plain")),
    ),
    "counter without _total": (
        metrics_page.check,
        "metric names",
        "warn",
        page("obs_dropped_total", "obs_dropped"),
    ),
    "unit": (metrics_page.check, "metric names", "warn", page("asyncio_tasks", "asyncio_ms")),
    "capitals": (metrics_page.check, "metric names", "warn", page("asyncio_tasks", "asyncioTasks")),
    "suffix": (metrics_page.check, "metric names", "warn", page("asyncio_tasks", "asyncio_count")),
    "no help": (
        metrics_page.check,
        "metric names",
        "warn",
        page("# HELP asyncio_tasks Tasks", "# HELP other Tasks"),
    ),
    "label of path": (series.check, "bounded series", "fail", leaking),
    "more series": (series.check, "bounded series", "fail", growing),
    "no series": (series.check, "bounded series", "skipped", on("/metrics", status(404))),
    "no probe": (probes.check, "startup", "fail", on("/health/startup", status(404))),
    "cached": (
        probes.check,
        "liveness",
        "fail",
        on("/health/live", lambda _, it: it.without("cache-control")),
    ),
    "HEAD refused": (
        probes.check,
        "readiness",
        "fail",
        on("/health/ready", lambda asked, it: it._replace(status=405) if asked.method == "HEAD" else it),
    ),
    "degraded": (
        probes.check,
        "readiness",
        "warn",
        on("/health/ready", lambda _, it: it.replacing("pass", "warn")),
    ),
    "not ready": (
        probes.check,
        "readiness",
        "fail",
        on("/health/ready", lambda _, it: it._replace(status=503)),
    ),
    "secret in body": (
        planted_secret.check,
        "planted secret",
        "fail",
        on("/", lambda asked, it: it.replacing("hello", asked.query)),
    ),
    "secret in header": (
        planted_secret.check,
        "planted secret",
        "fail",
        lambda asked, it: it.with_header("Set-Cookie", asked.headers.get("cookie", "a=b")),
    ),
    "details": (
        access.check,
        "details of probes",
        "fail",
        on("/health/ready", lambda _, it: it.replacing("}", ',"checks":{}}')),
    ),
    "details to direct callers": (
        access.check,
        "details of probes",
        "warn",
        on(
            "/health/ready",
            lambda asked, it: (
                it if "x-forwarded-for" in asked.headers else it.replacing("}", ',"checks":{}}')
            ),
        ),
    ),
    "no details": (access.check, "details of probes", "skipped", on("/health/ready", status(404))),
    "no page to guard": (access.check, "metrics behind a proxy", "skipped", on("/metrics", status(404))),
    "open page that acts": (access.check, "pages that act", "fail", on("/health/drain", status(200))),
    "fast path off": (
        internals.check,
        "fast path",
        "warn",
        on(
            "/metrics",
            lambda _, it: it.replacing("# TYPE obs_fast_path gauge\n", 'obs_fast_path{name="x"} 0\n'),
        ),
    ),
    "no fast path": (internals.check, "fast path", "skipped", page("obs_fast_path", "other")),
    "lines lost": (
        internals.check,
        "losses",
        "warn",
        page(
            "# TYPE obs_dropped_total counter\n",
            '# TYPE obs_dropped_total counter\nobs_dropped_total{signal="spans"} 3\n',
        ),
    ),
    "failures before": (
        internals.check,
        "internal errors",
        "warn",
        page(
            "# TYPE obs_internal_errors_total counter\n",
            '# TYPE obs_internal_errors_total counter\nobs_internal_errors_total{component="x"} 3\n',
        ),
    ),
    "another exporter": (
        internals.check,
        "internal errors",
        "fail",
        page("obs_internal_errors", "other_errors"),
    ),
    "no page of ours": (internals.check, "internal errors", "skipped", on("/metrics", status(404))),
    "no name": (internals.check, "build info", "warn", page('service="shop"', 'service="unknown_service"')),
    "no target": (internals.check, "build info", "skipped", page("target_info", "other_info")),
    "no requests": (
        metrics_page.check_counts,
        "requests are counted",
        "fail",
        page("http_server_request_d", "other_d"),
    ),
    "no counts": (metrics_page.check_counts, "requests are counted", "skipped", on("/metrics", status(404))),
}


@pytest.mark.once
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found_with_its_cure(
    app: FaultyApp, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, finding, expected, fault = BROKEN[name]
    before = healthy(check, app)[finding]
    monkeypatch.setattr(propagation, "_SECONDS", 0.0)  # what is broken stays so
    app.fault = fault
    after = found(check, app)[finding]
    assert before.status in ("pass", "warn"), before
    assert after.status == expected, after
    assert after.reason
    assert after.cure or expected == "skipped"
    assert "\n" not in after.reason


def test_series_of_a_worker_that_joins_are_no_growth(app: FaultyApp) -> None:
    asked_before = 0

    def joining(asked: Asked, answered: Answered) -> Answered:
        nonlocal asked_before
        asked_before += 1
        if asked.path != "/metrics":
            return answered
        workers = ("1",) if asked_before < 30 else ("1", "2")
        lines = [
            f'pauses{{number="{number}",worker="{worker}"}} 1\n' for worker in workers for number in range(20)
        ]
        return answered._replace(body=answered.body + "".join(lines).encode()).without("content-length")

    app.fault = joining
    assert found(series.check, app)["bounded series"].status == "pass"


def test_failures_of_ours_during_the_run_are_found(app: FaultyApp) -> None:
    own = session(app)
    app.observer.gateway.report("metrics", LookupError("hunter2"))
    (finding,) = (one for one in internals.check(own) if one.check == "internal errors")
    assert finding.status == "fail"
    assert finding.reason == "obs_internal_errors_total has grown during this run: metrics by 1"


def test_requests_that_no_page_counts_are_found(app: FaultyApp) -> None:
    own = session(app)
    own.get()
    assert [one.status for one in metrics_page.check_counts(own)] == ["pass"]
    own.observed += 3  # which another worker has served, that shares no metrics
    (finding,) = metrics_page.check_counts(own)
    assert finding.status == "warn"
    assert "of 4 requests" in finding.reason


def test_page_that_is_open_behind_a_proxy_is_found(app: FaultyApp) -> None:
    assert found(access.check, app)["metrics behind a proxy"].status == "pass"
    app.hides_proxies = True
    assert found(access.check, app)["metrics behind a proxy"].status == "warn"


def test_token_opens_the_page_and_is_needed(capsys: Capture) -> None:
    with served(FaultyApp(metrics_token="hunter2hunter2")) as app:
        assert found(metrics_page.check, app)["metrics page"].status == "fail"
        assert found(metrics_page.check, app, token="hunter2hunter2")["metrics page"].status == "pass"
        assert found(access.check, app, token="hunter2hunter2")["metrics token"].status == "pass"


def test_settings_of_the_environment_say_where_the_pages_are(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBS_METRICS_PATH", "/internal")
    monkeypatch.setenv("OBS_METRICS_TOKEN", "hunter2hunter2 hunter3hunter3")
    with served(
        FaultyApp(metrics_path="/internal", metrics_token="hunter2hunter2", service_name="shop")
    ) as app:
        assert doctor(f":{app.port}", "--json") == 0
    findings = {one["check"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert "/internal has" in findings["metrics page"]["reason"]
    assert findings["metrics token"]["status"] == "pass"


def test_token_that_is_not_needed_is_found(app: FaultyApp) -> None:
    assert found(access.check, app, token="hunter2hunter2")["metrics token"].status == "fail"


def test_checks_that_fail_are_named_to_who_may_see_them() -> None:
    with served(FaultyApp(health_token="hunter2hunter2")) as app:
        app.observer.health.add("database", lambda: False)
        assert "no details" in found(probes.check, app)["readiness"].reason
        reason = found(probes.check, app, health_token="hunter2hunter2")["readiness"].reason
        assert "database" in reason


def test_one_cure_of_several_findings_is_printed_once(app: FaultyApp, capsys: Capture) -> None:
    app.fault = lambda _, it: it.without("x-request-id")
    assert doctor(f":{app.port}") == 1
    text = capsys.readouterr().out
    assert text.count("without X-Request-ID") == 3
    assert text.count("→ put the middleware around the whole app") == 1


def test_nothing_that_listens_is_one_finding_with_the_cure(capsys: Capture) -> None:
    port = running.free_port()
    assert doctor(f":{port}") == 1
    text = capsys.readouterr().out
    assert f"nothing listens at http://127.0.0.1:{port}" in text
    assert "→ start the app there, or give its address" in text


def test_server_that_speaks_no_http_is_told(app: FaultyApp) -> None:
    service = Service(address.parse(f"https://127.0.0.1:{app.port}"), timeout_seconds=20, is_verified=False)
    (finding,) = run_checks(Session(service, service, Options()))
    assert finding.check == "connection"
    assert finding.status == "fail"


def test_app_that_ends_during_the_run_is_told(app: FaultyApp) -> None:
    own = session(app)
    asked = own.service.ask
    own.service = Service(address.parse(f":{running.free_port()}"), timeout_seconds=20)
    own.service.get = lambda *_: asked("GET", "/health/live")  # type: ignore[method-assign] # there a moment ago
    findings = run_checks(own)
    assert [one.check for one in findings if one.status == "fail" and "has answered before" in one.cure] != []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8000", "http://127.0.0.1:8000"),
        ("localhost:8000", "http://localhost:8000"),
        ("localhost:8000/api/", "http://localhost:8000/api"),
        ("http://shop.test", "http://shop.test:80"),
        ("https://shop.test/a/b", "https://shop.test:443/a/b"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_address_is_taken_as_people_write_it(text: str, expected: str) -> None:
    assert str(address.parse(text)) == expected


@pytest.mark.parametrize(
    "text", ["8000", "shop", "ftp://shop.test", "http://", ":80000", ":a", "http://a/?q=1", ""]
)
def test_address_that_is_none_is_refused(text: str, capsys: Capture) -> None:
    assert doctor(text) == 2
    assert (
        f"the address must be :8000, localhost:8000 or a URL such as https://shop.example.org/api, got {text!r}"
        in (capsys.readouterr().err)
    )


def test_path_that_is_none_is_refused(capsys: Capture) -> None:
    assert doctor(":8000", "--metrics-path", "metrics") == 2
    assert "--metrics-path must begin with /, got 'metrics'" in capsys.readouterr().err


def test_pages_may_have_a_port_of_their_own(app: FaultyApp, capsys: Capture) -> None:
    app.fault = lambda asked, it: it if asked.path in ("/", "/health/live") else status(404)(asked, it)
    with served(FaultyApp()) as ops:
        assert doctor(f":{app.port}", "--ops", f":{ops.port}", "--json") == 1
        findings = {one["check"]: one["status"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["readiness"] == findings["metrics page"] == "pass"
    assert findings["request ID on 404"] == "fail"


def test_terminal_gets_colours_and_progress(
    app: FaultyApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert doctor(f":{app.port}") == 0
    out, err = capsys.readouterr()
    assert "\x1b[32mpass   \x1b[0m" in out
    assert f"1/{len(CHECKS)} metrics page…" in err
    assert err.endswith("\r\x1b[K")
