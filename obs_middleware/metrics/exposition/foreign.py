"""Families of collectors that are not ours, made such that every format and every exporter can write them.

A value or a label of the wrong type is found here, where it costs its collector. In the middle of a page it would cost
the page, or make a line that Prometheus refuses the whole page for.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from prometheus_client.metrics_core import Metric

from obs_middleware.encodable import encodable


def families_of(collector: Any) -> Iterator[Metric]:
    """Yield the families of a collector, with numbers as values and texts as labels.

    Raises:
        TypeError, ValueError: a family is none, a value is no number, or a label is no text.
    """
    for family in collector.collect():
        if not isinstance(family, Metric):
            raise TypeError(f"{collector!r} must yield families such as GaugeMetricFamily, got {family!r}")
        changed = copy.copy(family)
        changed.documentation = encodable(family.documentation)
        changed.samples = [_checked(sample) for sample in family.samples]
        yield changed


def _checked(sample: Any) -> Any:
    """Return a sample as it is, or with what every format can write."""
    labels: dict[str, str] = sample.labels
    for name, text in labels.items():
        if not isinstance(text, str):
            raise TypeError(f"the label {name!r} of {sample.name} must be a text, got {text!r}")
        if not text.isascii():
            labels = {**labels, name: encodable(text)}
        if not name or name == "__name__":
            raise ValueError(f"a label of {sample.name} must have a name of its own, got {name!r}")
    if labels is sample.labels and type(sample.value) is float:
        return sample
    return sample._replace(labels=labels, value=_number(sample))


def _number(sample: Any) -> float:
    try:
        return float(sample.value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"the value of {sample.name} must be a number, got {sample.value!r}") from None
