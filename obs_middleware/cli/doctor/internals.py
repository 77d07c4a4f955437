"""What the library tells of itself: its own failures, what was lost, fast ways, and whose metrics these are."""

from __future__ import annotations

from collections.abc import Iterator

from obs_middleware.cli.doctor.finding import Finding, failed, passed, skipped, some, warned
from obs_middleware.cli.doctor.page import Page
from obs_middleware.cli.doctor.session import Session

_ERRORS = "obs_internal_errors_total"


def check(session: Session) -> Iterator[Finding]:
    """Read the last page, and compare it with the first."""
    before, after = session.first, session.page()
    if before is None or after is None:
        for name in ("internal errors", "losses", "fast path", "build info"):
            yield skipped(name, "there is no page that parses")
        return
    yield _errors(before, after)
    yield _losses(after)
    yield _fast_path(after)
    yield _build(after)


def _errors(before: Page, after: Page) -> Finding:
    name, earlier = "internal errors", before.values(_ERRORS)
    if "obs_internal_errors" not in {family.name for family in after.families}:
        cure = "the page is another exporter's: metrics_path, or the registry that you hand in, is not ours"
        return failed(name, f"the page has no {_ERRORS}", cure)
    now = after.values(_ERRORS)
    grown = [
        f"{'/'.join(key)} by {now[key] - earlier.get(key, 0):g}"
        for key in now
        if now[key] > earlier.get(key, 0)
    ]
    if grown:
        cure = "the log has the error, once a minute; `collection`: a hook of on_collect or a collector of the app's"
        return failed(name, f"{_ERRORS} has grown during this run: {some(grown)}", cure)
    if sum(now.values()):
        counts = some(f"{'/'.join(key)} {value:g}" for key, value in now.items() if value)
        cure = "the log has the error, once a minute, from the app's start on: 'obs-middleware failed in …'"
        return warned(name, f"{_ERRORS} counts failures from before this run: {counts}", cure)
    return passed(name, f"{_ERRORS} is 0")


def _losses(after: Page) -> Finding:
    name = "losses"
    lost = [
        f"{metric}{{{'/'.join(key)}}} {value:g}"
        for metric in ("obs_dropped_total", "obs_series_overflow_total", "obs_export_failures_total")
        for key, value in after.values(metric).items()
        if value
    ]
    if lost:
        cure = "docs/runtime-metrics.md says what each counts; the log has the reasons"
        return warned(name, some(lost), cure)
    return passed(name, "no line, span, export or series was lost")


def _fast_path(after: Page) -> Finding:
    name, ways = "fast path", after.values("obs_fast_path")
    off = sorted({key[0] for key, value in ways.items() if not value and key})
    if not ways:
        return skipped(name, "the page has no obs_fast_path")
    if off:
        cure = (
            "install where a C compiler is, unset OBS_PURE_PYTHON; the line at start in development says why"
        )
        return warned(name, f"off: {some(off, most=8)}", cure)
    return passed(name, f"all {len(ways)} fast ways are taken")


def _build(after: Page) -> Finding:
    name, own, python = "build info", after.labels("target_info"), after.labels("python_info")
    service = own.get("service_name") or own.get("service") or ""
    if not own:
        return skipped(
            name, "the page has no target_info", "metrics_default_labels=target_info puts it there"
        )
    if service in ("", "unknown_service"):
        return warned(name, "the service has no name", "set service_name, or SERVICE_NAME in the environment")
    version = own.get("service_version") or own.get("version") or "no version"
    on = f"Python {python['version']}" if "version" in python else "an unknown Python"
    return passed(name, f"{service}, {version}, on {on}")
