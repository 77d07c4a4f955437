"""Write docs/guides/names.md from running code: `python scripts/names_page.py`.

Two small apps, one of Starlette and one of Django, do what makes each metric, field and attribute appear.
What a name means is told here for fields and attributes; a name that is not told is an error.
"""

from __future__ import annotations

import logging
import re
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/guides/names.md"
EXPORTERS = (
    "classic",
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
    "prometheus_flask_exporter",
    "django-prometheus",
)
OF_PROMETHEUS_CLIENT = ("python_gc_", "python_info", "process_")
OF_SAMPLES = ("le", "quantile")  # labels that only buckets and quantiles have
HEADER = """\
# Names

Every metric, log field, span attribute and setting, as the code has them. `make names` writes this page.
"""

LINE_FIELDS = {
    "timestamp": "when it was logged, UTC",
    "level": "`DEBUG` to `CRITICAL`",
    "logger": "the logger's name",
    "message": "the text, without secrets",
    "service": "`service_name`",
    "environment": "`environment`",
    "version": "`service_version`, if it is set",
    "hostname": "of the machine",
    "request_id": "of the current request, or null",
    "correlation_id": "the caller's, or the request ID",
    "trace_id": "32 hexadecimal digits",
    "span_id": "of the current span: 16 hexadecimal digits",
    "tenant": "whose request it is, where that is asked for",
    "exception": "`type`, `message` and `stacktrace`, where an exception is logged",
    "code.file.path": "which file has logged; `log_caller` says for which lines",
    "code.line.number": "which line",
    "code.function.name": "which function",
}
ACCESS_FIELDS = {
    "method": "as it was sent; an unknown one is `_OTHER`",
    "path": "without query, without secrets",
    "route": "the template, or null",
    "status": "of the response that was sent, or null",
    "outcome": "`ok`, `error`, `client_disconnect`, `cancelled` or `incomplete`",
    "duration_ms": "until the last byte",
    "ttfb_ms": "until the response began",
    "request_bytes": "of the body, as received",
    "response_bytes": "of the body, as sent",
    "client": "the client's address ([proxies](proxies.md)), as `client_address` says",
    "user_agent": "256 characters of it",
    "error_type": "the exception's class, or the status from 500 on, or null",
    "db_queries": "how many queries of Django there were",
    "db_ms": "how long they took",
}
ATTRIBUTES = {
    "http.request.method": "a known method or `_OTHER`",
    "http.request.method_original": "the method as it was sent, where it is `_OTHER`",
    "http.response.status_code": "of the response that was sent",
    "http.route": "the template",
    "url.scheme": "`http`, `https`, `ws` or `wss`",
    "url.path": "without secrets",
    "url.query": "without secrets",
    "error.type": "the exception's class, or the status from 500 on",
    "server.address": "of the header Host",
    "server.port": "of the header Host, or of the scheme",
    "client.address": "the client's address, as `client_address` says",
    "network.peer.address": "of whoever has connected: the client or a proxy",
    "network.peer.port": "its port",
    "network.protocol.name": "`websocket`, where it is one",
    "network.protocol.version": "of HTTP",
    "user_agent.original": "as it was sent",
    "obs.request_id": "the request's ID",
    "obs.correlation_id": "where it is another one",
    "obs.tenant": "whose request it is, where that is asked for",
    "obs.db.queries": "how many queries of Django there were",
    "obs.db.seconds": "how long they took",
}
LOGGERS = {
    "obs": "what the library has to say: at the start, and of its own failures",
    "obs.access": "one line for each request",
    "obs.events": "`observer.events.record`",
    "obs.health": "a check that has changed its status",
    "obs.queries": "a query that one request makes again and again",
    "obs.security": "a token or a caller that was refused",
}


def page() -> str:
    """Return the page."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        seen = _Seen(Path(folder))
        parts = (_metrics(seen), _other_names(), _fields(seen), _attributes(seen), _loggers(), _settings())
    return "\n".join((HEADER, *parts))


class _Seen:
    """What two apps have shown."""

    def __init__(self, folder: Path) -> None:
        self.families: dict[str, dict[str, Any]] = {}
        self.lines: list[dict[str, Any]] = []
        self.attributes: set[str] = set()
        for run in (_starlette, _django):
            observer, seen = run(folder)
            self.lines += seen.lines
            for span in seen.spans:
                if span.kind.name == "SERVER":
                    self.attributes |= set(span.attributes)
            self.families |= observer.metrics.snapshot()


def _starlette(folder: Path) -> tuple[Any, Any]:
    from obs_asgi import ObservabilityMiddleware
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.testclient import TestClient

    from obs_middleware import Observer
    from obs_middleware.export import Textfile
    from obs_middleware.testing import captured

    def item(request: Any) -> Any:
        logging.getLogger("shop").warning("looked at")
        return PlainTextResponse("item")

    def boom(request: Any) -> Any:
        raise ValueError("boom")

    async def socket(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    observer = Observer(
        service_name="shop", service_version="1", log_setup=False, metrics_token="metrics-token",
        tenant_header="X-Tenant", metrics_workers="off",
    )  # fmt: skip
    routes = [Route("/items/{id}", item), Route("/boom", boom), WebSocketRoute("/socket", socket)]
    app = Starlette(routes=routes)
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    observer.health.add("stock", lambda: True)
    observer.exporters.add(Textfile(folder / "none" / "shop.prom"))
    with captured(observer) as seen, TestClient(app, raise_server_exceptions=False) as client:
        sent = {"X-Tenant": "acme", "X-Correlation-ID": "order-7"}
        for path in ("/items/7?page=2", "/boom", "/metrics", "/health/ready"):
            client.get(path, headers=sent)
        client.request("BREW", "/items/7", headers=sent)
        with client.websocket_connect("/socket") as websocket:
            websocket.send_text("hello")
            websocket.receive_text()
        observer.events.record("order_placed")
        with suppress(Exception), observer.exporters.job("nightly"):
            raise ValueError("no report")
        with observer.exporters.job("weekly"):
            pass
        logging.getLogger("shop").error("failed", exc_info=ValueError("boom"))
        return observer, _kept(observer, seen)


def _django(folder: Path) -> tuple[Any, Any]:
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="x" * 50, ALLOWED_HOSTS=["*"], INSTALLED_APPS=["django.contrib.contenttypes", "obs_django"],
        ROOT_URLCONF=__name__, LOGGING_CONFIG=None, OBS_LOG_SETUP=False, OBS_METRICS_WORKERS="off",
        OBS_SERVICE_NAME="shop", OBS_TENANT_HEADER="X-Tenant",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "shop.sqlite3")}},
    )  # fmt: skip
    sys.modules[__name__] = sys.modules.get(__name__) or sys.modules["__main__"]
    django.setup()
    from django.core.cache import cache
    from django.db import connection
    from django.http import HttpResponse
    from django.test import Client
    from django.urls import path
    from obs_django import get_observer

    from obs_middleware.testing import captured

    def item(request: Any) -> Any:
        connection.cursor().execute("SELECT 1")
        cache.get("item")
        return HttpResponse("item")

    globals()["urlpatterns"] = [path("items/", item)]
    observer = get_observer()
    with captured(observer) as seen:
        Client().get("/items/", headers={"X-Tenant": "acme"})
        return observer, _kept(observer, seen)


def _kept(observer: Any, seen: Any) -> Any:
    """Look while what runs the app is still there, as gauges of a loop are gone with it."""
    observer.metrics.snapshot()
    return seen


def _metrics(seen: _Seen) -> str:
    rows = [_row(name, family) for name, family in sorted(seen.families.items()) if _is_ours(name)]
    assert not [row for row in rows if "||" in row]
    return "\n".join(
        (
            "## Metrics\n",
            "A histogram has `_bucket`, `_sum` and `_count` behind its name, a counter `_total`. A metric is there from its first value",
            "on. Labels of yours (`add_labels`) and the tenant's are beside these. prometheus-client adds `process_…`, `python_gc_…` and",
            "`python_info`; several workers add `worker` to what each has of its own.\n",
            "| metric | type | labels | is |",
            "|---|---|---|---|",
            *rows,
            "",
        )
    )


def _is_ours(name: str) -> bool:
    return not name.startswith(OF_PROMETHEUS_CLIENT)


def _row(name: str, family: dict[str, Any]) -> str:
    shown = f"{name}_total" if family["type"] == "counter" else name
    labels = _label_names(sample["labels"] for sample in family["samples"])
    return f"| `{shown}` | {family['type']} | {labels} | {family['documentation']} |"


def _label_names(sets: Iterable[Iterable[str]]) -> str:
    names = sorted({name for labels in sets for name in labels} - set(OF_SAMPLES) - {"tenant"})
    return " ".join(f"`{name}`" for name in names)


def _other_names() -> str:
    rows = [f"| `{names}` | {metrics} |" for names in EXPORTERS for metrics in [_of_exporter(names)]]
    about = "What `metric_names` puts in place of `http_server_…` of requests, or beside it ([more](../http-metrics.md#other-names)):\n"
    return "\n".join(("### Under other names\n", about, "| `metric_names` | metrics |", "|---|---|", *rows, ""))


def _of_exporter(names: str) -> str:
    from obs_middleware import Settings
    from obs_middleware.metrics.plan import Plan

    plan = Plan(Settings.load(env={}, metric_names=names))
    shown = [_spelled(one) for one in plan.instruments]
    shown += [_with_labels(gauge.name, [name for name, *_ in gauge.labels]) for gauge in plan.gauges]
    return ", ".join(shown)


def _spelled(one: Any) -> str:
    return _with_labels(f"{one.name}_total" if one.kind == "counter" else one.name, one.label_names)


def _with_labels(name: str, labels: Iterable[str]) -> str:
    inside = ",".join(labels)
    return f"`{name}{{{inside}}}`" if inside else f"`{name}`"


def _fields(seen: _Seen) -> str:
    from obs_middleware.logs import fields

    found = {name for line in seen.lines for name in line} - {"record"}
    own = [field.name for field in (*fields.ACCESS_FIELDS, *fields.DETAIL_FIELDS)]
    extra = found - LINE_FIELDS.keys() - set(own)
    of_events = {name for line in seen.lines if line["logger"] in LOGGERS for name in line}
    _all_told("log fields", extra - of_events, {})
    _all_told("log fields", set(own) - LINE_FIELDS.keys(), ACCESS_FIELDS)
    return "\n".join(
        (
            "## Log fields\n",
            "Each line has these. What your code binds (`bind(order_id=7)`) and hands over (`extra=`) comes besides. A name that is",
            "taken becomes `field_…`. `log_rename_fields` gives them other names.\n",
            *_table("field", LINE_FIELDS),
            "\nThe access line (`obs.access`) has these besides:\n",
            *_table("field", ACCESS_FIELDS),
            "",
        )
    )


def _attributes(seen: _Seen) -> str:
    _all_told("span attributes", seen.attributes, ATTRIBUTES)
    return "\n".join(
        (
            "## Span attributes\n",
            "Of the server span, whose name is `{method} {route}`. An attribute is there where its value is known. An exception is an",
            "event `exception` with `exception.type`, `exception.message` and `exception.stacktrace`.\n",
            *_table("attribute", ATTRIBUTES),
            "",
        )
    )


def _all_told(what: str, found: set[str], told: dict[str, str]) -> None:
    if found - told.keys():
        raise SystemExit(f"{what} that scripts/names_page.py does not tell: {sorted(found - told.keys())}")


def _table(what: str, told: dict[str, str]) -> list[str]:
    return [f"| {what} | is |", "|---|---|", *(f"| `{name}` | {about} |" for name, about in told.items())]


def _loggers() -> str:
    _all_told("loggers", set(_named_loggers()), LOGGERS)
    return "\n".join(("## Loggers\n", *_table("logger", LOGGERS), ""))


def _named_loggers() -> Iterator[str]:
    for folder in ("obs_middleware", "adapters"):
        for module in (ROOT / folder).rglob("*.py"):
            yield from re.findall(r"getLogger\(\"(obs[\w.]*)\"\)", module.read_text(encoding="utf-8"))


def _settings() -> str:
    from obs_middleware import Settings

    names = " ".join(f"`OBS_{name.upper()}`" for name in Settings.__struct_fields__)
    about = "As environment variables; a keyword is the same in small letters, without `OBS_`. [Settings](../settings.md) says what each is.\n"
    return "\n".join(("## Settings\n", about, f"{names}\n"))


if __name__ == "__main__":
    text = page()
    if "--print" in sys.argv:
        sys.stdout.write(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
