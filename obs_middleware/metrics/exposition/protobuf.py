"""Metrics as messages of protobuf, each behind its length: what a page is for a scraper that wants native histograms.

The messages are those of `io.prometheus.client`:
https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto

A family without samples has no message. Times at which series were created are fields, and no series of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from struct import Struct
from typing import Any

from prometheus_client.metrics_core import Metric

from obs_middleware.metrics.native_histogram import SCHEMA, ZERO_THRESHOLD, Native
from obs_middleware.protobuf import field_of, number_field, start_of, text_field, varint

_COUNTER, _GAUGE, _SUMMARY, _UNTYPED, _HISTOGRAM, _GAUGE_HISTOGRAM = range(6)
_TYPES = {
    "counter": _COUNTER,
    "gauge": _GAUGE,
    "summary": _SUMMARY,
    "histogram": _HISTOGRAM,
    "gaugehistogram": _GAUGE_HISTOGRAM,
    "info": _GAUGE,
    "stateset": _GAUGE,
}
_TAGS = {_COUNTER: 0x1A, _GAUGE: 0x12, _UNTYPED: 0x2A}  # of what has one value
_SUMMARY_TAG, _HISTOGRAM_TAG = 0x22, 0x3A
_SUFFIXES = {"counter": "_total", "info": "_info"}  # of the sample that has the value
_OF_DISTRIBUTIONS = ("_count", "_sum", "_gcount", "_gsum")
_SOME = 50  # samples that are encoded before the page may pause

_double = Struct("<Bd").pack
_not_in_names = re.compile(r"^[0-9]|[^a-zA-Z0-9_:]").sub
_not_in_labels = re.compile(r"^[0-9]|[^a-zA-Z0-9_]").sub

Exemplar = Any  # labels, value, seconds since 1970 or None


class Names:
    """Write names.

    Args:
        has_any: a name may hold any characters; or else what Prometheus did not take before becomes `_`.

    Attributes:
        series: for how many series labels were written.
    """

    def __init__(self, *, has_any: bool) -> None:
        self._has_any = has_any
        self.series = 0

    def metric(self, name: str) -> str:
        """Return the name of a metric."""
        return name if self._has_any else _not_in_names("_", name)

    def labels(self, labels: Mapping[str, str]) -> bytes:
        """Return labels as fields, sorted by name."""
        self.series += 1
        return b"".join(
            field_of(0x0A, text_field(0x0A, self._label(name)) + text_field(0x12, value))
            for name, value in sorted(labels.items())
        )

    def _label(self, name: str) -> str:
        return name if self._has_any else _not_in_labels("_", name)


class Message:
    """The message of one family, to which metrics are added."""

    def __init__(self, name: str, family: Metric, kind: int) -> None:
        self._head = (
            text_field(0x0A, name) + text_field(0x12, family.documentation) + number_field(0x18, kind)
        )
        self._unit = text_field(0x2A, family.unit) if family.unit else b""
        self._metrics: list[bytes] = []

    def add(self, labels: bytes, tag: int, content: bytes, timestamp: Any = None) -> None:
        """Add a metric, whose value is a field with this tag."""
        late = b"" if timestamp is None else number_field(0x30, int(float(timestamp) * 1000) & _MASK)
        self._metrics.append(field_of(0x22, labels + field_of(tag, content) + late))

    def whole(self) -> bytes:
        """Return the message behind its length; nothing, if it has no metrics."""
        if not self._metrics:
            return b""
        content = b"".join((self._head, *self._metrics, self._unit))
        return varint(len(content)) + content


_MASK = (1 << 64) - 1  # how protobuf writes numbers below 0


def messages(family: Metric, names: Names) -> Iterator[bytes]:
    """Yield a family of prometheus-client's; now and then nothing, where the page may pause."""
    if family.type in ("histogram", "gaugehistogram", "summary"):
        return _distributions(family, names)
    return _values(family, names)


def histogram(
    buckets: Iterable[tuple[float, float, Exemplar]], count: float, total: float | None, native: Native | None
) -> bytes:
    """Return the content of a histogram.

    Args:
        buckets: the upper bound of each, how many are in it and those before it, and its exemplar.
        total: the sum of what was measured, if it is known.
    """
    parts = [_count(0x08, 0x21, count), b"" if total is None else _double(0x11, total)]
    for bound, number, exemplar in buckets:
        content = _count(0x08, 0x21, number) + _double(0x11, bound) + _exemplar(0x1A, exemplar)
        parts.append(field_of(0x1A, content))
    if native is not None:
        parts += _native(native)
    return b"".join(parts)


def histograms(
    family: Metric, names: Names, series: Iterable[tuple[Mapping[str, str], bytes]]
) -> Iterator[bytes]:
    """Yield a family of histograms, of which the labels and the content of each series are given."""
    message = Message(names.metric(family.name), family, _HISTOGRAM)
    for labels, content in series:
        message.add(names.labels(labels), _HISTOGRAM_TAG, content)
        yield b""
    yield message.whole()


def _native(native: Native) -> Iterator[bytes]:
    yield number_field(0x28, _zigzag(SCHEMA)) + _double(0x31, ZERO_THRESHOLD)
    yield number_field(0x38, native.zero_count)
    for offset, length in native.spans:
        yield field_of(0x62, number_field(0x08, _zigzag(offset)) + number_field(0x10, length))
    deltas = b"".join([varint(_zigzag(delta)) for delta in native.deltas])
    yield start_of(0x6A, len(deltas)) + deltas


def _values(family: Metric, names: Names) -> Iterator[bytes]:
    """Yield a family whose samples are metrics of one value each."""
    expected = family.name + _SUFFIXES.get(family.type, "")
    created = _created(family) if family.type == "counter" else {}
    found: dict[str, Message] = {}
    for number, sample in enumerate(family.samples):
        if created and sample.name == f"{family.name}_created":
            continue
        kind = _TYPES.get(family.type, _UNTYPED) if sample.name == expected else _UNTYPED
        if sample.name not in found:
            found[sample.name] = Message(names.metric(sample.name), family, kind)
        content = _double(0x09, sample.value)
        if kind == _COUNTER:
            content += _exemplar(0x12, sample.exemplar) + _time(0x1A, created.get(_key(sample.labels)))
        found[sample.name].add(names.labels(sample.labels), _TAGS[kind], content, sample.timestamp)
        if number % _SOME == 0:
            yield b""
    for message in found.values():
        yield message.whole()


class _Distribution:
    """A histogram or a summary, whose numbers come in samples of their own."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.buckets: list[tuple[float, float, Exemplar]] = []  # of a summary the quantiles
        self.count = 0.0
        self.total: float | None = None
        self.timestamp: Any = None

    def add(self, sample: Any, suffix: str, own_label: str) -> None:
        """Take in a sample."""
        self.timestamp = sample.timestamp
        if own_label in sample.labels:
            self.buckets.append((float(sample.labels[own_label]), sample.value, sample.exemplar))
        elif suffix.endswith("count"):
            self.count = sample.value
        else:
            self.total = sample.value


def _distributions(family: Metric, names: Names) -> Iterator[bytes]:
    """Yield a family of histograms or summaries."""
    kind, created = _TYPES[family.type], _created(family)
    own_label = "quantile" if kind == _SUMMARY else "le"
    found: dict[Any, _Distribution] = {}
    others = Metric(family.name, family.documentation, "unknown", family.unit)
    for number, sample in enumerate(family.samples):
        suffix = sample.name.removeprefix(family.name)
        if suffix in _OF_DISTRIBUTIONS or own_label in sample.labels:
            labels = {name: value for name, value in sample.labels.items() if name != own_label}
            found.setdefault(_key(labels), _Distribution(labels)).add(sample, suffix, own_label)
        elif suffix != "_created":
            others.samples.append(sample)
        if number % _SOME == 0:
            yield b""
    message = Message(names.metric(family.name), family, kind)
    tag, created_tag, spell = (
        (_SUMMARY_TAG, 0x22, _summary) if kind == _SUMMARY else (_HISTOGRAM_TAG, 0x7A, _histogram)
    )
    for number, (key, one) in enumerate(found.items()):
        content = spell(one) + _time(created_tag, created.get(key))
        message.add(names.labels(one.labels), tag, content, one.timestamp)
        if number % _SOME == 0:
            yield b""
    yield message.whole()
    yield from _values(others, names)


def _histogram(one: _Distribution) -> bytes:
    count = one.count or max(
        (number for _, number, _ in one.buckets), default=0.0
    )  # bounds below 0: no `_count`
    return histogram(one.buckets, count, one.total, None)


def _summary(one: _Distribution) -> bytes:
    parts = [number_field(0x08, int(one.count)), _double(0x11, one.total or 0.0)]
    parts += [field_of(0x1A, _double(0x09, rank) + _double(0x11, value)) for rank, value, _ in one.buckets]
    return b"".join(parts)


def _created(family: Metric) -> dict[Any, float]:
    name = f"{family.name}_created"
    return {_key(sample.labels): sample.value for sample in family.samples if sample.name == name}


def _key(labels: Mapping[str, str]) -> Any:
    return tuple(sorted(labels.items()))


def _count(tag: int, float_tag: int, number: float) -> bytes:
    """Return a count; collectors may have some that are no whole numbers."""
    is_whole = 0 <= number <= _MASK and number == int(number)
    return number_field(tag, int(number)) if is_whole else _double(float_tag, number)


def _exemplar(tag: int, exemplar: Exemplar) -> bytes:
    if exemplar is None:
        return b""
    labels, value, seconds = exemplar
    return field_of(tag, _exact.labels(labels) + _double(0x11, value) + _time(0x1A, seconds))


def _time(tag: int, seconds: Any) -> bytes:
    if seconds is None:
        return b""
    whole, rest = divmod(float(seconds), 1)
    return field_of(tag, number_field(0x08, int(whole) & _MASK) + number_field(0x10, int(rest * 1e9)))


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


_exact = Names(has_any=True)
