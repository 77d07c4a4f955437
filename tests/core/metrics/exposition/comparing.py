"""Our page and prometheus-client's page of one registry, and what a scraper reads in a page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from prometheus_client.core import (
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obs_middleware.metrics.exposition.page import MetricsPage

OPEN = "application/openmetrics-text; version=1.0.0"


PLAIN = "text/plain; version=1.0.0"


ESCAPING = [f"; escaping={scheme}" for scheme in ("allow-utf-8", "underscores", "dots", "values")]


ACCEPTS = [
    "",
    OPEN,
    *(OPEN + escaping for escaping in ESCAPING),
    *(PLAIN + escaping for escaping in ESCAPING),
]


ACCEPTS += ["application/openmetrics-text; version=2.0.0; escaping=allow-utf-8"]


HOSTILE = [
    "",
    '"',
    "\\",
    "\n",
    '\\"\n\\n',
    "é日本🎉",
    "\0",
    "\1",
    "\0\1%s",
    "%s",
    "%(a)s",
    "{}",
    "\t\r\x7f\u2028",
    " a ",
]


NUMBERS = [
    0.0,
    -0.0,
    1.0,
    -2.5,
    0.1,
    1e-7,
    1e5,
    999_999.5,
    1e6,
    1_234_567.0,
    1e15,
    1e16,
    1.5e300,
    -1e6,
    5e-324,
]


NUMBERS += [math.inf, -math.inf, math.nan]


def ours(registry: Any, accept: str = "") -> str:
    return MetricsPage(registry).render(accept=accept, accept_encoding="")[0].decode()


def theirs(registry: Any, accept: str = "") -> str:
    return choose_encoder(accept)[0](registry).decode()


def parsed(page: str) -> list[Metric]:
    return [*(parse_openmetrics if page.endswith("# EOF\n") else parse_text)(page)]


def meaning(page: str) -> list[Any]:
    """Return all that a scraper reads."""
    return [
        (family.name, family.type, family.documentation, family.unit, [*map(_sample, family.samples)])
        for family in parsed(page)
    ]


def _sample(sample: Any) -> tuple[Any, ...]:
    exemplar = sample.exemplar and (
        sample.exemplar.labels,
        sample.exemplar.value,
        str(sample.exemplar.timestamp),
    )
    return sample.name, sample.labels, repr(float(sample.value)), sample.timestamp, exemplar


def same(registry: Any, accepts: Iterable[str] = ACCEPTS) -> None:
    for accept in accepts:
        assert ours(registry, accept) == theirs(registry, accept)
