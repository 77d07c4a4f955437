"""Which new traces are kept: decided before the SDK is asked, so that a request that is not kept costs no SDK call.

The rule is that of the SDK's `ParentBased(TraceIdRatioBased(ratio))`, which samples in the provider that we set up. It
takes the caller's decision, else a bound on the lower 64 bits of the trace ID
(https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased). The ID of a new trace that is kept was drawn
here. Where the SDK makes the span, its ID generator returns that ID.
"""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING

from obs_middleware._speedups import share_layout
from obs_middleware.request_id import random_bits

if TYPE_CHECKING:
    from obs_middleware.tracing.recording_tracer import RecordingTracer

_HALF = 16  # the digits of the lower 64 bits


@share_layout
class Sampling:
    """The decision for one TracerProvider, and the provider's ID generator (`opentelemetry.sdk.trace.id_generator`).

    Args:
        bound: new traces whose ID has lower 64 bits below it are kept.
    """

    __slots__ = ("_bound", "_drawn", "tracer")

    def __init__(self, bound: int) -> None:
        self.tracer: RecordingTracer | None = None  # starts the spans that the SDK need not make
        self._bound = f"{bound:016x}" if bound >> 64 == 0 else "g"  # digits compare as their numbers do
        self._drawn = local()

    def keeps(self, ids: str) -> bool:
        """Tell whether a new trace is kept, by the hexadecimal digits of its ID and what follows it."""
        return ids[_HALF : 2 * _HALF] < self._bound

    def draw(self, trace_id: int) -> None:
        """Give the next root span that this thread starts this trace ID; with 0 any, where none has been started."""
        self._drawn.trace_id = trace_id

    def generate_trace_id(self) -> int:
        """Return the ID that was drawn last, once, or a new one."""
        return self._drawn.__dict__.pop("trace_id", 0) or random_bits(128) or 1

    def generate_span_id(self) -> int:
        """Return a new ID."""
        return random_bits(64) or 1

    def is_trace_id_random(self) -> bool:
        """Tell that the IDs are random (https://www.w3.org/TR/trace-context-2/, section 3.2.2.5.2)."""
        return True
