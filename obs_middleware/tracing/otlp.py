"""Spans in the bytes of OTLP, without the protobuf library: 3.4 MB less in memory, and a tenth of the time for a span.

The messages are those of opentelemetry-proto 1 (`trace_service.proto`, `trace.proto`, `resource.proto`, `common.proto`;
https://opentelemetry.io/docs/specs/otlp/), the bytes those of protobuf (https://protobuf.dev/programming-guides/encoding/):
a field is a tag, its number * 8 + its wire type, and then a varint, 4 or 8 bytes, or a length and so many bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any

from obs_middleware.tracing.batch import Packed, unpack

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, StatusCode

Spans = Sequence["Packed | ReadableSpan"]
_Attributes = Mapping[str, Any]
_Event = tuple[str, _Attributes, int | None, int]  # name, attributes, time, how many attributes were dropped

_MOST, _WORD = 2**63, 2**64
_LOCAL, _REMOTE = (
    b"\x00\x01\x00\x00",
    b"\x00\x03\x00\x00",
)  # `SpanFlags`, of the parent; no sampled bit, as the SDK has it
_fixed64 = Struct("<cQ").pack
_double = Struct("<cd").pack


class NoFormError(Exception):
    """A value has no form in OTLP."""


def encode(spans: Spans, on_error: Callable[[Exception], None]) -> bytearray:
    """Return an `ExportTraceServiceRequest` of the spans, grouped by resource and instrumentation scope.

    Args:
        on_error: called with the exception of each span that can't be encoded, and is left out.
    """
    heads: dict[int, bytes] = {}  # by identity: comparing resources takes as long as encoding a span
    groups: dict[bytes, dict[bytes, bytearray]] = {}
    for span in spans:
        try:
            if isinstance(span, Packed):
                content, resource, scope = _packed(span), span.resource, span.scope
            else:
                content, resource, scope = _readable(span), span.resource, span.instrumentation_scope
            of_resource = heads.get(id(resource)) or heads.setdefault(id(resource), _resource(resource))
            of_scope = heads.get(id(scope)) or heads.setdefault(id(scope), _scope(scope))
        except Exception as error:  # times before 1970 and the like
            on_error(error)
            continue
        written = groups.setdefault(of_resource, {}).setdefault(of_scope, bytearray())
        written += _start(0x12, len(content))
        written += content
    messages = [
        _around(0x0A, head, [_around(0x12, own, [written]) for own, written in scopes.items()])
        for head, scopes in groups.items()
    ]
    return _joined(messages) if messages else bytearray()


def rejected(answer: bytes) -> tuple[int, str]:
    """Return how many spans an `ExportTraceServiceResponse` says were rejected, and why.

    https://opentelemetry.io/docs/specs/otlp/#partial-success-1

    Raises:
        Exception: it is none.
    """
    count, reason = 0, ""
    for tag, partial_success in _fields(answer):
        if tag == 0x0A:
            for number, value in _fields(partial_success):
                if number == 0x08:
                    count = value
                elif number == 0x12:
                    reason = value.decode("utf-8", "replace")
    return count, reason


def _packed(span: Packed) -> bytes:
    return _span(
        span.trace_id,
        span.span_id,
        span.state,
        None if span.parent_flags is None else span.parent_id,
        span.is_parent_remote,
        span.name,
        span.kind,
        span.start,
        span.end,
        unpack(span.attributes),
        [(name, own, moment, 0) for name, own, moment in unpack(span.events)],
        span.code,
        span.description,
    )


def _readable(span: ReadableSpan) -> bytes:
    context: Any = span.context
    parent = span.parent
    return _span(
        context.trace_id,
        context.span_id,
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
    trace_id: int,
    span_id: int,
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
    own, without_form = _pairs(0x4A, attributes)
    status = (b"" if description is None else _text(0x12, description)) + _number(0x18, code.value)
    return b"".join(
        (
            b"\x0a\x10%b\x12\x08%b" % (trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big")),
            _text(0x1A, state.to_header()) if state else b"",
            b"" if parent_id is None else b"\x22\x08" + parent_id.to_bytes(8, "big"),
            _text(0x2A, name),
            b"\x30%c" % (kind.value + 1),  # 0 is SPAN_KIND_UNSPECIFIED
            _fixed64(b"\x39", start) if start else b"",
            _fixed64(b"\x41", end) if end else b"",
            own,
            _number(0x50, dropped_attributes + without_form),
            *[_field(0x5A, _event(*event)) for event in events],
            _number(0x60, dropped_events),
            *[_field(0x6A, link) for link in links],
            _number(0x70, dropped_links),
            _field(0x7A, status),
            b"\x85\x01%b" % (_REMOTE if is_parent_remote else _LOCAL),
        )
    )


def _event(name: str, attributes: _Attributes, moment: int | None, dropped: int) -> bytes:
    own, without_form = _pairs(0x1A, attributes)
    time = _fixed64(b"\x09", moment) if moment else b""
    return b"%b%b%b%b" % (time, _text(0x12, name), own, _number(0x20, dropped + without_form))


def _link(to: SpanContext, attributes: _Attributes, dropped: int) -> bytes:
    """Return the content of a `Span.Link`; without its trace state, as the SDK's exporter has it."""
    own, without_form = _pairs(0x22, attributes)
    ids = b"\x0a\x10%b\x12\x08%b" % (to.trace_id.to_bytes(16, "big"), to.span_id.to_bytes(8, "big"))
    flags = _REMOTE if to.is_remote else _LOCAL
    return b"%b%b%b\x35%b" % (ids, own, _number(0x28, dropped + without_form), flags)


def _resource(resource: Resource) -> bytes:
    """Return what a `ResourceSpans` begins with."""
    own, without_form = _pairs(0x0A, resource.attributes)
    return _field(0x0A, own + _number(0x10, without_form)) + _text(0x1A, resource.schema_url)


def _scope(scope: InstrumentationScope | None) -> bytes:
    """Return what a `ScopeSpans` begins with."""
    if scope is None:
        return _field(0x0A, b"")
    own, without_form = _pairs(0x1A, scope.attributes or {})
    version = _text(0x12, scope.version) if scope.version else b""
    named = b"%b%b%b%b" % (_text(0x0A, scope.name), version, own, _number(0x20, without_form))
    return _field(0x0A, named) + (_text(0x1A, scope.schema_url) if scope.schema_url else b"")


def _pairs(tag: int, attributes: _Attributes) -> tuple[bytes, int]:
    """Return a `KeyValue` for each attribute, and how many have no form and are left out."""
    pairs, without_form = [], 0
    for key, value in attributes.items():
        try:
            pairs.append(_pair(tag, key, value))
        except NoFormError:
            without_form += 1
    return b"".join(pairs), without_form


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
    return _field(tag, _field(0x0A, name) + _field(0x12, _value(value)))


def _value(value: Any) -> bytes:
    """Return the content of an `AnyValue`."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"\x10%c" % value
    if isinstance(value, str):
        return _text(0x0A, value)
    if isinstance(value, int):
        if not -_MOST <= value < _MOST:
            raise NoFormError
        return b"\x18" + _varint(value % _WORD)
    if isinstance(value, float):
        return _double(b"\x21", value)
    if isinstance(value, bytes):
        return _field(0x3A, value)
    if isinstance(value, Sequence):
        return _field(0x2A, b"".join([_field(0x0A, _value(one)) for one in value]))
    if isinstance(value, Mapping):
        return _field(0x32, b"".join([_pair(0x0A, str(key), one) for key, one in value.items()]))
    raise NoFormError


def _text(tag: int, text: str) -> bytes:
    return _field(tag, text.encode("utf-8", "replace"))


def _number(tag: int, number: int) -> bytes:
    """Return a field that is left out for 0, as proto3 has it."""
    return b"%c%b" % (tag, _varint(number)) if number else b""


def _field(tag: int, content: bytes) -> bytes:
    size = len(content)
    return b"%c%c%b" % (tag, size, content) if size < 0x80 else _start(tag, size) + content


def _around(tag: int, head: bytes, contents: list[bytearray]) -> bytearray:
    """Return a message that begins with `head`."""
    message = _joined(contents)
    message[:0] = head
    message[:0] = _start(tag, len(message))
    return message


def _joined(contents: list[bytearray]) -> bytearray:
    """Return the contents in the first of them: a copy for each message around them would be 1 MB for a batch."""
    first, *others = contents
    for more in others:
        first += more
    return first


def _start(tag: int, size: int) -> bytes:
    return b"%c%b" % (tag, _varint(size))


def _varint(number: int) -> bytes:
    """Return the number in groups of seven bits, the lowest first, all but the last with the high bit set."""
    if number < 0x4000:  # ports, statuses, the length of a span: 0.15 µs for 0.35
        return b"%c%c" % (number & 0x7F | 0x80, number >> 7) if number >= 0x80 else b"%c" % number
    groups = bytearray()
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the tag and the value, an int or bytes, of each field of a message."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        value: Any
        if tag & 7 == 0:
            value, at = _read_varint(message, at)
        else:
            size, at = _read_varint(message, at) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], at)
            value, at = message[at : at + size], at + size
        yield tag, value


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return number, at
