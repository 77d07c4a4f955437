"""The text of one metric: a template made once, which two calls into C fill in for each of its series.

A metric of our own that keeps its numbers itself is written so, without a Metric or a Sample of prometheus-client:

latency = HistogramText("latency_seconds", "Time taken.", ("route",), (0.1, 1.0))
yield latency.head(is_openmetrics)
yield latency.child(latency.labels(["/items/{i}"]), [3, 1, 0], 0.7)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any

import msgspec
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from obs_middleware.metrics.exposition.formats import OPENMETRICS, TEXT

BEFORE, AFTER = "\0", "\1"  # where a template takes the labels that sort before and after a line's own one

Exemplar = tuple[Mapping[str, str], float, Any]  # labels, value, seconds since 1970 or None
Line = tuple[str, str]  # the suffix of a sample's name, the label that the line alone has

as_in_go: Callable[[float], str] = floatToGoString  # 1e+06, +Inf
_EXPONENTS = [  # by the digits before the point; old releases of prometheus-client write another number of zeros
    as_in_go(10.0 ** (digits - 1)).removeprefix("1") for digits in range(17)
]
_in_json = msgspec.json.Encoder().encode
_is_name = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*").fullmatch


class HistogramText:
    """A histogram of ours.

    Args:
        label_names: names of the labels, which `le` is none of.
        bounds: upper bounds in rising order, without infinity.
    """

    def __init__(
        self, name: str, documentation: str, label_names: Sequence[str], bounds: Iterable[float]
    ) -> None:
        self._heads = heads(name, documentation, "histogram")
        self.labels = Labels(label_names)
        lines = [*bucket_lines((*bounds, float("inf"))), ("_count", ""), ("_sum", "")]
        self._template = template(name, lines, has_before=bool(label_names))

    def head(self, is_openmetrics: bool) -> str:
        """Return the lines before the first series."""
        return self._heads[is_openmetrics]

    def child(
        self,
        labels: str,
        counts: Iterable[float],
        total: float,
        exemplars: Iterable[Exemplar | None] | None = None,
    ) -> str:
        """Return the lines of one series.

        Args:
            labels: what `labels` has made of the label values.
            counts: measurements in each bucket, not added up, the one for infinity last.
            total: the sum of what was measured.
            exemplars: one for each bucket, or None for it; in OpenMetrics alone.
        """
        numbers: list[Any] = [*accumulate(counts)]
        numbers += numbers[-1], number(total)
        if exemplars is not None:
            add_exemplars(numbers, exemplars)
        return (self._template % tuple(numbers)).replace(BEFORE, labels)


class SeriesText:
    """A counter or a gauge of ours; a counter's name comes without `_total`."""

    def __init__(self, name: str, documentation: str, kind: str, label_names: Sequence[str]) -> None:
        self._heads = heads(name, documentation, kind)
        self.labels = Labels(label_names)
        lines = [("_total" if kind == "counter" else "", "")]
        self._template = template(name, lines, has_before=bool(label_names))

    def head(self, is_openmetrics: bool) -> str:
        """Return the lines before the first series."""
        return self._heads[is_openmetrics]

    def child(self, labels: str, value: float) -> str:
        """Return the line of one series."""
        return (self._template % number(value)).replace(BEFORE, labels)


class SummaryText:
    """A summary of ours, without quantiles."""

    def __init__(self, name: str, documentation: str, label_names: Sequence[str]) -> None:
        self._heads = heads(name, documentation, "summary")
        self.labels = Labels(label_names)
        self._template = template(name, [("_count", ""), ("_sum", "")], has_before=bool(label_names))

    def head(self, is_openmetrics: bool) -> str:
        """Return the lines before the first series."""
        return self._heads[is_openmetrics]

    def child(self, labels: str, count: float, total: float) -> str:
        """Return the lines of one series."""
        return (self._template % (number(count), number(total))).replace(BEFORE, labels)


def heads(name: str, documentation: str, kind: str) -> tuple[str, str]:
    """Return the lines before the first series of a family, in Prometheus' text and in OpenMetrics."""
    family = Metric(name, documentation, kind)
    return TEXT.text(family), OPENMETRICS.text(family)


class Labels:
    """Write the label sets of one metric, sorted by name as prometheus-client does.

    Args:
        names: all names, in the order of the values.
        is_taken: tells which of them are written.
    """

    def __init__(self, names: Sequence[str], is_taken: Callable[[str], bool] = bool) -> None:
        taken = sorted((name, place) for place, name in enumerate(names) if is_taken(name))
        self._template = ",".join(f'{name}="%s"' for name, _ in taken)
        places = [place for _, place in taken]
        self._pick: Callable[[Sequence[str]], object] = itemgetter(*places) if places else lambda _: ()

    def __call__(self, values: Sequence[str]) -> str:
        joined = "".join(values)
        if not joined.isprintable() or '"' in joined or "\\" in joined:
            values = [escaped(value) for value in values]
        return self._template % self._pick(values)


def need_no_quotes(*names: str) -> bool:
    """Tell whether names of metrics and labels are written as they are in every format."""
    return all(map(_is_name, names))


def template(name: str, lines: Iterable[Line], *, has_before: bool, has_after: bool = False) -> str:
    """Return a format of the lines, in which every value is a `%s`."""
    return "".join(
        f"{name}{suffix}{_braces(BEFORE * has_before, own, AFTER * has_after)} %s\n" for suffix, own in lines
    )


def bucket_lines(bounds: Iterable[float]) -> list[Line]:
    """Return the lines of a histogram's buckets, infinity included."""
    return [("_bucket", f'le="{as_in_go(bound)}"') for bound in bounds]


def _braces(*labels: str) -> str:
    text = ",".join(filter(None, labels))
    return f"{{{text}}}" if text else ""


def number(value: float) -> float | str:
    """Return what prints as Go writes a value; Python does not from a million on and at infinity."""
    return value if type(value) is float and -1e300 < value < 1e6 else as_in_go(value)


def numbers(values: Iterable[Any]) -> list[str]:
    """Return many values as Go writes them."""
    given = [*map(float, values)]
    json = _in_json(given).decode()  # much faster than repr
    texts = json[1:-1].split(",")
    pairs = zip(texts, given, strict=True)
    if "e" in json or "n" in json or "0.0000" in json:  # what Python spells otherwise
        return [text if 1e-4 <= value < 1e6 else str(number(value)) for text, value in pairs]
    if max(given) < 1e6:
        return texts
    return [text if value < 1e6 else _with_exponent(text) for text, value in pairs]


def _with_exponent(text: str) -> str:
    """Return what `as_in_go` does, faster."""
    whole, _, rest = text.partition(".")
    return f"{whole[0]}.{whole[1:]}{rest}".rstrip("0.") + _EXPONENTS[len(whole)]


def escaped(value: str) -> str:
    """Return a label value with what would end it escaped."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def add_exemplars(numbers: list[Any], exemplars: Iterable[Exemplar | None]) -> None:
    """Write exemplars behind the first of the numbers."""
    for place, exemplar in enumerate(exemplars):
        if exemplar is not None:
            labels, value, timestamp = exemplar
            end = "" if timestamp is None else f" {timestamp}"
            numbers[place] = f"{numbers[place]} # {{{_exemplar_labels(labels)}}} {number(value)}{end}"


def _exemplar_labels(labels: Mapping[str, str]) -> str:
    return ",".join(
        [f'{name}="{value if value.isalnum() else escaped(value)}"' for name, value in sorted(labels.items())]
    )
