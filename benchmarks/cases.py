"""Which rows there are: framework, routes, kind of response, exporter, variant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from benchmarks.apps import names
from benchmarks.earlier import PREFIX
from benchmarks.variants import METRICS_PEERS, VARIANTS


class Case(NamedTuple):
    """One row."""

    framework: str
    routes: int
    kind: str  # item: a small JSON answer · stream: 100 chunks
    exporter: str  # drop: spans end in the batch processor · otlp: they are encoded and sent to a sink
    variant: str


_ELSEWHERE = ("exposed", "ours-no-sdk")  # rows of other tables
_SCALED = {"no-op", "request-id", *METRICS_PEERS, "assembled-10", "ours-10"} - {"starlette-exporter"}
_MANY_ROUTES = ("fastapi", "asgi", "flask")  # in the short form
_SHORT = {
    "no-op",
    "request-id",
    *METRICS_PEERS,
    "line",
    "otel-10",
    "native-100",
    "assembled-10",
    "assembled-100",
    "ours-0",
    "ours-10",
    "ours-100",
    "before-10",
    "before-100",
    "ours-python-10",
}
_STREAMED = {
    "no-op",
    "request-id",
    "instrumentator",
    "assembled-10",
    "ours-10",
    "ours-100",
    "before-10",
    "before-100",
}
_SENT = {"native-100", "assembled-10", "assembled-100", "ours-10", "ours-100"}


def counted(frameworks: Iterable[str], *, is_full: bool, has_before: bool = False) -> Iterator[Case]:
    """Yield the rows whose instructions are counted: ours and the bare app, on FastAPI two peers as well.

    Args:
        is_full: what is sampled at 100 % and the request ID everywhere; else the former of FastAPI and Flask alone.
        has_before: an earlier commit too, see `earlier`.
    """
    for framework in frameworks:
        has = set(names(framework))
        wanted = ["bare", "ours-10", *(["before-10"] if has_before else [])]
        if is_full or (has_before and framework in ("fastapi", "flask")):
            wanted += ["ours-100", *(["before-100"] if has_before else [])]
        peers = ["request-id", "instrumentator"] if framework == "fastapi" or is_full else []
        for name in (*wanted, *(peer for peer in peers if peer in has)):
            yield Case(framework, 1, "item", "drop", name)
        if framework == "fastapi":
            yield from (
                Case(framework, 200, "item", "drop", name) for name in ("bare", "request-id", "ours-10")
            )
            yield from (Case(framework, 1, "stream", "drop", name) for name in wanted)


def cases(
    frameworks: Iterable[str], *, is_full: bool, variants: Iterable[str] = (), has_before: bool = False
) -> Iterator[Case]:
    """Yield all rows, those that are measured together next to each other.

    Args:
        is_full: every variant everywhere, 30 routes, and spans that are sent; else what the main tables need.
        variants: these alone.
        has_before: an earlier commit too, see `earlier`.
    """
    wanted = set(variants)
    for framework in frameworks:
        has = [name for name in names(framework)[1:] if name not in _ELSEWHERE]
        has = [name for name in has if has_before or not name.startswith(PREFIX)]
        chosen = [name for name in has if not wanted or name in wanted]

        def among(some: set[str], chosen: list[str] = chosen) -> list[str]:
            return [name for name in chosen if is_full or wanted or name in some]

        yield from (Case(framework, 1, "item", "drop", name) for name in among(_SHORT))
        for routes in (30, 200) if is_full else (200,) if wanted or framework in _MANY_ROUTES else ():
            yield from (Case(framework, routes, "item", "drop", name) for name in among(_SCALED))
        if framework == "fastapi":
            yield from (Case(framework, 1, "stream", "drop", name) for name in among(_STREAMED))
        if is_full or (wanted and framework == "fastapi"):
            sent = [name for name in among(_SENT) if VARIANTS[name].ratio > 0]
            yield from (Case(framework, 1, "item", "otlp", name) for name in sent)
