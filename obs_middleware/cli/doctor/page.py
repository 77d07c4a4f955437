"""The metrics page as it was at one moment: its samples, and the types and help that it declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Page:
    """A page that has been parsed.

    Args:
        is_openmetrics: by the strict parser of that format.

    Raises:
        ValueError: the page is not as the format wants it.
    """

    def __init__(self, text: str, *, is_openmetrics: bool = False) -> None:
        parse = openmetrics_families if is_openmetrics else text_families
        try:
            self.families: list[Metric] = list(parse(text))
        except Exception as error:  # the parsers raise more than they say
            raise ValueError(str(error) or type(error).__name__) from error
        self.declared = dict(_declared(text, "TYPE"))
        self.help = dict(_declared(text, "HELP"))

    def samples(self) -> Iterator[Sample]:
        """Yield all samples."""
        for family in self.families:
            yield from family.samples

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the values of the samples of a name by those of their labels."""
        return {
            tuple(sample.labels.values()): sample.value for sample in self.samples() if sample.name == name
        }

    def labels(self, name: str) -> dict[str, str]:
        """Return the labels of the first sample of a name; none where it is not there."""
        return next((dict(sample.labels) for sample in self.samples() if sample.name == name), {})

    def sizes(self) -> Counter[str]:
        """Return how many samples each family has, however many workers show them."""
        found = {
            (family.name, sample.name, frozenset({**sample.labels, "worker": ""}.items()))
            for family in self.families
            for sample in family.samples
        }
        return Counter(name for name, _, _ in found)

    def total(self, name: str) -> float:
        """Return the sum of the samples of a name."""
        return sum(self.values(name).values())


def _declared(text: str, keyword: str) -> Iterable[tuple[str, str]]:
    """Yield name and rest of the lines `# TYPE` or `# HELP`, as they are written."""
    for line in text.splitlines():
        if line.startswith(f"# {keyword} "):
            name, _, rest = line[len(keyword) + 3 :].partition(" ")
            yield name, rest
