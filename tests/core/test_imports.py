"""Importing the core is cheap: no framework, no SDK, no event loop."""

from __future__ import annotations

import obs_middleware
from tests.core.support import python

HEAVY = (
    "asyncio",
    "starlette",
    "fastapi",
    "flask",
    "django",
    "werkzeug",
    "pydantic",
    "opentelemetry.sdk",
    "requests",
    "multiprocessing",
)

IMPORTED = """
import sys, opentelemetry.trace, prometheus_client
before = set(sys.modules)
import obs_middleware
print(*sorted(name for name in {heavy} if name in sys.modules and name not in before))
"""


def test_core_imports_nothing_heavy() -> None:
    assert python(IMPORTED.format(heavy=HEAVY)).split() == []


def test_core_itself_imports_no_framework_and_no_sdk_at_all() -> None:
    code = "import sys, obs_middleware; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    assert not {"starlette", "fastapi", "flask", "django"} & set(python(code).split())
    assert python("import sys, obs_middleware; print('opentelemetry.sdk' in sys.modules)") == "False\n"


def test_observer_and_a_whole_exchange_need_no_sdk_and_no_framework() -> None:
    code = """
import sys
for name in ("opentelemetry.sdk", "starlette", "fastapi", "flask", "django"):
    sys.modules[name] = None
from obs_middleware import Observer, RequestInfo
from obs_middleware.health import checks
checks._WAIT_SECONDS = 10.0  # as long the probe waits on a busy machine
own = Observer(access_log=False)
own.health.add("database", lambda: None)
own.gateway.set_up()
own.gateway.started()
exchange = own.gateway.start(RequestInfo("GET", "/", "", "http", {}.get))
with exchange:
    exchange.status = 200
exchange.finish()
for path in sorted(own.gateway.paths):
    print(own.gateway.reply(RequestInfo("GET", path, "", "http", {}.get), path).status)
own.close()
"""
    assert python(code).split() == ["200"] * 8


def test_public_names_are_sorted_and_there() -> None:
    assert list(obs_middleware.__all__) == sorted(obs_middleware.__all__)
    assert all(hasattr(obs_middleware, name) for name in obs_middleware.__all__)


def test_what_only_a_page_needs_is_imported_with_the_first_page() -> None:
    code = """
import sys
from obs_middleware import Observer, RequestInfo
own = Observer(access_log=False)
exchange = own.gateway.start(RequestInfo("GET", "/", "", "http", {}.get))
exchange.finish()
late = [
    f"obs_middleware.metrics.exposition.{name}"
    for name in ("page", "registry", "client_classes", "http_server", "text")
]
print(*(name in sys.modules for name in late))
own.gateway.reply(RequestInfo("GET", "/metrics", "", "http", {}.get), "/metrics")
print(*(name in sys.modules for name in late))
"""
    assert python(code).split() == ["False"] * 5 + ["True"] * 5


def test_the_request_path_is_compiled_where_no_span_is_sent() -> None:
    code = """
from obs_middleware import Observer, _speedups
Observer()
print(_speedups.is_built(), _speedups.is_in_use())
"""
    is_built, is_in_use = python(code).split()
    assert is_in_use == is_built


LATE = """
import sys
from obs_middleware import Observer, RequestInfo, outgoing_headers
own = Observer(access_log=False)

def serve(**headers):
    exchange = own.gateway.start(RequestInfo("GET", "/", "", "http", headers.get, has_context_headers=bool(headers)))
    with exchange:
        {within}
    exchange.finish()
    return exchange

"""


def test_propagators_are_imported_when_a_request_brings_baggage_or_sends_something_on() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    code = LATE.format(within="pass")
    code += f"serve(), serve(traceparent={parent!r})\nprint('opentelemetry.propagate' in sys.modules)\n"
    code += "serve(baggage='a=1')\nprint('opentelemetry.propagate' in sys.modules)"
    assert python(code).split() == ["False", "True"]
    code = LATE.format(within="print(outgoing_headers()['traceparent'][3:35] == exchange.trace_id)")
    assert python(code + "serve(), serve()").split() == ["True", "True"]


def test_a_propagator_that_is_set_later_is_asked_from_then_on() -> None:
    code = LATE.format(within="pass")
    code += """serve()
from opentelemetry import propagate
from opentelemetry.propagators.textmap import TextMapPropagator
class Own(TextMapPropagator):
    fields = {"own"}
    def inject(self, *given, **named): pass
    def extract(self, carrier, context=None, getter=None):
        print("asked")
        return context
propagate.set_global_textmap(Own())
serve()"""
    assert python(code).split() == ["asked"]


def test_exporters_are_imported_when_they_are_asked_for() -> None:
    code = """
import sys
from obs_middleware import Observer
observer = Observer(log_setup=False)
modules = [f"obs_middleware.export.{name}" for name in ("pushgateway", "textfile", "json_file", "otlp_metrics")]
print(*(name in sys.modules for name in modules))
import obs_middleware.export as export
print(*(hasattr(export, name) for name in (*export.__all__, "Graphite")))
"""
    assert python(code).split() == ["False"] * 4 + ["True"] * 6 + ["False"]
