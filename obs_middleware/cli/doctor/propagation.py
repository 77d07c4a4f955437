"""The caller's W3C trace goes on in the app: `traceresponse` shows it, or exemplars of the metrics page."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

from obs_middleware.cli.doctor import page as pages
from obs_middleware.cli.doctor.finding import Finding, failed, passed, skipped
from obs_middleware.cli.doctor.page import Page
from obs_middleware.cli.doctor.session import Session

_NAME = "traceparent"
_SECONDS = 1.0  # until the page has an exemplar, which it has within a moment


def check(session: Session) -> Iterator[Finding]:
    """Send a sampled traceparent, and look where it comes back."""
    trace_id = secrets.token_hex(16)
    answer = session.get(headers={"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"})
    sent_back = answer.header("traceresponse")
    if sent_back:
        yield _of_header(sent_back, trace_id)
        return
    exemplars = _exemplars(session, trace_id)
    if trace_id in exemplars:
        yield passed(_NAME, "an exemplar of the metrics page has the caller's trace ID")
    elif exemplars:
        yield failed(
            _NAME,
            "exemplars have other trace IDs than the caller's",
            "let nothing between drop the header traceparent; OTEL_PROPAGATORS must have tracecontext",
        )
    else:
        yield skipped(
            _NAME,
            "neither traceresponse nor an exemplar shows which trace it was",
            "exemplars need tracing_enabled, and the OpenMetrics page",
        )


def _of_header(sent_back: str, trace_id: str) -> Finding:
    if trace_id in sent_back:
        return passed(_NAME, "traceresponse has the caller's trace ID")
    return failed(
        _NAME,
        f"traceresponse has another trace: {sent_back}",
        "let nothing between drop the header traceparent",
    )


def _exemplars(session: Session, trace_id: str) -> set[str]:
    """Return the trace IDs of the page, once the wanted one is among them, or after a while."""
    deadline = time.monotonic() + _SECONDS
    while True:
        found = _trace_ids(session)
        if trace_id in found or not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _trace_ids(session: Session) -> set[str]:
    answer = session.metrics(pages.OPENMETRICS)
    if answer.status != 200 or not answer.header("content-type").startswith("application/openmetrics-text"):
        return set()
    try:
        samples = Page(answer.body.decode(), is_openmetrics=True).samples()
        return {sample.exemplar.labels.get("trace_id", "") for sample in samples if sample.exemplar}
    except ValueError:
        return set()
