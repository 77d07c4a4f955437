"""Spans in the bytes of OTLP, without the protobuf library: 3.4 MB less in memory, a quarter of the time for a span.

The messages are those of opentelemetry-proto 1 (`trace_service.proto`, `trace.proto`, `resource.proto`, `common.proto`;
https://opentelemetry.io/docs/specs/otlp/), the bytes those of `protobuf.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any

from obs_middleware.protobuf import (
    around,
    field_of,
    fields_of,
    joined,
    number_field,
    start_of,
    text_field,
    varint,
)
from obs_middleware.tracing.packed_span import PackedSpan, unpack

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, StatusCode

Spans = Sequence["PackedSpan | ReadableSpan"]
_Attributes = Mapping[str, Any]
_Event = tuple[str, _Attributes, int | None, int]  # name, attributes, time, how many attributes were dropped

_MOST, _WORD = 2**63, 2**64
_LOCAL, _REMOTE = (
    b"\x00\x01\x00\x00",
    b"\x00\x03\x00\x00",
)  # `SpanFlags`, of the parent; no sampled bit, as the SDK has it
_fixed64 = Struct("<cQ").pack
_double = Struct("<cd").pack


class UnsupportedValueError(Exception):
    """OTLP can't carry a value."""


def encode(spans: Spans, on_error: Callable[[Exception], None]) -> bytearray:
    """Return an `ExportTraceServiceRequest` of the spans, grouped by resource and instrumentation scope.

    Args:
        on_error: called with the exception of each span that can't be encoded, and is left out.
    """
    heads: dict[int, bytes] = {}  # by identity: comparing resources takes as long as encoding a span
    groups: dict[bytes, dict[bytes, bytearray]] = {}
    for span in spans:
        try:
            if isinstance(span, PackedSpan):
                content, resource, scope = _packed(span), span.resource, span.scope
            else:
                content, resource, scope = _readable(span), span.resource, span.instrumentation_scope
            of_resource = heads.get(id(resource)) or heads.setdefault(id(resource), _resource(resource))
            of_scope = heads.get(id(scope)) or heads.setdefault(id(scope), _scope(scope))
        except Exception as error:  # times before 1970 and the like
            on_error(error)
            continue
        written = groups.setdefault(of_resource, {}).setdefault(of_scope, bytearray())
        written += start_of(0x12, len(content))
        written += content
    messages = [
        around(0x0A, head, [around(0x12, scope_head, [written]) for scope_head, written in scopes.items()])
        for head, scopes in groups.items()
    ]
    return joined(messages) if messages else bytearray()


def rejected(answer: bytes) -> tuple[int, str]:
    """Return how many spans an `ExportTraceServiceResponse` says were rejected, and why.

    https://opentelemetry.io/docs/specs/otlp/#partial-success-1

    Raises:
        Exception: it is none.
    """
    count, reason = 0, ""
    for tag, partial_success in fields_of(answer):
        if tag == 0x0A:
            for number, value in fields_of(partial_success):
                if number == 0x08:
                    count = value
                elif number == 0x12:
                    reason = value.decode("utf-8", "replace")
    return count, reason


def _packed(span: PackedSpan) -> bytes:
    return _span(
        bytes.fromhex(span.ids),
        span.state,
        None if span.parent_flags is None else span.parent_id,
        span.is_parent_remote,
        span.name,
        span.kind,
        span.start,
        span.end,
        span.all_attributes(),
        [(name, attributes, moment, 0) for name, attributes, moment in unpack(span.events)],
        span.code,
        span.description,
    )


def _readable(span: ReadableSpan) -> bytes:
    context: Any = span.context
    parent = span.parent
    return _span(
        context.trace_id.to_bytes(16, "big") + context.span_id.to_bytes(8, "big"),
        context.trace_state,
        None if parent is None else parent.span_id,
        parent is not None and parent.is_remote,
        span.name,
        span.kind,
        span.start_time,
        span.end_time,
        span.attributes or {},
        [
            (event.name, event.attributes or {}, event.timestamp, event.dropped_attributes)
            for event in span.events
        ],
        span.status.status_code,
        span.status.description,
        [_link(link.context, link.attributes or {}, link.dropped_attributes) for link in span.links],
        span.dropped_attributes,
        span.dropped_events,
        span.dropped_links,
    )


def _span(
    ids: bytes,
    state: Any,
    parent_id: int | None,
    is_parent_remote: bool,
    name: str,
    kind: SpanKind,
    start: int | None,
    end: int | None,
    attributes: _Attributes,
    events: Iterable[_Event],
    code: StatusCode,
    description: str | None,
    links: Iterable[bytes] = (),
    dropped_attributes: int = 0,
    dropped_events: int = 0,
    dropped_links: int = 0,
) -> bytes:
    """Return the content of a `Span`."""
    pairs, unsupported = _pairs(0x4A, attributes)
    status = (b"" if description is None else text_field(0x12, description)) + number_field(0x18, code.value)
    return b"".join(
        (
            b"\x0a\x10%b\x12\x08%b" % (ids[:16], ids[16:]),
            text_field(0x1A, state.to_header()) if state else b"",
            b"" if parent_id is None else b"\x22\x08" + parent_id.to_bytes(8, "big"),
            text_field(0x2A, name),
            b"\x30%c" % (kind.value + 1),  # 0 is SPAN_KIND_UNSPECIFIED
            _fixed64(b"\x39", start) if start else b"",
            _fixed64(b"\x41", end) if end else b"",
            pairs,
            number_field(0x50, dropped_attributes + unsupported),
            *[field_of(0x5A, _event(*event)) for event in events],
            number_field(0x60, dropped_events),
            *[field_of(0x6A, link) for link in links],
            number_field(0x70, dropped_links),
            field_of(0x7A, status),
            b"\x85\x01%b" % (_REMOTE if is_parent_remote else _LOCAL),
        )
    )


def _event(name: str, attributes: _Attributes, moment: int | None, dropped: int) -> bytes:
    pairs, unsupported = _pairs(0x1A, attributes)
    time = _fixed64(b"\x09", moment) if moment else b""
    return b"%b%b%b%b" % (time, text_field(0x12, name), pairs, number_field(0x20, dropped + unsupported))


def _link(to: SpanContext, attributes: _Attributes, dropped: int) -> bytes:
    """Return the content of a `Span.Link`; without its trace state, as the SDK's exporter has it."""
    pairs, unsupported = _pairs(0x22, attributes)
    ids = b"\x0a\x10%b\x12\x08%b" % (to.trace_id.to_bytes(16, "big"), to.span_id.to_bytes(8, "big"))
    flags = _REMOTE if to.is_remote else _LOCAL
    return b"%b%b%b\x35%b" % (ids, pairs, number_field(0x28, dropped + unsupported), flags)


def _resource(resource: Resource) -> bytes:
    """Return what a `ResourceSpans` begins with."""
    pairs, unsupported = _pairs(0x0A, resource.attributes)
    return field_of(0x0A, pairs + number_field(0x10, unsupported)) + text_field(0x1A, resource.schema_url)


def _scope(scope: InstrumentationScope | None) -> bytes:
    """Return what a `ScopeSpans` begins with."""
    if scope is None:
        return field_of(0x0A, b"")
    pairs, unsupported = _pairs(0x1A, scope.attributes or {})
    version = text_field(0x12, scope.version) if scope.version else b""
    named = b"%b%b%b%b" % (text_field(0x0A, scope.name), version, pairs, number_field(0x20, unsupported))
    return field_of(0x0A, named) + (text_field(0x1A, scope.schema_url) if scope.schema_url else b"")


def _pairs(tag: int, attributes: _Attributes) -> tuple[bytes, int]:
    """Return a `KeyValue` for each attribute, and how many OTLP can't carry, which are left out."""
    pairs, unsupported = [], 0
    for key, value in attributes.items():
        try:
            pairs.append(_pair(tag, key, value))
        except UnsupportedValueError:
            unsupported += 1
    return b"".join(pairs), unsupported


def _pair(tag: int, key: str, value: Any) -> bytes:
    name = key.encode("utf-8", "replace")
    if type(value) is str:  # most are, and short: at once (0.5 µs for 1.4)
        text = value.encode("utf-8", "replace")
        length, size = len(name), len(text)
        if length + size + 6 < 0x80:
            return b"%c%c\x0a%c%b\x12%c\x0a%c%b" % (
                tag,
                length + size + 6,
                length,
                name,
                size + 2,
                size,
                text,
            )
    return field_of(tag, field_of(0x0A, name) + field_of(0x12, _value(value)))


def _value(value: Any) -> bytes:
    """Return the content of an `AnyValue`."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"\x10%c" % value
    if isinstance(value, str):
        return text_field(0x0A, value)
    if isinstance(value, int):
        if not -_MOST <= value < _MOST:
            raise UnsupportedValueError
        return b"\x18" + varint(value % _WORD)
    if isinstance(value, float):
        return _double(b"\x21", value)
    if isinstance(value, bytes):
        return field_of(0x3A, value)
    if isinstance(value, Sequence):
        return field_of(0x2A, b"".join([field_of(0x0A, _value(one)) for one in value]))
    if isinstance(value, Mapping):
        return field_of(0x32, b"".join([_pair(0x0A, str(key), one) for key, one in value.items()]))
    raise UnsupportedValueError
