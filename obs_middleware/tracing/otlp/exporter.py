"""Export spans by OTLP over HTTP: `encoder.py` writes them, `connection.py` sends them, this file tries again.

https://opentelemetry.io/docs/specs/otlp/#otlphttp and https://opentelemetry.io/docs/specs/otel/protocol/exporter/#retry.
Imported with the SDK only, in place of its own exporter.
"""

from __future__ import annotations

import logging
import math
import random
import time
from threading import Event, Lock
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from obs_middleware import process
from obs_middleware.losses import lose
from obs_middleware.tracing.otlp import encoder
from obs_middleware.tracing.otlp.connection import FAILURES, Connection, compressed

if TYPE_CHECKING:
    from obs_middleware.tracing.otlp.connection import Answer, Target

_logger = logging.getLogger("obs")

_TRIES = 6
_JITTER = 0.2
_RETRYABLE = {429, 502, 503, 504}  # section "Retryable Response Codes" of OTLP/HTTP
_MOST_BYTES = 64 * 1024 * 1024  # of a batch, before compression
_QUIET_SECONDS = 60.0  # between two log lines of lost spans


class OtlpExporter(SpanExporter):
    """Send one batch at a time, over one connection that is kept."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._quiet_until, self._lost = 0.0, 0
        self._begin()

    def _begin(self) -> None:
        self._pid = process.pid()
        self._stopping, self._sending = Event(), Lock()
        self._connection = Connection(self._target)

    def export(self, spans: encoder.Spans) -> SpanExportResult:
        """Send the spans, again and again where it may help, for as long as OTEL_EXPORTER_OTLP_TIMEOUT says."""
        if self._pid != process.pid():
            self._begin()  # a forked child: the connection is its parent's, and so may the lock be
        with self._sending:
            try:
                body = encoder.encode(spans, lambda error: self._report(_described(error), 1))
                problem = self._sent(body) if len(body) <= _MOST_BYTES else f"{len(body)} bytes are too many"
            except Exception as error:
                problem = type(error).__name__  # without its message, which tells a header that can't be sent
            if self._stopping.is_set():
                self._connection.close()
        if problem:
            self._report(problem, len(spans))
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Try nothing again any more, and export nothing."""
        if self._pid != process.pid():
            self._begin()
        self._stopping.set()
        if self._sending.acquire(blocking=False):  # else `export` closes it
            self._connection.close()
            self._sending.release()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return that nothing is held here."""
        return True

    def _sent(self, encoded: bytearray) -> str:
        """Send a batch; return why it could not be, if so."""
        if not encoded:  # none of its spans could be encoded
            return ""
        body = compressed(encoded, self._target.wbits)
        deadline = time.monotonic() + self._target.seconds
        problem = "the exporter is shut down"
        for number in range(_TRIES):
            if self._stopping.is_set():
                break
            pause = 2**number * random.uniform(1 - _JITTER, 1 + _JITTER)
            try:
                answer = self._connection.post(body, deadline)
            except FAILURES as error:
                problem = _described(error)
            else:
                if 200 <= answer.status < 300:
                    self._report_rejected(answer)
                    return ""
                problem = f"{answer.status} {answer.reason}"
                if answer.status not in _RETRYABLE:
                    break
                pause = _seconds(answer.retry_after, pause)
            if number + 1 == _TRIES or time.monotonic() + pause > deadline or self._stopping.wait(pause):
                break
        return problem

    def _report_rejected(self, answer: Answer) -> None:
        """Tell of spans that the collector says it has not taken, and of its warnings; none of them is sent again."""
        try:
            count, reason = encoder.rejected(answer.body)
        except Exception:  # not protobuf
            return
        if count or reason:
            self._report(f"the collector says: {reason}", count)

    def _report(self, problem: str, count: int) -> None:
        """Count what is lost, and log one line at most in a minute."""
        self._lost += count
        lose("spans", count)
        now = time.monotonic()
        if now >= self._quiet_until:
            _logger.error("spans lost on their way to %s: %d; %s", self._target, self._lost, problem)
            self._quiet_until, self._lost = now + _QUIET_SECONDS, 0


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _seconds(retry_after: str | None, otherwise: float) -> float:
    """Return how long a server wants us to wait (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return otherwise
    try:
        seconds = float(retry_after)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return otherwise
    return max(seconds, 0.0) if math.isfinite(seconds) else otherwise
