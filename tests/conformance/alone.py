"""Run the probe app in a process of its own, where global state may be set: `python -m tests.conformance.alone`.

    alone.py <front end> <how> <file for the findings>

`how` is `default` (one line of ours and nothing else), `native` (FastAPI's own telemetry beside ours), or
`instrumented-before` and `instrumented-after` (OpenTelemetry's instrumentation, put in before or after ours).
Log lines go to stdout, as in production; the findings are JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.apps import probe
from tests.conformance.front_ends import FRONT_ENDS, FrontEnd
from tests.conformance.messages import Request

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = (b"traceparent", b"00-%b-00f067aa0ba902b7-01" % TRACE_ID.encode())
TARGETS = (b"/items/1", b"/stream", b"/boom", b"/nothing")
PAGES = (b"/metrics", b"/health/live", b"/health/ready", b"/health/startup")


def main(name: str, how: str, findings: str) -> None:
    """Ask the app and write down what was found."""
    front_end = next(one for one in FRONT_ENDS if one.name == name)
    exporter = InMemorySpanExporter()
    if how != "default":
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
    app = _make(front_end, how)
    requests = [Request(target, headers=(PARENT,)) for target in TARGETS] + [
        Request(target) for target in PAGES
    ]
    responses = front_end.call_all(app, requests)
    found = {
        "statuses": [response.status for response in responses],
        "ids": [response.all("x-request-id") for response in responses],
        "page": responses[len(TARGETS)].body.decode(),
        "spans": [_span(span) for span in exporter.get_finished_spans()],
    }
    Path(findings).write_text(json.dumps(found), encoding="utf-8")


def _make(front_end: FrontEnd, how: str) -> Any:
    module: Any = importlib.import_module(front_end.module)
    if how == "default":
        return module.make_app(None)
    if how == "native":
        return module.make_app(None, probe.Options(telemetry={}))
    return INSTRUMENT[front_end.name](module, how == "instrumented-before")


def _asgi(module: Any, is_first: bool) -> Any:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    from obs_asgi import ObservabilityMiddleware

    if is_first:
        return ObservabilityMiddleware(OpenTelemetryMiddleware(module.make_bare_app()))
    return OpenTelemetryMiddleware(module.make_app(None))


def _starlette(module: Any, is_first: bool) -> Any:
    from opentelemetry.instrumentation.starlette import StarletteInstrumentor

    return _added(module, is_first, StarletteInstrumentor().instrument_app)


def _fastapi(module: Any, is_first: bool) -> Any:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    return _added(module, is_first, FastAPIInstrumentor().instrument_app)


def _added(module: Any, is_first: bool, instrument: Any) -> Any:
    from obs_asgi import ObservabilityMiddleware

    app = module.make_bare_app() if is_first else module.make_app(None)
    instrument(app)
    if is_first:
        app.add_middleware(ObservabilityMiddleware)
    return app


def _wsgi(module: Any, is_first: bool) -> Any:
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    from obs_wsgi import ObservabilityMiddleware

    if is_first:
        return ObservabilityMiddleware(OpenTelemetryMiddleware(module.make_bare_app()))
    return OpenTelemetryMiddleware(module.make_app(None))


def _flask(module: Any, is_first: bool) -> Any:
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    from obs_flask import Observability

    app = module.make_bare_app() if is_first else module.make_app(None)
    FlaskInstrumentor().instrument_app(app)
    if is_first:
        Observability(app)
    return app


def _django(module: Any, is_first: bool) -> Any:
    from opentelemetry.instrumentation.django import DjangoInstrumentor

    from tests.apps.django_app.start import name_settings

    name_settings()
    if not is_first:
        module.make_app(None)
    DjangoInstrumentor().instrument()
    return module.make_app(None)


INSTRUMENT = {
    "asgi": _asgi,
    "starlette": _starlette,
    "fastapi": _fastapi,
    "wsgi": _wsgi,
    "flask": _flask,
    "django_wsgi": _django,
    "django_asgi": _django,
}


def _span(span: Any) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace_id": f"{span.context.trace_id:032x}",
        "attributes": dict(span.attributes or {}),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
