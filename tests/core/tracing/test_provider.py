"""The SDK is set up where the user has not done it, and only when there is somewhere to send spans to."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

from obs_middleware import ConfigError
from tests.core.support import observer, python

EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"

RUN = """
import json, os, sys
{before}
from obs_middleware import Observer, RequestInfo, Settings
from opentelemetry import trace
{middle}
own = Observer(Settings.load(log_setup=False, access_log=False{settings}))
own.gateway.set_up()
exchange = own.gateway.start(RequestInfo("GET", "/items/7", "", "http", {{}}.get))
exchange.route, exchange.status = "/items/{{i}}", 200
exchange.finish()
own.close()
provider = trace.get_tracer_provider()
{after}
"""

SINK = """
import gzip, http.server, threading
received = []
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        received.append((self.path, self.headers["Content-Type"], body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
for name, value in os.environ.items():
    os.environ[name] = value.replace("SINK", f"http://127.0.0.1:{server.server_port}")
"""

DECODE = """
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
batches = []
for path, kind, body in received:
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = {pair.key: pair.value.string_value for pair in resource_spans.resource.attributes}
        spans = [span for scope in resource_spans.scope_spans for span in scope.spans]
        names = [[span.name, span.kind, span.trace_id.hex()] for span in spans]
        batches.append([path, kind, resource, names, exchange.trace_id])
print(json.dumps(batches))
"""


def run(*, before: str = "", middle: str = "", after: str = "", settings: str = "", **env: str) -> str:
    return python(RUN.format(before=before, middle=middle, after=after, settings=settings), env=env)


def received(**env: str) -> list[Any]:
    batches: list[Any] = json.loads(run(before=SINK, after=DECODE, **env))
    return batches


KIND = "print(type(provider).__name__, sys.modules.get('opentelemetry.sdk') is not None)"


def test_without_an_endpoint_nothing_is_set_up_and_no_sdk_is_imported() -> None:
    assert run(after=KIND).split() == ["ProxyTracerProvider", "False"]


def test_with_tracing_off_nothing_is_set_up() -> None:
    assert run(after=KIND, OBS_OTLP_ENDPOINT="http://127.0.0.1:9", OBS_TRACING_ENABLED="0").split() == [
        "ProxyTracerProvider",
        "False",
    ]


def test_spans_reach_the_collector_as_otlp() -> None:
    ((path, kind, resource, spans, trace_id),) = received(
        OBS_OTLP_ENDPOINT="SINK",
        OBS_TRACE_SAMPLE_RATIO="1",
        OBS_SERVICE_NAME="shop",
        OBS_SERVICE_VERSION="1.2",
        OBS_ENVIRONMENT="staging",
        OTEL_RESOURCE_ATTRIBUTES="team=checkout,service.name=theirs",
    )
    assert (path, kind) == ("/v1/traces", "application/x-protobuf")
    assert spans == [["GET /items/{i}", 2, trace_id]]
    assert resource["service.name"] == "shop"
    assert resource["service.version"] == "1.2"
    assert resource["deployment.environment.name"] == "staging"
    assert resource["team"] == "checkout"
    assert resource["service.instance.id"]
    assert resource["host.name"]
    assert resource["telemetry.sdk.name"] == "opentelemetry"


@pytest.mark.parametrize(
    ("env", "path"),
    [
        ({"OBS_OTLP_ENDPOINT": "SINK/"}, "/v1/traces"),
        ({"OBS_OTLP_ENDPOINT": "SINK/base"}, "/base/v1/traces"),
        ({"OBS_OTLP_ENDPOINT": "SINK/base/v1/traces"}, "/base/v1/traces"),
        ({"OTLP_ENDPOINT": "SINK"}, "/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "SINK"}, "/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "SINK/base"}, "/base/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "SINK/as/it/is"}, "/as/it/is"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "SINK/t",
            },
            "/t",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OBS_OTLP_ENDPOINT": "SINK"}, "/v1/traces"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_endpoint_is_taken_from_every_source_by_its_own_rules(env: dict[str, str], path: str) -> None:
    ((sent_to, *_),) = received(OBS_TRACE_SAMPLE_RATIO="1", **env)
    assert sent_to == path


SAMPLER = "print(provider.sampler.get_description())"


@pytest.mark.parametrize(
    ("env", "described"),
    [
        ({}, "ParentBased{root:TraceIdRatioBased{0.1}"),
        ({"OBS_ENVIRONMENT": "development"}, "ParentBased{root:TraceIdRatioBased{1.0}"),
        (
            {"OBS_ENVIRONMENT": "development", "OBS_TRACE_SAMPLE_RATIO": "0"},
            "ParentBased{root:TraceIdRatioBased{0.0}",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.3"},
            "ParentBased{root:TraceIdRatioBased{0.3}",
        ),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.3"}, "TraceIdRatioBased{0.3}"),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "AlwaysOffSampler"),
    ],
    ids=str,
)
def test_sampler_is_the_settings_or_the_standard_variables(env: dict[str, str], described: str) -> None:
    env = {"OBS_OTLP_ENDPOINT": "SINK", **env}
    assert run(before=SINK, after=SAMPLER, **env).startswith(described)


THEIRS = """
from opentelemetry.sdk.trace import TracerProvider
theirs = TracerProvider()
trace.set_tracer_provider(theirs)
"""


def test_provider_of_the_user_stays() -> None:
    middle = THEIRS
    assert (
        run(middle=middle, after="print(provider is theirs)", OBS_OTLP_ENDPOINT="http://127.0.0.1:9")
        == "True\n"
    )


def test_provider_of_the_user_needs_no_exporter_of_ours() -> None:
    middle = THEIRS + f"sys.modules[{EXPORTER!r}] = None"
    assert (
        run(
            middle=middle, after="print(provider is theirs)", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"
        )
        == "True\n"
    )


def test_second_observer_of_a_process_shares_the_provider() -> None:
    after = "Observer(Settings.load(log_setup=False)).gateway.set_up()\nprint(provider is trace.get_tracer_provider())"
    assert run(before=SINK, after=after, OBS_OTLP_ENDPOINT="SINK") == "True\n"


@pytest.mark.parametrize("missing", [EXPORTER, "opentelemetry.sdk.trace.export"])
def test_missing_exporter_is_told_at_start_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The SDK always, its exporter where a proxy is named, which ours knows nothing of."""
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)  # whatever others have set
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(ConfigError, match=r"otlp_endpoint is set.*pip install 'obs-middleware\[otlp\]'"):
        observer(otlp_endpoint="http://collector:9")
    observer()
    observer(otlp_endpoint="http://127.0.0.1:9", tracing_enabled=False)


def test_the_sdk_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", os.devnull)  # no .netrc
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    observer(otlp_endpoint="http://127.0.0.1:9")


TO_STDOUT = "import logging\nlogging.basicConfig(stream=sys.stdout, format='%(name)s %(message)s')"
BAD = {
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many",
    "OTEL_BSP_MAX_QUEUE_SIZE": "100",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1000",
    "OTEL_BSP_SCHEDULE_DELAY": "5s",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "10s",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "gprc",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem",
    "OTEL_TRACES_SAMPLER": "sometimes",
    "OTEL_PROPAGATORS": "tracecontext, b4",
    "OTEL_PYTHON_TRACER_PROVIDER": "nobodys",
    "OTEL_RESOURCE_ATTRIBUTES": "team=checkout,tier",
}


def test_bad_variables_are_warned_of_and_spans_are_sent() -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "SINK", "OBS_TRACE_SAMPLE_RATIO": "1", **BAD}
    printed = run(before=TO_STDOUT + SINK, after=DECODE, **env)
    *lines, told = printed.splitlines()
    ((path, _, resource, spans, trace_id),) = json.loads(told)
    assert (path, spans) == ("/v1/traces", [["GET /items/{i}", 2, trace_id]])
    assert resource["team"] == "checkout"
    for name in BAD:
        if name != "OTEL_BSP_MAX_QUEUE_SIZE":
            assert len([line for line in lines if line.startswith(f"obs {name} must be ")]) == 1


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "unix:///run/otel.sock", "OTEL_TRACES_EXPORTER": "otlp_proto_grpc"},
    ],
    ids=str,
)
def test_endpoint_that_cannot_be_used_is_warned_of_and_the_app_starts(env: dict[str, str]) -> None:
    """Here no exporter for gRPC is installed."""
    *lines, kind = run(before=TO_STDOUT, after="print(type(provider).__name__)", **env).splitlines()
    (line,) = lines
    assert line.startswith("obs OTEL_EXPORTER_OTLP_ENDPOINT must be ")
    assert kind == "ProxyTracerProvider"


@pytest.mark.parametrize(
    ("env", "attributes"),
    [
        (
            {
                "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=pod-7, host.name = node-3 ,service.namespace=a%20b"
            },
            {"service.instance.id": "pod-7", "host.name": "node-3", "service.namespace": "a b"},
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=blue,service.version=7"},
            {
                "deployment.environment.name": "blue",
                "service.version": "7",
                "service.name": "unknown_service",
            },
        ),
        (
            {"OBS_ENVIRONMENT": "green", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=blue"},
            {"deployment.environment.name": "green"},
        ),
        ({}, {"deployment.environment.name": "production", "service.name": "unknown_service"}),
    ],
    ids=str,
)
def test_resource_attributes_of_the_user_beat_those_that_we_suppose(
    env: dict[str, str], attributes: dict[str, str]
) -> None:
    after = "print(json.dumps(dict(provider.resource.attributes)))"
    found = json.loads(run(before=SINK, after=after, OTEL_EXPORTER_OTLP_ENDPOINT="SINK", **env))
    assert {name: found[name] for name in attributes} == attributes


def package_with_sampler(folder: Path, make: str) -> None:
    (folder / "odd.py").write_text(
        f"from opentelemetry.sdk.trace.sampling import TraceIdRatioBased\nmake = lambda arg: {make}\n"
    )
    info = folder / "odd-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[opentelemetry_traces_sampler]\nodd = odd:make\n")


def test_sampler_of_a_package_is_used_as_the_sdk_uses_it(tmp_path: Path) -> None:
    package_with_sampler(tmp_path, "TraceIdRatioBased(float(arg))")
    code = RUN.format(before=SINK, middle="", after=SAMPLER, settings="")
    env = {"OBS_OTLP_ENDPOINT": "SINK", "OTEL_TRACES_SAMPLER": "odd", "OTEL_TRACES_SAMPLER_ARG": "0.25"}
    assert python(code, env=env, path=(tmp_path,)) == "TraceIdRatioBased{0.25}\n"


@pytest.mark.parametrize("variable", ["OBS_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_sampler_that_cannot_be_made_costs_the_spans_and_not_the_app(tmp_path: Path, variable: str) -> None:
    package_with_sampler(tmp_path, "1 / 0")
    after = """
print(type(provider).__name__, own.registry.get_sample_value("http_server_request_duration_seconds_count", {
    "http_request_method": "GET", "http_route": "/items/{i}", "http_response_status_code": "200", "error_type": ""
}))
"""
    code = RUN.format(before=TO_STDOUT, middle="", after=after, settings="")
    env = {variable: "http://127.0.0.1:9", "OTEL_TRACES_SAMPLER": "odd"}
    *lines, told = python(code, env=env, path=(tmp_path,)).splitlines()
    assert told == "ProxyTracerProvider 1.0"
    assert "division by zero" in "\n".join(lines)


def test_the_tracer_has_our_version() -> None:
    after = """
from importlib.metadata import version
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
(scope,) = ExportTraceServiceRequest.FromString(received[0][2]).resource_spans[0].scope_spans
print(scope.scope.name, scope.scope.version == version("obs-middleware"))
"""
    env = {"OBS_OTLP_ENDPOINT": "SINK", "OBS_TRACE_SAMPLE_RATIO": "1"}
    assert run(before=SINK, after=after, **env) == "obs_middleware True\n"
