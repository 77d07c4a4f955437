"""Read the metrics pages: the table of routes, and single values."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from example_apps.demo.processes import Running
from example_apps.demo.services import METRICS_TOKEN
from example_apps.demo.traffic import Hit

DURATION = "http_server_request_duration_seconds"


@dataclass(slots=True)
class Route:
    """What a metrics page says of one method and route."""

    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    buckets: Counter[float] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return sum(self.statuses.values())

    def quantile_seconds(self, quantile: float) -> float:
        """Estimate a quantile from the buckets, as PromQL's histogram_quantile does."""
        rank = quantile * self.count
        below_bound, below_count = 0.0, 0
        for bound, count in sorted(self.buckets.items()):
            if count >= rank:
                if bound == float("inf"):
                    break
                return below_bound + (bound - below_bound) * (rank - below_count) / max(
                    1, count - below_count
                )
            below_bound, below_count = bound, count
        return below_bound


def read(service: Running) -> str:
    return service.get(service.service.metrics_path, token=METRICS_TOKEN).raise_for_status().text


def read_all(services: Mapping[str, Running]) -> dict[str, str]:
    return {name: read(service) for name, service in services.items()}


def route(page: str, method: str, template: str) -> Route:
    return routes(page).get((method, template), Route())


def routes(page: str) -> dict[tuple[str, str], Route]:
    """Give the routes of a page by (method, route)."""
    found: dict[tuple[str, str], Route] = defaultdict(Route)
    for sample in _samples(page, DURATION):
        route = found[sample.labels["http_request_method"], sample.labels["http_route"]]
        if sample.name.endswith("_count"):
            route.statuses[sample.labels["http_response_status_code"]] += int(sample.value)
            if error := sample.labels["error_type"]:
                route.errors[error] += int(sample.value)
        elif sample.name.endswith("_bucket"):
            route.buckets[float(sample.labels["le"])] += int(sample.value)
    return dict(found)


def hits(pages: Mapping[str, str]) -> Counter[Hit]:
    """Give what the pages of the services say was served, as hits."""
    return Counter(
        {
            (service, method, template, status): count
            for service, page in pages.items()
            for (method, template), route in routes(page).items()
            for status, count in route.statuses.items()
        }
    )


def total(page: str, sample_name: str, **labels: str) -> float:
    """Sum the samples of one name whose labels include these."""
    return sum(
        sample.value for sample in _named(page, sample_name) if labels.items() <= sample.labels.items()
    )


def label_values(page: str, sample_name: str, label: str) -> set[str]:
    """Give the values that a label has on the samples of one name."""
    return {sample.labels[label] for sample in _named(page, sample_name) if label in sample.labels}


def _named(page: str, sample_name: str) -> Iterable[Sample]:
    families: Iterable[Metric] = text_string_to_metric_families(page)
    return (sample for family in families for sample in family.samples if sample.name == sample_name)


def _samples(page: str, name: str) -> Iterable[Sample]:
    families: Iterable[Metric] = text_string_to_metric_families(page)
    return (sample for family in families if family.name == name for sample in family.samples)
