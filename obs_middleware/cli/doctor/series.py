"""Series stay bounded: fifty made-up paths and methods make no new ones."""

from __future__ import annotations

import time
from collections.abc import Iterator

from obs_middleware.cli.doctor.finding import Finding, failed, passed, skipped, some
from obs_middleware.cli.doctor.page import Page
from obs_middleware.cli.doctor.session import Session

_REQUESTS = 50
_WAYS = 6  # each method once
_METHODS = ("GET", "PROPFIND", "HEAD", "REPORT", "OPTIONS", "TRACE")  # all of them safe
_GROWTH = 10  # samples of a family; more are a series for each path
_HAND_OVER_SECONDS = 0.15  # what workers have counted is on the page after 50 ms
_NAME = "bounded series"


def check(session: Session) -> Iterator[Finding]:
    """Ask in each way, then fifty times in the same ways with other words, and compare the pages."""
    for number in range(-_WAYS, 1):
        _ask(session, number)
    before = _settled(session)
    for number in range(1, _REQUESTS + 1):
        _ask(session, number)
    after = _settled(session)
    if before is None or after is None:
        yield skipped(_NAME, "there is no page that parses")
        return
    yield _compared(session, before, after)


def _ask(session: Session, number: int) -> None:
    path = f"/{session.mark}/{number}/orders%2f{number}"
    method = f"MADEUP{number}" if number % 10 == 0 else _METHODS[number % len(_METHODS)]
    session.ask(method, path)


def _settled(session: Session) -> Page | None:
    time.sleep(_HAND_OVER_SECONDS)
    return session.page()


def _compared(session: Session, before: Page, after: Page) -> Finding:
    for sample in after.samples():
        for label, value in sample.labels.items():
            if session.mark in value or value.startswith("MADEUP"):
                cure = "label by the route's template, never by path or method as they came (docs/http-metrics.md)"
                return failed(_NAME, f"{sample.name} has the label {label}={value!r}", cure)
    grown = after.sizes() - before.sizes()
    many = [f"{name} by {growth}" for name, growth in sorted(grown.items()) if growth >= _GROWTH]
    if many:
        return failed(
            _NAME, f"{_REQUESTS} made-up requests have grown {some(many)}", "bound the values of their labels"
        )
    return passed(_NAME, f"{_REQUESTS} made-up paths and methods make no series")
