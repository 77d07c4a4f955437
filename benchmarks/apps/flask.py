"""Flask, and what is put around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks import telemetry
from benchmarks.variants import OURS, settings

Add = Callable[[Any], None]


def build(framework: str, variant: str, routes: int) -> Any:
    """Return the app."""
    from flask import Flask

    app = Flask("bench")

    def item(item: int) -> dict[str, int]:
        return {"item": item}

    for number in range(routes):
        app.add_url_rule(f"/r{number}/<int:item>", f"r{number}", item)
    variants(framework)[variant](app)
    return app


def variants(framework: str) -> dict[str, Add]:
    """Return what can be put around the app."""
    return {
        "bare": lambda app: None,
        "no-op": _no_op,
        "request-id": _request_id,
        "flask-exporter": _exporter,
        "line": _line,
        "otel-10": lambda app: _opentelemetry(app, 0.1),
        "otel-100": lambda app: _opentelemetry(app, 1.0),
        "assembled-10": lambda app: _assembled(app, 0.1),
        "assembled-100": lambda app: _assembled(app, 1.0),
        **{name: _ours(name) for name in OURS},
    }


def _ours(name: str) -> Add:
    def add(app: Any) -> None:
        from obs_flask import Observability

        Observability(app, **settings(name))

    return add


def _no_op(app: Any) -> None:
    inner = app.wsgi_app

    def no_op(environ: Any, start_response: Any) -> Any:
        def started(status: str, headers: Any, exc_info: Any = None) -> Any:
            return start_response(status, headers, exc_info)

        return inner(environ, started)

    app.wsgi_app = no_op


def _request_id(app: Any) -> None:
    # No maintained package does it; this is what is written by hand instead.
    from flask import g, request

    @app.before_request
    def begin() -> None:
        g.request_id = request.headers.get("X-Request-ID") or telemetry.new_id()

    @app.after_request
    def end(response: Any) -> Any:
        response.headers["X-Request-ID"] = g.request_id
        return response


def _exporter(app: Any) -> None:
    from prometheus_flask_exporter import PrometheusMetrics

    PrometheusMetrics(app, group_by="url_rule")  # the default, the raw path, has no bounds


def _line(app: Any, **more: Callable[[], Any]) -> None:
    from flask import g, request

    logger = telemetry.json_log()

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def end(response: Any) -> Any:
        fields = {
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "duration_ms": round((time.perf_counter() - g.started) * 1000, 3),
            "client": request.remote_addr,
            "user_agent": request.headers.get("User-Agent", ""),
            **{name: value() for name, value in more.items()},
        }
        logger.info("%s %s %s", request.method, request.path, response.status_code, extra=fields)
        return response


def _opentelemetry(app: Any, ratio: float) -> None:
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    FlaskInstrumentor().instrument_app(app, tracer_provider=telemetry.provider(ratio))


def _assembled(app: Any, ratio: float) -> None:
    from flask import g

    _opentelemetry(app, ratio)
    _request_id(app)
    _exporter(app)
    _line(app, request_id=lambda: g.request_id)
