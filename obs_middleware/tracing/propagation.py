"""W3C Trace Context, level 2, read strictly; what calls made from a request carry on.

https://www.w3.org/TR/trace-context-2/. The stock propagator is laxer: it takes the first of two traceparent
headers. For a repeated key it drops the whole tracestate, and it has the keys of level 1 only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, ValuesView
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from obs_middleware.exchange import current_exchange
from obs_middleware.settings import otel

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator

PROPAGATE = "opentelemetry.propagate"  # the module that has the global propagator
SENTRY_TRACE = "sentry-trace"
Header = Callable[[str], str | None]

_SENT_AT_LEAST = 512  # section 3.3.1.5
_LONG_MEMBER = 128
_MOST_MEMBERS = 32
_W3C_FIELDS = {"traceparent", "tracestate", "baggage"}
_KNOWN_FLAGS = TraceFlags.SAMPLED | 0x02  # sampled and random; the others are sent as 0 (section 3.2.2.5)

_traceparent = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
).fullmatch
_sentry_trace = re.compile(r"\s*([0-9a-f]{32})-([0-9a-f]{16})(?:-([01]))?\s*").fullmatch
_member = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
).fullmatch


def parse_traceparent(value: str | None) -> tuple[int, int, int] | None:
    """Return (trace ID, parent ID, flags), or None when the header is absent, repeated or not valid (section 3.2)."""
    match = _traceparent(value.strip(" \t")) if value else None
    if match is None or "," in match.string:  # a comma joins repeated headers
        return None
    version, trace_id, parent_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return int(trace_id, 16), int(parent_id, 16), int(flags, 16) & _KNOWN_FLAGS


def parse_tracestate(value: str | None) -> TraceState:
    """Return the members of a tracestate; empty when one is not valid or there are more than 32 (section 3.3).

    Of a repeated key the first stays. A text over 512 characters is shortened: entries over 128 characters are left
    out first, then entries from the end (section 3.3.1.5).
    """
    entries: dict[str, str] = {}
    members = [member.strip(" \t") for member in (value or "").split(",", 10 * _MOST_MEMBERS)]
    for member in filter(None, members):
        match = _member(member)
        if match is None:
            return _EMPTY
        entries.setdefault(match[1], match[2])
    if not entries or len(list(filter(None, members))) > _MOST_MEMBERS:
        return _EMPTY
    return _TraceState(_cut(entries))


def remote_parent(header: Header) -> SpanContext | None:
    """Return the caller's span, or None when a new trace begins here."""
    value = header("traceparent") or _of_sentry(header)
    parent = None if value is None else parse_traceparent(value)
    if parent is None:
        return None  # a tracestate without its traceparent says nothing (section 3.3)
    trace_id, span_id, flags = parent
    return SpanContext(trace_id, span_id, True, TraceFlags(flags), parse_tracestate(header("tracestate")))


def _of_sentry(header: Header) -> str | None:
    """Return Sentry's own header as a traceparent, where sentry-sdk is there, so that both have one trace.

    https://develop.sentry.dev/sdk/foundations/trace-propagation/#header-sentry-trace
    """
    match = _sentry_trace(header(SENTRY_TRACE) or "") if "sentry_sdk" in sys.modules else None
    return None if match is None else f"00-{match[1]}-{match[2]}-0{match[3] or 0}"


def is_w3c(propagator: TextMapPropagator) -> bool:
    """Tell whether a propagator is the default one, whose work is done here more strictly."""
    return propagator.fields == _W3C_FIELDS


def load_propagators() -> None:
    """Load OpenTelemetry's global propagator, made of those of `OTEL_PROPAGATORS` that are installed."""
    named = otel.items(otel.PROPAGATORS)
    installed = [
        name
        for name in named
        if name.lower() == "none" or otel.has_entry_point("opentelemetry_propagator", name)
    ]
    for name in named:
        if name not in installed:
            otel.warn(
                otel.PROPAGATORS, name, "names of installed propagators, such as 'tracecontext,baggage'"
            )
    try:
        with otel.replaced({otel.PROPAGATORS: ",".join(installed)}):
            import_module(PROPAGATE)
    except Exception as error:
        otel.warn(
            otel.PROPAGATORS,
            ",".join(installed),
            "propagators that can be loaded",
            cure=f"they are ignored: {error}",
        )
        with otel.replaced({otel.PROPAGATORS: None}):
            import_module(PROPAGATE)


def global_propagator() -> TextMapPropagator | None:
    """Return OpenTelemetry's global propagator; None where nobody has loaded it: it is the default one then."""
    module: Any = sys.modules.get(PROPAGATE)
    try:
        return None if module is None else module.get_global_textmap()
    except (AttributeError, NameError):  # another thread imports it right now
        return None


def outgoing_headers() -> dict[str, str]:
    """Return the headers that a call made from the current request carries on.

    The trace context, the baggage, the request ID and the correlation ID; outside a request what is current there.
    """
    from opentelemetry.propagate import inject

    headers: dict[str, str] = {}
    inject(headers)
    exchange = current_exchange()
    if exchange is not None:
        headers.update(exchange.id_headers)
    return headers


class _TraceState(TraceState):
    """The stock TraceState refuses keys of level 2; ours are checked already."""

    def __init__(self, entries: dict[str, str]) -> None:
        super().__init__()
        self._entries = entries

    def __contains__(self, item: object) -> bool:
        return item in self._entries

    def __getitem__(self, key: str) -> str:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return str([f"{{key={key}, value={value}}}" for key, value in self._entries.items()])

    def keys(self) -> KeysView[str]:
        return self._entries.keys()

    def items(self) -> ItemsView[str, str]:
        return self._entries.items()

    def values(self) -> ValuesView[str]:
        return self._entries.values()

    def to_header(self) -> str:
        return ",".join(f"{key}={value}" for key, value in self._entries.items())

    def add(self, key: str, value: str) -> TraceState:
        """Return it with a new member in front; as it is where that can't be."""
        return self if key in self else self.update(key, value)

    def update(self, key: str, value: str) -> TraceState:
        """Return it with this member in front; as it is where that can't be."""
        others = {name: present for name, present in self._entries.items() if name != key}
        entries = {key: value, **others}
        is_valid = _member(f"{key}={value}") and len(entries) <= _MOST_MEMBERS
        return _TraceState(entries) if is_valid else self

    def delete(self, key: str) -> TraceState:
        """Return it without a member."""
        return _TraceState({name: value for name, value in self._entries.items() if name != key})


def _cut(entries: dict[str, str]) -> dict[str, str]:
    sizes = {key: len(key) + len(value) + 1 for key, value in entries.items()}
    for key in _first_to_go(sizes):
        if sum(sizes.values()) + len(sizes) - 1 <= _SENT_AT_LEAST:
            break
        del sizes[key]
    return {key: entries[key] for key in sizes}


def _first_to_go(sizes: dict[str, int]) -> Iterable[str]:
    backwards = list(reversed(sizes))
    return sorted(backwards, key=lambda key: sizes[key] <= _LONG_MEMBER)


_EMPTY = TraceState()
