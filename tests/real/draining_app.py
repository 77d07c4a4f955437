"""Apps whose work takes a moment: `asgi`, `without_lifespan` and `wsgi`; their spans go to the file SPANS.

The file BEGAN gets a byte for each request that is under way, STUCK one for each that blocks its thread until there is
a file GO_ON.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import time
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from obs_asgi import ObservabilityMiddleware as Asgi
from obs_middleware import Observer, hand_over
from obs_middleware.export import JsonFile
from obs_wsgi import ObservabilityMiddleware as Wsgi

WORK_SECONDS = float(os.environ["WORK_SECONDS"])
# Who takes what is handed over is a file, which is only late where the machine is busy.
hand_over._SECONDS = 30.0


def note(name: str) -> None:
    """Count one more in the file that a variable names."""
    with open(os.environ[name], "ab", buffering=0) as file:
        file.write(b".")


def be_stuck() -> None:
    """Block the thread; gevent's patches, which make `time.sleep` friendly, do not reach it."""
    note("STUCK")
    while not os.path.exists(os.environ["GO_ON"]):
        ctypes.CDLL(None).usleep(20_000)


class SpanFile(SpanExporter):
    """Appends each span's request ID to a file."""

    def export(self, spans: Any) -> SpanExportResult:
        with open(os.environ["SPANS"], "a") as file:
            file.writelines(json.dumps(dict(span.attributes or {})) + "\n" for span in spans)
        return SpanExportResult.SUCCESS


def provider() -> TracerProvider:
    made = TracerProvider()
    made.add_span_processor(BatchSpanProcessor(SpanFile(), schedule_delay_millis=60_000))
    return made


observer = Observer(tracer_provider=provider())
requests = observer.metrics.counter("orders", "Orders.")
observer.exporters.add(JsonFile(f"{os.environ['SPANS']}-{os.getpid()}.json", interval_seconds=60))


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    if scope["path"] == "/stuck":
        be_stuck()
    requests.inc()
    note("BEGAN")
    await asyncio.sleep(WORK_SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def _wsgi(environ: Any, start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/stuck":
        be_stuck()
    requests.inc()
    note("BEGAN")
    time.sleep(WORK_SECONDS)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def _without_lifespan(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise LookupError("as Django raises")
    await _asgi(scope, receive, send)


without_lifespan = Asgi(_without_lifespan, observer)
asgi, wsgi = Asgi(_asgi, observer), Wsgi(_wsgi, observer)
