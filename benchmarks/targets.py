"""What must be shown, and what is wanted, beside what a run has measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from benchmarks.results import Results, added, grown, instructed, value
from benchmarks.summary import ratio

Measure = Callable[[Results], float | None]


class Target(NamedTuple):
    """One line of the table.

    Args:
        ours: reads the value from the results.
        peers: the same of the assembled stack, or of the peer that is named.
        is_floor: the value has to be as high as the bounds, else as low.
    """

    text: str
    ours: Measure
    peers: Measure | None
    must: float
    want: float | None = None
    is_floor: bool = False
    unit: str = ""


def verdict(target: Target, got: float | None) -> str:
    """Return what became of a target."""
    if got is None:
        return "not measured"
    if target.want is not None and _holds(target, got, target.want):
        return "as wanted"
    return "held" if _holds(target, got, target.must) else "missed"


def _holds(target: Target, got: float, bound: float) -> bool:
    return got >= bound if target.is_floor else got <= bound


def _over(variant: str, to: str, framework: str, **where: Any) -> Measure:
    def read(results: Results) -> float | None:
        return ratio(
            added(results, framework, variant, **where),
            added(results, framework, to, **where),
        )

    return read


def _pair(
    text: str, framework: str, peer: str, must: float, want: float, *, percent: int = 10, **where: str
) -> Target:
    ours, assembled = f"ours-{percent}", f"assembled-{percent}"
    return Target(
        text, _over(ours, peer, framework, **where), _over(assembled, peer, framework, **where), must, want
    )


def _served(variant: str, key: str, to: str, results: Results) -> float | None:
    quotients = value(results, "server", to, framework="fastapi", variant=variant)
    return None if quotients is None else float(quotients[key])


def _server(text: str, key: str, must: float, want: float, *, to: str = "to_bare") -> Target:
    ours, assembled = (partial(_served, variant, key, to) for variant in ("ours-10", "assembled-10"))
    return Target(text, ours, assembled, must, want, is_floor=key == "rps")


def _flat(variant: str, results: Results) -> float | None:
    return ratio(instructed(results, "fastapi", variant, routes=200), instructed(results, "fastapi", variant))


def _more_series(variant: str, results: Results) -> float | None:
    after, before = (
        value(results, "series", key, framework="flask", variant=variant) for key in ("after", "before")
    )
    return None if after is None else float(after - before)


def _page(fill: str, results: Results) -> float | None:
    ours, theirs = (value(results, "pages", whose, fill=fill, gzip=False) for whose in ("ours", "theirs"))
    return None if ours is None else ratio(theirs["ms"], ours["ms"])


def _stall(variant: str, fill: str, results: Results) -> float | None:
    longest: float | None = value(results, "stalls", "longest_ms", variant=variant, fill=fill)
    return longest


def _disturbed(variant: str, fill: str, results: Results) -> float | None:
    scraped, quiet = (
        value(results, "scraped", when, variant=variant, fill=fill) for when in ("scraped", "quiet")
    )
    return None if scraped is None else ratio(scraped["p99_ms"], quiet["p99_ms"])


def _collections(variant: str, results: Results) -> float | None:
    counts = value(results, "garbage", "collections", framework="fastapi", variant=variant)
    return None if counts is None else float(counts[0])


AGAINST = tuple(
    Target(
        f"{label}, all on, {percent} %: overhead ÷ before",
        _over(f"ours-{percent}", f"before-{percent}", framework, kind=kind),
        None,
        1.4,
    )
    for framework, label, kind in (
        ("fastapi", "FastAPI", "item"),
        ("starlette", "Starlette", "item"),
        ("flask", "Flask", "item"),
        ("django-wsgi", "Django WSGI", "item"),
        ("django-asgi", "Django ASGI", "item"),
        ("fastapi", "FastAPI, stream of 100 chunks", "stream"),
    )
    for percent in (10, 100)
)
TARGETS = (
    *AGAINST,
    _pair("FastAPI, all on, 10 %: ÷ instrumentator alone", "fastapi", "instrumentator", 0.45, 0.28),
    _pair("Starlette: ÷ instrumentator alone", "starlette", "instrumentator", 0.5, 0.34),
    _pair("Flask: ÷ prometheus-flask-exporter alone", "flask", "flask-exporter", 0.7, 0.45),
    _pair("Django WSGI: ÷ django-prometheus alone", "django-wsgi", "django-prometheus", 0.4, 0.25),
    _pair(
        "Django ASGI, async view: ÷ django-prometheus alone", "django-asgi", "django-prometheus", 0.08, 0.04
    ),
    _pair(
        "FastAPI, stream of 100 chunks: ÷ instrumentator alone",
        "fastapi",
        "instrumentator",
        0.8,
        0.5,
        kind="stream",
    ),
    _pair(
        "FastAPI, all on, 100 %: ÷ FastAPI's own telemetry, 100 %",
        "fastapi",
        "native-100",
        0.75,
        0.45,
        percent=100,
    ),
    Target(
        "FastAPI, all on, 10 %: instructions with 200 routes ÷ with 1 route; peer: request ID",
        partial(_flat, "ours-10"),
        partial(_flat, "request-id"),
        1.05,
    ),
    Target(
        "FastAPI with 200 routes: time ÷ a request ID middleware's there",
        _over("ours-10", "request-id", "fastapi", routes=200),
        _over("assembled-10", "request-id", "fastapi", routes=200),
        1.6,
    ),
    _server("uvicorn + FastAPI: requests/s ÷ bare without access log", "rps", 0.8, 0.87),
    _server(
        "the same ÷ bare with uvicorn's access log, which ours replaces", "rps", 1.0, 1.15, to="to_logged"
    ),
    _server("the same, p99 ÷ bare without access log", "p99_ms", 1.5, 1.2),
    Target(
        "Flask, memory over the bare app after the requests",
        partial(grown, framework="flask", variant="ours-10"),
        partial(grown, framework="flask", variant="assembled-10"),
        8,
        5,
        unit=" MB",
    ),
    Target(
        "the same, without the SDK",
        partial(grown, framework="flask", variant="ours-no-sdk"),
        None,
        4,
        2.5,
        unit=" MB",
    ),
    Target(
        "Flask, series that unknown paths and methods add",
        partial(_more_series, "ours-10"),
        partial(_more_series, "assembled-10"),
        0,
        0,
    ),
    Target(
        "page of our metrics: generate_latest's time ÷ ours", partial(_page, "ours"), None, 10, is_floor=True
    ),
    Target(
        "page of a user's histograms: generate_latest's time ÷ ours",
        partial(_page, "user"),
        None,
        10,
        is_floor=True,
    ),
    Target(
        "page of a user's counters, gauges and summaries: generate_latest's time ÷ ours",
        partial(_page, "counters"),
        None,
        10,
        is_floor=True,
    ),
    Target(
        "longest stall of the event loop while scraped; peer: prometheus_client.make_asgi_app",
        partial(_stall, "ours-metrics", "ours-same-size"),
        partial(_stall, "exposed", "user"),
        5,
        unit=" ms",
    ),
    Target(
        "p99 while scraped back to back ÷ quiet; peer: prometheus_client.make_asgi_app",
        partial(_disturbed, "ours-metrics", "ours-same-size"),
        partial(_disturbed, "exposed", "user"),
        1.3,
    ),
    Target(
        "FastAPI, all on, 0 %: collections of generation 0 in 10 000 requests; peer: OpenTelemetry, 100 %",
        partial(_collections, "ours-0"),
        partial(_collections, "otel-100"),
        0,
        0,
    ),
)
