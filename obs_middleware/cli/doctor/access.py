"""Details, metrics and pages that act are hidden from who is not authorised, also behind a proxy."""

from __future__ import annotations

from collections.abc import Iterator

from obs_middleware.cli.doctor.finding import Finding, failed, passed, skipped, warned
from obs_middleware.cli.doctor.probes import content
from obs_middleware.cli.doctor.session import Session
from obs_middleware.settings import Settings

_THROUGH_PROXY = {"X-Forwarded-For": "203.0.113.7"}  # an address for documentation: RFC 5737
_FOR_EVERYBODY = ("metrics_path", "live_path", "ready_path", "startup_path", "health_path")


def check(session: Session) -> Iterator[Finding]:
    """Ask without a token, and as if through a proxy."""
    yield _metrics(session)
    yield _token(session)
    yield _details(session)
    yield _others(session)


def _metrics(session: Session) -> Finding:
    name, path = "metrics behind a proxy", session.options.metrics_path
    answer = session.metrics(has_token=False, **_THROUGH_PROXY)
    if answer.status == 200 and b"# TYPE " in answer.body:
        return warned(
            name,
            f"{path} answers what came through a proxy, without a token",
            "set metrics_token or metrics_networks, unless metrics_access=open or trusted_proxies are meant",
        )
    if answer.status in (401, 403, 429):
        return passed(name, f"{path} answers {answer.status} without a token")
    return skipped(name, f"{path} answers {answer.status}")


def _token(session: Session) -> Finding:
    name, path = "metrics token", session.options.metrics_path
    if session.options.token is None:
        return skipped(name, "no --token is given")
    status = session.metrics(has_token=False).status
    if status == 200:
        return failed(
            name, f"{path} answers without the token too", "set metrics_token to what you gave as --token"
        )
    return passed(name, f"{path} answers {status} without the token")


def _details(session: Session) -> Finding:
    name, path = "details of probes", session.options.ready_path
    direct, through_proxy = (session.ops.get(path, headers) for headers in ({}, _THROUGH_PROXY))
    if "checks" in content(through_proxy):
        cure = "set health_token; health_access=open shows them to everybody"
        return failed(name, f"{path} shows checks to what came through a proxy", cure)
    if "checks" in content(direct):
        cure = "nothing in development; in production set environment=production and health_token"
        return warned(name, f"{path} shows checks to direct callers without a token", cure)
    if direct.status not in (200, 503):
        return skipped(name, f"{path} answers {direct.status}")
    return passed(name, f"{path} shows its status alone")


def _others(session: Session) -> Finding:
    """Ask the pages that the settings know besides, at their default paths, by GET, which changes nothing."""
    name, settings = "pages that act", Settings()
    names = [one for one in Settings.__struct_fields__ if one.endswith("_path") and one not in _FOR_EVERYBODY]
    paths = [path for path in (getattr(settings, one) for one in names) if path]
    for path in paths:
        answer = session.ops.get(path, _THROUGH_PROXY)
        if answer.status == 200:
            cure = "guard it by a token, unless the app has a page of its own there"
            return failed(name, f"{path} answers 200 to anybody", cure)
    return passed(name, f"nobody gets {', '.join(paths)} without a token")
