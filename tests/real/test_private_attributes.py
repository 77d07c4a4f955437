"""Every private attribute of another library that we read, one row each, and that it is still there.

A row fails by its name when a release has taken its attribute away: then what it says has become slow or wrong, and
no request has failed, because each is read behind a guard.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Row(NamedTuple):
    """What is read of a library, what happens without it, and something that has it."""

    package: str
    attribute: str
    without: str
    holder: Callable[[], Any]


def _client_metric(name: str) -> Callable[[], Any]:
    def make() -> Any:
        import prometheus_client

        return getattr(prometheus_client, name)("a", "About.", ("b",), registry=None)

    return make


def _client_child(name: str) -> Callable[[], Any]:
    return lambda: _client_metric(name)().labels("x")


def _client_module() -> Any:
    from prometheus_client import metrics

    return metrics


def _registry() -> Any:
    from prometheus_client import CollectorRegistry

    return CollectorRegistry()


def _bucket() -> Any:
    return _client_child("Histogram")()._buckets[0]


def _pymysql_connection() -> Any:
    import pymysql

    return pymysql.connect(defer_connect=True)


def _context_module() -> Any:
    from opentelemetry import context

    return context


def _runtime_context() -> Any:
    return _context_module()._RUNTIME_CONTEXT


def _fastapi_app() -> Any:
    fastapi = pytest.importorskip("fastapi")
    if not hasattr(fastapi, "telemetry") and not _has_module("fastapi.telemetry"):
        pytest.skip("this FastAPI has no telemetry of its own, and nothing is read of it")
    return fastapi.FastAPI()


def _starlette_telemetry() -> Any:
    if not _has_module("starlette.middleware.opentelemetry"):
        pytest.skip("this Starlette has no telemetry of its own, and nothing is read of it")
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware

    app: Any = object()
    return OpenTelemetryMiddleware(app)


def _has_module(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def _werkzeug_body() -> Any:
    from werkzeug.wrappers import Response

    environ: Any = {"REQUEST_METHOD": "GET", "wsgi.input": None}
    start_response: Any = lambda *_: None  # noqa: E731
    return Response("x")(environ, start_response)


def _werkzeug_response() -> Any:
    from werkzeug.wrappers import Response

    return Response("x")


def _django_response() -> Any:
    from tests.adapters.django_project import start

    start()  # a process has one Django, and other tests want theirs
    from django.http import HttpResponse

    return HttpResponse("x")


def _django_stream() -> Any:
    _django_response()
    from django.http import StreamingHttpResponse

    return StreamingHttpResponse(iter([b"x"]))


def _loop() -> Any:
    import asyncio

    loop = asyncio.new_event_loop()
    loop.close()
    return loop


def _executor() -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1)


def _semaphore() -> Any:
    from threading import Semaphore

    return Semaphore()


def _gunicorn_handler() -> Any:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger

    return Logger(Config()).error_log.handlers[0]


_NO_POOL = "asyncio's own thread pool is not on the page"
_READERS = "prometheus-client writes this metric itself, fifteen times slower"
# Names that Python itself documents.
_DOCUMENTED = {"_exit", "_getframe", "_replace", "_value_"}
TABLE = (
    Row("pymysql", "_sock", "a database that hangs keeps the thread of its check", _pymysql_connection),
    Row("opentelemetry-api", "_RUNTIME_CONTEXT", "two more calls to get or set the context", _context_module),
    Row(
        "opentelemetry-api", "_current_context", "two more calls to get or set the context", _runtime_context
    ),
    Row("prometheus-client", "_labelnames", _READERS, _client_metric("Counter")),
    Row("prometheus-client", "_name", _READERS, _client_metric("Counter")),
    Row("prometheus-client", "_documentation", _READERS, _client_metric("Counter")),
    Row("prometheus-client", "_metrics", _READERS, _client_metric("Counter")),
    Row("prometheus-client", "_lock", _READERS, _client_metric("Counter")),
    Row("prometheus-client", "_samples", _READERS, _client_child("Counter")),
    Row("prometheus-client", "_child_samples", _READERS, _client_child("Counter")),
    Row(
        "prometheus-client",
        "_metric_init",
        "metrics that are made before us are of one process",
        _client_child("Counter"),
    ),
    Row("prometheus-client", "_multi_samples", _READERS, _client_metric("Counter")),
    Row("prometheus-client", "_value", _READERS, _client_child("Counter")),
    Row("prometheus-client", "_created", _READERS, _client_child("Counter")),
    Row("prometheus-client", "_upper_bounds", _READERS, _client_metric("Histogram")),
    Row("prometheus-client", "_buckets", _READERS, _client_child("Histogram")),
    Row("prometheus-client", "_sum", _READERS, _client_child("Histogram")),
    Row("prometheus-client", "_count", _READERS, _client_child("Summary")),
    Row("prometheus-client", "_exemplar", _READERS, _bucket),
    Row(
        "prometheus-client",
        "_use_created",
        "times of creation are written although they are switched off",
        _client_module,
    ),
    Row(
        "prometheus-client",
        "_collector_to_names",
        "the whole registry is written by prometheus-client",
        _registry,
    ),
    Row(
        "fastapi",
        "_telemetry",
        "FastAPI's own telemetry traces the probes, and its server span is adopted",
        _fastapi_app,
    ),
    Row(
        "starlette",
        "_tracer_provider",
        "Starlette's own telemetry inside ours makes no spans, also with a provider of its own",
        _starlette_telemetry,
    ),
    Row("werkzeug", "_callbacks", "every Flask body is read as a stream", _werkzeug_body),
    Row("werkzeug", "_on_close", "every Flask body is read as a stream", _werkzeug_response),
    Row(
        "django",
        "_store",
        "our headers are written through Django's checks",
        lambda: _django_response().headers,
    ),
    Row(
        "django",
        "_resource_closers",
        "the exchange of a file that the kernel sends ends before it is sent",
        _django_response,
    ),
    Row(
        "django",
        "_iterator",
        "a stream that nobody closes ends when the garbage collector runs",
        _django_stream,
    ),
    Row(
        "logging",
        "_fmt",
        "a console handler that a server has set up counts as one of the user's",
        logging.Formatter,
    ),
    Row("asyncio", "_default_executor", _NO_POOL, _loop),
    Row("concurrent.futures", "_threads", _NO_POOL, _executor),
    Row("concurrent.futures", "_max_workers", _NO_POOL, _executor),
    Row("concurrent.futures", "_work_queue", _NO_POOL, _executor),
    Row("concurrent.futures", "_idle_semaphore", _NO_POOL, _executor),
    Row("threading", "_value", _NO_POOL, _semaphore),
    Row("gunicorn", "_gunicorn", "gunicorn's own lines stay as they are", _gunicorn_handler),
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.package} {row.attribute}: {row.without}")
def test_the_attribute_is_still_there(row: Row) -> None:
    assert hasattr(row.holder(), row.attribute), (
        f"{row.package} has no {row.attribute} any more: {row.without}"
    )


def test_every_private_attribute_that_is_read_has_its_row() -> None:
    named = {row.attribute for row in TABLE} | _DOCUMENTED | set(_defined())
    unnamed = [
        f"{path.relative_to(ROOT)}:{line}: {name}" for path, line, name in _read() if name not in named
    ]
    assert not unnamed


def _modules() -> Iterator[tuple[Path, ast.AST]]:
    for folder in ("obs_middleware", "adapters"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def _read() -> Iterator[tuple[Path, int, str]]:
    """Yield where a private attribute of something is read, by its name or by getattr."""
    for path, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and _is_private(node.attr):
                yield path, node.lineno, node.attr
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "attrgetter"):
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield from (
                            (path, node.lineno, name)
                            for name in argument.value.split(".")
                            if _is_private(name)
                        )


def _defined() -> Iterator[str]:
    """Yield the private names that our own classes and modules define."""
    for _, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield node.name
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.attr
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
