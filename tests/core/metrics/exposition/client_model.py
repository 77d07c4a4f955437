"""The messages of io.prometheus.client as google's protobuf decodes them, and pages in them.

The descriptor says what metrics.proto of prometheus/client_model says, proto2, with the fields that a page may have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet

ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
CONTENT_TYPE = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; "
    "escaping=underscores"
)
# What Prometheus 3 sends where it scrapes native histograms.
OF_PROMETHEUS = (
    f"{ACCEPT};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)

_FIELDS = {
    "Timestamp": ("seconds int64 1", "nanos int32 2"),
    "LabelPair": ("name string 1", "value string 2"),
    "Exemplar": ("label LabelPair* 1", "value double 2", "timestamp Timestamp 3"),
    "Gauge": ("value double 1",),
    "Counter": ("value double 1", "exemplar Exemplar 2", "created_timestamp Timestamp 3"),
    "Quantile": ("quantile double 1", "value double 2"),
    "Summary": (
        "sample_count uint64 1",
        "sample_sum double 2",
        "quantile Quantile* 3",
        "created_timestamp Timestamp 4",
    ),
    "Untyped": ("value double 1",),
    "BucketSpan": ("offset sint32 1", "length uint32 2"),
    "Bucket": (
        "cumulative_count uint64 1",
        "upper_bound double 2",
        "exemplar Exemplar 3",
        "cumulative_count_float double 4",
    ),
    "Histogram": (
        "sample_count uint64 1",
        "sample_sum double 2",
        "bucket Bucket* 3",
        "sample_count_float double 4",
        "schema sint32 5",
        "zero_threshold double 6",
        "zero_count uint64 7",
        "positive_span BucketSpan* 12",
        "positive_delta sint64* 13",
        "created_timestamp Timestamp 15",
    ),
    "Metric": (
        "label LabelPair* 1",
        "gauge Gauge 2",
        "counter Counter 3",
        "summary Summary 4",
        "untyped Untyped 5",
        "timestamp_ms int64 6",
        "histogram Histogram 7",
    ),
    "MetricFamily": ("name string 1", "help string 2", "type int32 3", "metric Metric* 4", "unit string 5"),
}


def _family_class() -> Any:
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="client_model.proto", package="io.prometheus.client", syntax="proto2"
    )
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, kind, number in map(str.split, fields):
            label = "LABEL_REPEATED" if kind.endswith("*") else "LABEL_OPTIONAL"
            kind = kind.rstrip("*")
            added = message.field.add(name=field, number=int(number), label=getattr(field_type, label))
            if kind in _FIELDS:
                added.type, added.type_name = field_type.TYPE_MESSAGE, f".io.prometheus.client.{kind}"
            else:
                added.type = getattr(field_type, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("io.prometheus.client.MetricFamily"))


MetricFamily = _family_class()


def families(page: bytes) -> dict[str, Any]:
    """Return the families of a page by name, as google's protobuf decodes them; no name is there twice."""
    found: dict[str, Any] = {}
    at = 0
    while at < len(page):
        size = shift = 0
        while True:
            byte, at = page[at], at + 1
            size, shift = size | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        family = MetricFamily.FromString(page[at : at + size])
        assert len(page) >= at + size
        assert family.name not in found
        assert not _has_unknown(family)
        found[family.name], at = family, at + size
    return found


def _has_unknown(family: Any) -> bool:
    """Tell whether a message has a field that the descriptor does not know, at any depth."""
    inner = [
        value
        for field, content in family.ListFields()
        if field.message_type
        for value in (content if _is_repeated(content) else [content])
    ]
    return len(UnknownFieldSet(family)) > 0 or any(map(_has_unknown, inner))


def _is_repeated(content: Any) -> bool:
    return hasattr(content, "append")


def labels(metric: Any) -> dict[str, str]:
    """Return the labels of a metric, or of an exemplar."""
    return {pair.name: pair.value for pair in metric.label}


def samples(found: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield what Prometheus makes of families, but for native histograms: name, labels and value of each sample."""
    for name, family in found.items():
        for metric in family.metric:
            own = labels(metric)
            if family.type in (HISTOGRAM, GAUGE_HISTOGRAM):
                one = metric.histogram
                for bucket in one.bucket:
                    count = bucket.cumulative_count or bucket.cumulative_count_float
                    yield f"{name}_bucket", {**own, "le": str(bucket.upper_bound)}, count
                yield f"{name}_count", own, one.sample_count or one.sample_count_float
                if one.HasField("sample_sum"):
                    yield f"{name}_sum", own, one.sample_sum
            elif family.type == SUMMARY:
                for quantile in metric.summary.quantile:
                    yield name, {**own, "quantile": str(quantile.quantile)}, quantile.value
                yield f"{name}_count", own, metric.summary.sample_count
                yield f"{name}_sum", own, metric.summary.sample_sum
            else:
                kind = {COUNTER: "counter", GAUGE: "gauge", UNTYPED: "untyped"}[family.type]
                assert metric.HasField(kind)
                yield name, own, getattr(metric, kind).value


def native_buckets(histogram: Any) -> dict[int, int]:
    """Return the counts of a native histogram's buckets by index, those that are not empty."""
    found: dict[int, int] = {}
    index = count = 0
    deltas = iter(histogram.positive_delta)
    for span in histogram.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            found[index] = count
            index += 1
    assert not [*deltas]
    return found


def quantile(histogram: Any, rank: float) -> float:
    """Return a quantile as `histogram_quantile` of Prometheus 3 does: by exponential interpolation in a bucket."""
    left = rank * histogram.sample_count
    if left <= histogram.zero_count:
        return float(histogram.zero_threshold * left / histogram.zero_count)
    left -= histogram.zero_count
    for index, count in sorted(native_buckets(histogram).items()):
        if left <= count:
            return float(2 ** ((index - 1 + left / count) / 2**histogram.schema))
        left -= count
    raise AssertionError("there are fewer in the buckets than there should be")
