"""Which metrics there are: the library's own, as `make families` has read them, and those that the caller names."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import msgspec

from obs_middleware.errors import ConfigError

# What Prometheus makes itself: https://prometheus.io/docs/concepts/jobs_instances/
_OF_PROMETHEUS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
    "ALERTS",
    "ALERTS_FOR_STATE",
)
_SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created", ""),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("", "_count", "_sum", "_created"),
    "info": ("_info",),
}


class Family(msgspec.Struct, frozen=True):
    """A metric.

    Attributes:
        type: as the page declares it; empty where it is not known.
        labels: those that it may have; None where they are not known.
    """

    type: str = ""
    labels: frozenset[str] | None = None

    @property
    def is_gauge(self) -> bool:
        """Tell whether it goes up and down."""
        return self.type == "gauge"


class Metrics:
    """All metrics that a query may use, by the names that stand in queries."""

    def __init__(self) -> None:
        self._by_name: dict[str, Family] = {}

    def add(self, family: str, kind: str = "", labels: Iterable[str] | None = None) -> None:
        """Add a family as its page declares it; labels of two pages are taken together."""
        own = None if labels is None else frozenset(labels)
        for suffix in _SUFFIXES.get(kind, ("",)):
            name = family + suffix
            before = self._by_name.get(name, Family())
            is_itself = suffix in ("", "_info")
            self._by_name[name] = Family(
                (kind if is_itself else "") or before.type, _merged(before.labels, own)
            )

    def get(self, name: str) -> Family | None:
        """Return the metric of a name; None where there is none."""
        return self._by_name.get(name)

    def near(self, name: str) -> list[str]:
        """Return the names that are most like one that is not there."""
        given = [one for one in self._by_name if ":" not in one]  # a rule's record may be the one that asks
        return difflib.get_close_matches(name, given, n=2, cutoff=0.75)


def own() -> Metrics:
    """Return the metrics of the library and of Prometheus itself."""
    metrics = Metrics()
    for name in _OF_PROMETHEUS:
        metrics.add(name)
    text = files("obs_middleware.cli.lint").joinpath("families.json").read_text(encoding="utf-8")
    for name, family in json.loads(text).items():
        metrics.add(name, family["type"], family["labels"])
    return metrics


def add_page(metrics: Metrics, text: str, *, source: str) -> None:
    """Add the metrics of a page.

    Raises:
        ConfigError: the page is none.
    """
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(text))
    except Exception as error:  # the parser raises more than it says
        raise ConfigError(f"{source} is no metrics page in Prometheus text: {error!r}") from None
    if not families:
        raise ConfigError(f"{source} has no metrics: give the URL or a copy of a metrics page")
    for family in families:
        labels = {name for sample in family.samples for name in sample.labels} - {"le", "quantile"}
        metrics.add(family.name, family.type, labels if family.samples else None)
        for sample in family.samples:  # a counter without _total is in no family's usual names
            if metrics.get(sample.name) is None:
                metrics.add(sample.name, "", labels)


def page_text(source: str, *, token: str | None) -> str:
    """Return a metrics page by its URL, its address such as `:8000`, or from a file.

    Raises:
        ConfigError: it can't be had.
    """
    if "://" not in source and not source.startswith(":"):
        try:
            return Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{source} can't be read: {error}") from None
    from obs_middleware.cli.doctor.address import parse
    from obs_middleware.cli.doctor.service import NoAnswer, Service
    from obs_middleware.cli.doctor.session import bearer

    address = parse(source)
    path = address.prefix or "/metrics"
    try:
        answer = Service(address._replace(prefix=""), timeout_seconds=10).get(path, bearer(token))
    except NoAnswer as error:
        raise ConfigError(f"{source}: {error}; is the app started?") from None
    if answer.status != 200:
        raise ConfigError(
            f"{source} answers {answer.status}: give the URL of the metrics page, and --token if it wants one"
        )
    return answer.body.decode(errors="replace")


def _merged(before: frozenset[str] | None, more: frozenset[str] | None) -> frozenset[str] | None:
    return more if before is None else before if more is None else before | more
