"""Write the tables of docs/guides/names.md from running code: `python scripts/names_page.py`.

What a field and an attribute means is said here; one without a meaning is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from names_apps import Seen

from obs_middleware import Settings
from obs_middleware.logs import fields
from obs_middleware.metrics.plan import Plan

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


def in_page(text: str) -> str:
    """Return the page with its tables between their markers."""
    seen = Seen()
    tables = {
        "metrics": _metrics(seen),
        "other names": _other_names(),
        "line": _table("field", LINE_FIELDS),
        "access line": _access_line(seen),
        "attributes": _attributes(seen),
        "loggers": _loggers(),
        "settings": " ".join(f"`OBS_{name.upper()}`" for name in Settings.__struct_fields__),
    }
    for name, table in tables.items():
        block = f"<!-- {name}:begin -->\n{table}\n<!-- {name}:end -->"
        text = re.sub(
            f"<!-- {name}:begin -->.*<!-- {name}:end -->", lambda _, new=block: new, text, flags=re.DOTALL
        )
    return text


def _metrics(seen: Seen) -> str:
    ours = [(name, family) for name, family in sorted(seen.families.items()) if _is_ours(name)]
    lines = (
        f"| `{_full_name(name, family)}` | {_type(family)} | {_labels(family)} | {family['documentation']} |"
        for name, family in ours
    )
    return "\n".join(("| metric | type | labels | is |", "|---|---|---|---|", *lines))


def _is_ours(name: str) -> bool:
    return name != "orders" and not name.startswith(OF_PROMETHEUS_CLIENT)  # the app's own


def _full_name(name: str, family: dict[str, Any]) -> str:
    return name + {"counter": "_total", "info": "_info"}.get(family["type"], "")


def _type(family: dict[str, Any]) -> str:
    return "untyped" if family["type"] == "unknown" else str(family["type"])


def _labels(family: dict[str, Any]) -> str:
    names = {name for sample in family["samples"] for name in sample["labels"]}
    return " ".join(f"`{name}`" for name in sorted(names.difference(OF_SAMPLES, ["tenant"])))


def _other_names() -> str:
    lines = (f"| `{names}` | {_of_exporter(names)} |" for names in EXPORTERS)
    return "\n".join(("| `metric_names` | metrics |", "|---|---|", *lines))


def _of_exporter(names: str) -> str:
    plan = Plan(Settings.load(env={}, metric_names=names))
    counters = (one.kind == "counter" for one in plan.instruments)
    metrics = [
        _with_labels(f"{one.name}_total" if is_counter else one.name, one.label_names)
        for one, is_counter in zip(plan.instruments, counters, strict=True)
    ]
    return ", ".join((*metrics, *(_with_labels(one.name, one.label_names) for one in plan.gauges)))


def _with_labels(name: str, labels: Iterable[str]) -> str:
    inside = ",".join(labels)
    return f"`{name}{{{inside}}}`" if inside else f"`{name}`"


def _access_line(seen: Seen) -> str:
    own = {field.name for field in (*fields.ACCESS_FIELDS, *fields.DETAIL_FIELDS)}
    others = {name for line in seen.lines if line["logger"] == "shop" for name in line}
    _check_meanings("log fields", own | others, ACCESS_FIELDS | LINE_FIELDS)
    return _table("field", ACCESS_FIELDS)


def _attributes(seen: Seen) -> str:
    _check_meanings("span attributes", seen.attributes, ATTRIBUTES)
    return _table("attribute", ATTRIBUTES)


def _loggers() -> str:
    _check_meanings("loggers", set(_named_loggers()), LOGGERS)
    return _table("logger", LOGGERS)


def _named_loggers() -> Iterator[str]:
    for folder in ("obs_middleware", "adapters"):
        for module in (ROOT / folder).rglob("*.py"):
            yield from re.findall(r"getLogger\(\"(obs[\w.]*)\"\)", module.read_text(encoding="utf-8"))


def _check_meanings(what: str, found: set[str], meanings: dict[str, str]) -> None:
    if found != meanings.keys():
        lacking, stale = sorted(found - meanings.keys()), sorted(meanings.keys() - found)
        raise SystemExit(
            f"scripts/names_page.py: {what} without a meaning: {lacking}; that are no more: {stale}"
        )


def _table(what: str, meanings: dict[str, str]) -> str:
    lines = (f"| `{name}` | {about} |" for name, about in meanings.items())
    return "\n".join((f"| {what} | is |", "|---|---|", *lines))


if __name__ == "__main__":
    page = in_page(PAGE.read_text(encoding="utf-8"))
    if "--print" in sys.argv:
        sys.stdout.write(page)
    else:
        PAGE.write_text(page, encoding="utf-8")
