"""The metrics page: found, parsed strictly in both formats, its names as Prometheus wants them, its counts true."""

from __future__ import annotations

import re
from collections.abc import Iterator

from obs_middleware.cli.doctor import page as pages
from obs_middleware.cli.doctor.finding import Finding, failed, passed, skipped, some, warned
from obs_middleware.cli.doctor.page import Page
from obs_middleware.cli.doctor.service import Answer
from obs_middleware.cli.doctor.session import Session

_RESERVED = ("_bucket", "_count", "_sum", "_total", "_info", "_created")
_UNITS = re.compile(
    r"_(ms|millis|milliseconds|us|micros|microseconds|ns|nanoseconds|minutes|hours|days|kb|mb|gb|kilobytes|megabytes"
    r"|gigabytes|percent)(_|$)"
)
_COUNTS = (
    "http_server_request_duration_seconds_count",
    "http_requests_total",
    "starlette_requests_total",
    "flask_http_request_duration_seconds_count",
)


def check(session: Session) -> Iterator[Finding]:
    """Look for the page, and keep it for the checks after this one."""
    answer = session.metrics()
    found = _found(session, answer)
    yield found
    for name, accept, prefix in (
        ("Prometheus text", pages.TEXT, "text/plain"),
        ("OpenMetrics", pages.OPENMETRICS, "application/openmetrics-text"),
    ):
        if found.status == "fail":
            yield skipped(name, "there is no metrics page")
        else:
            yield _parsed(name, session.metrics(accept), prefix)
    session.first = session.page()
    yield _names(session.first)


def check_counts(session: Session) -> Iterator[Finding]:
    """Compare what the page has counted since with what was asked."""
    name = "requests are counted"
    before, after = session.first, session.page()
    if before is None or after is None:
        yield skipped(name, "there is no metrics page")
        return
    counted = max(after.total(one) - before.total(one) for one in _COUNTS)
    metric = next((one for one in _COUNTS if after.values(one)), None)
    if metric is None:
        cure = "put the middleware around the app, and name request_duration in http_metrics"
        yield failed(name, "the page has no metric of requests", cure)
    elif counted < session.observed:
        yield warned(
            name,
            f"{metric} has counted {counted:g} of {session.observed} requests",
            "if several workers serve, they must share metrics (metrics_workers=auto, docs/workers.md)",
        )
    else:
        yield passed(name, f"{metric} has grown by {counted:g}, for {session.observed} requests of this run")


def _found(session: Session, answer: Answer) -> Finding:
    name, path = "metrics page", session.options.metrics_path
    if answer.status == 200 and b"# TYPE " in answer.body:
        return passed(name, f"{path} has {answer.body.count(b'# TYPE ')} metrics in {len(answer.body)} bytes")
    if answer.status in (401, 429):
        wrong = "the token is wrong" if session.options.token else "it wants a token"
        return failed(
            name, f"{path} answers {answer.status}: {wrong}", "give --token, which is metrics_token"
        )
    if answer.status == 403:
        return failed(
            name,
            f"{path} answers 403: {_text(answer)}",
            "set metrics_token or metrics_networks, and give --token",
        )
    return failed(
        name,
        f"{path} answers {answer.status}, and no metrics",
        "--metrics-path says where the page is (metrics_path), --ops at which port (ops_port)",
    )


def _parsed(name: str, answer: Answer, prefix: str) -> Finding:
    content_type = answer.header("content-type")
    if answer.status != 200 or not content_type.startswith(prefix):
        return warned(
            name,
            f"the page comes as {content_type or 'no content type'}, with status {answer.status}",
            "a layer between may change the header Accept; exemplars need OpenMetrics",
        )
    try:
        page = Page(answer.body.decode(), is_openmetrics=prefix.startswith("application/"))
    except ValueError as error:
        cure = "mend the collector that wrote it, because Prometheus drops the whole page"
        return failed(name, f"the page does not parse: {error}", cure)
    return passed(name, f"{len([*page.samples()])} samples parse strictly")


def _names(page: Page | None) -> Finding:
    name = "metric names"
    if page is None:
        return skipped(name, "there is no page that parses")
    complaints = [f"{metric} {why}" for metric, why in _complaints(page)]
    if complaints:
        cure = "rename them, or go on: Prometheus takes them (prometheus.io/docs/practices/naming)"
        return warned(name, some(complaints), cure)
    return passed(name, f"{len(page.declared)} names have unit, suffix and help as Prometheus wants them")


def _complaints(page: Page) -> Iterator[tuple[str, str]]:
    for name, kind in page.declared.items():
        if kind == "counter" and not name.endswith("_total"):
            yield name, "is a counter without _total"
        elif (
            kind in ("gauge", "histogram", "summary")
            and name.endswith(_RESERVED)
            and not _is_info(name, kind)
        ):
            yield name, f"is a {kind} with the suffix of another type"
        elif _UNITS.search(name):
            yield name, "is not in base units (seconds, bytes, ratio)"
        elif name != name.lower():
            yield name, "has capitals"
        elif not page.help.get(name, "").strip():
            yield name, "has no help"


def _is_info(name: str, kind: str) -> bool:
    """Tell whether it is an Info, or when a metric was made, which are gauges in Prometheus text."""
    return kind == "gauge" and name.endswith(("_info", "_created"))


def _text(answer: Answer) -> str:
    return answer.body.decode(errors="replace").strip().partition("\n")[0][:200]
