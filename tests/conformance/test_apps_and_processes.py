"""Apps, processes and what else observes them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from obs_middleware import ConfigError
from tests.conformance.alone import PAGES, TARGETS, TRACE_ID
from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import Request, Response, over_socket
from tests.conformance.servers import PATIENCE_SECONDS, eventually
from tests.running import free_port

ROOT = Path(__file__).parents[2]


def test_the_given_registry_is_the_only_one_used(make: Any, front_end: FrontEnd) -> None:
    """A registry that is handed in is the only one used, the gauge too."""
    before = {family.name for family in REGISTRY.collect()}
    app = make()
    app.call(Request(b"/items/1"))
    assert app.counts()["GET", front_end.routes["item"], "200", ""] == 1
    assert any(name == "http_server_active_requests" for name, _ in app.samples())
    new = {family.name for family in REGISTRY.collect()} - before
    # An Observer of another test may be there, and tell of the loops of all apps.
    assert [name for name in new if not name.startswith("asyncio_")] == []


@pytest.mark.needs("two apps")
def test_two_apps_in_a_process_do_not_mix(make: Any, front_end: FrontEnd) -> None:
    """Two apps in one process, each with its observer, do not mix."""
    first, second = make(), make()
    first.call(Request(b"/items/1"))
    second.call(Request(b"/nothing"))
    second.call(Request(b"/nothing"))
    assert first.counts() == {("GET", front_end.routes["item"], "200", ""): 1}
    assert second.counts() == {("GET", "", "404", ""): 2}
    assert len(first.spans(1)) + len(second.spans(2)) == 3


@pytest.mark.needs("two apps")
def test_two_apps_may_share_a_registry(make: Any) -> None:
    """Two apps made by one factory may share a registry: no duplicated time series."""
    registry = CollectorRegistry()
    for _ in range(3):
        make(registry=registry).call(Request(b"/items/1"))
    assert make(registry=registry).counts().total() == 3


@pytest.mark.needs("two apps")
def test_two_apps_may_share_an_observer(make: Any, front_end: FrontEnd) -> None:
    """Two apps may share an observer."""
    first = make()
    other = front_end.make_app(first.observer)
    first.call(Request(b"/items/1"))
    front_end.call(other, Request(b"/items/1"))
    assert first.counts().total() == 2


def test_an_app_can_be_made_again_and_again(make: Any) -> None:
    """An app factory can be called again and again, as tests do."""
    for _ in range(3):
        app = make()
        app.call(Request(b"/items/1"))
        assert app.counts().total() == 1


@pytest.mark.needs("asgi")
def test_an_app_can_be_started_again_and_again(make: Any, front_end: FrontEnd) -> None:
    """An app can be started and stopped again and again, as test clients do."""
    app = make()
    for _ in range(3):
        front_end.call(app.app, Request(b"/items/1"))
        assert front_end.call(app.app, Request(b"/health/ready")).status == 200
    assert app.counted(3)
    assert len({line["request_id"] for line in app.access_lines(3)}) == 3


@pytest.mark.needs("wsgi")
def test_the_validator_of_wsgi_finds_nothing(make: Any, front_end: FrontEnd) -> None:
    """`wsgiref.validate` has nothing to say."""
    from wsgiref.validate import validator

    app, bare = validator(make().app), validator(front_end.make_bare_app())
    targets = (b"/items/1", b"/nothing", b"/stream", b"/handled", b"/metrics", b"/health/ready", b"/boom")
    for target in targets:
        for method in (b"GET", b"HEAD"):
            observed = front_end.call(app, Request(target, method, ((b"content-type", b"text/plain"),)))
            if isinstance(observed.error, AssertionError):
                expected = front_end.call(bare, Request(target, method, ((b"content-type", b"text/plain"),)))
                assert str(observed.error) == str(expected.error), (target, method)


def test_one_line_is_enough(front_end: FrontEnd, tmp_path: Path) -> None:
    """One line and no setting: IDs, probes and metrics are there, and stdout has JSON lines and nothing else."""
    found, output, errors = _alone(front_end, "default", tmp_path)
    assert found["statuses"] == [200, 200, 500, 404, 200, 200, 200, 200]
    assert [len(ids) for ids in found["ids"]] == [1, 1, 1, 1, 0, 0, 0, 0]
    assert "http_server_request_duration_seconds_bucket" in found["page"]
    lines = [json.loads(line) for line in output.splitlines()]
    access = [line for line in lines if line["logger"] == "obs.access"]
    assert [line["status"] for line in access] == [200, 200, 500, 404]
    assert {line["trace_id"] for line in access} == {TRACE_ID}
    assert errors == ""


@pytest.mark.parametrize("how", ["instrumented-before", "instrumented-after"])
def test_beside_an_opentelemetry_instrumentation_there_is_one_server_span(
    front_end: FrontEnd, tmp_path: Path, how: str
) -> None:
    """Beside OpenTelemetry's own instrumentation there is one server span for a request, and the log has its ID."""
    found, output, errors = _alone(front_end, how, tmp_path)
    _has_one_server_span_each(found, output)
    assert "detach" not in errors
    if how == "instrumented-before":  # put around us it sees what it is not told to leave out
        assert _spans_of_pages(found) == []


@pytest.mark.needs("native telemetry")
def test_beside_native_telemetry_there_is_one_server_span(front_end: FrontEnd, tmp_path: Path) -> None:
    """Beside FastAPI's own telemetry there is one server span for a request, and the log has its ID."""
    found, output, errors = _alone(front_end, "native", tmp_path)
    _has_one_server_span_each(found, output)
    assert "detach" not in errors


@pytest.mark.needs("native telemetry")
def test_beside_native_telemetry_probes_are_silent(front_end: FrontEnd, tmp_path: Path) -> None:
    """Beside FastAPI's own telemetry probes and scrapes are not traced either."""
    found, _, _ = _alone(front_end, "native", tmp_path)
    assert _spans_of_pages(found) == []


def test_the_app_runs_under_a_server_of_production(front_end: FrontEnd) -> None:
    """Under uvicorn or gunicorn, as in production: requests, streams, errors, probes, log and a clean stop."""
    with _deployed(front_end) as (address, process):
        first = _ask(address, b"/items/1")
        assert (first.status, first.body) == (200, b"item 1")
        assert _ask(address, b"/stream").body == b"one,two,three"
        assert len(_ask(address, b"/boom").all("x-request-id")) == 1
        assert _ask(address, b"/health/ready").status == 200
        page = _page_with(address, b'error_type="ValueError"')
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode in (0, -signal.SIGTERM), output
    assert f'http_route="{front_end.routes["item"]}"' in page
    lines = [json.loads(line) for line in output.splitlines()]
    access = [line for line in lines if line["logger"] == "obs.access"]
    by_path = {line["path"]: line for line in access}
    assert {path: line["status"] for path, line in by_path.items()} == {
        "/items/1": 200,
        "/stream": 200,
        "/boom": 500,
    }
    assert len(access) == 3
    assert by_path["/items/1"]["request_id"] == first.request_id
    assert by_path["/stream"]["duration_ms"] > 290
    assert "uvicorn.access" not in {line["logger"] for line in lines}


@pytest.mark.parametrize("setting", ["metrics_pth", "log_level"])
def test_a_bad_setting_is_told_when_the_app_is_made(make: Any, setting: str) -> None:
    """A bad setting is told at once, by its name."""
    with pytest.raises(ConfigError, match=setting):
        make(**{setting: "nonsense"})


def _has_one_server_span_each(found: Any, output: str) -> None:
    pages = _spans_of_pages(found)
    servers = [span for span in found["spans"] if span["kind"] == "SERVER" and span not in pages]
    assert len(servers) == len(TARGETS), [(span["name"], span["kind"]) for span in found["spans"]]
    assert {span["trace_id"] for span in servers} == {TRACE_ID}
    assert "items" in servers[0]["attributes"].get("http.route", servers[0]["name"])
    access = [line for line in map(json.loads, output.splitlines()) if line["logger"] == "obs.access"]
    assert [line["trace_id"] for line in access] == [TRACE_ID] * len(TARGETS)
    assert [len(ids) for ids in found["ids"]] == [1, 1, 1, 1, 0, 0, 0, 0]


def _spans_of_pages(found: Any) -> list[Any]:
    paths = [page.decode() for page in PAGES]
    return [span for span in found["spans"] if span["kind"] == "SERVER" and _path(span) in paths]


def _path(span: Any) -> str:
    attributes = span["attributes"]
    url = attributes.get("url.path") or attributes.get("http.target") or attributes["http.url"]
    return urlsplit(str(url)).path


def _alone(front_end: FrontEnd, how: str, folder: Path) -> tuple[Any, str, str]:
    file = folder / "found.json"
    command = [sys.executable, "-m", "tests.conformance.alone", front_end.name, how, str(file)]
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text(encoding="utf-8")), done.stdout, done.stderr


def _environment() -> dict[str, str]:
    ours = ("OBS_", "OTEL_", "LOG_LEVEL", "SERVICE_", "REDACT_PII", "TRACING_ENABLED", "OTLP_ENDPOINT")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = [str(ROOT), str(ROOT / "adapters"), environment.get("PYTHONPATH", "")]
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, path))}


@contextlib.contextmanager
def _deployed(front_end: FrontEnd) -> Iterator[tuple[tuple[str, int], subprocess.Popen[str]]]:
    port = str(free_port())
    app = f"tests.conformance.deployed:{front_end.name}"
    if front_end.is_asgi:
        command = ["uvicorn", app, "--port", port]
    else:
        command = [
            "gunicorn",
            app,
            "--bind",
            f"127.0.0.1:{port}",
            "--threads",
            "2",
            "--worker-tmp-dir",
            "/dev/shm",
        ]
        command += ["--no-control-socket"] if _has_control_socket() else []
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    address = ("127.0.0.1", int(port))
    try:
        _wait_until_it_answers(address, process)
        yield address, process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _wait_until_it_answers(address: tuple[str, int], process: subprocess.Popen[str]) -> None:
    def answers() -> bool:
        assert process.poll() is None, "the server ended at its start"
        with contextlib.suppress(OSError):
            return _ask(address, b"/health/startup").status == 200
        return False

    eventually(answers, "the server answers")


def _page_with(address: tuple[str, int], wanted: bytes) -> str:
    """Return the metrics page when it has what is wanted: a client has its answer before the request is counted."""
    eventually(lambda: wanted in _ask(address, b"/metrics").body, f"{wanted!r} on the metrics page")
    return _ask(address, b"/metrics").body.decode()


def _has_control_socket() -> bool:
    """Tell whether gunicorn has the socket that its newer versions open in the working directory."""
    from gunicorn.config import KNOWN_SETTINGS

    return any("--no-control-socket" in (setting.cli or ()) for setting in KNOWN_SETTINGS)


def _ask(address: tuple[str, int], target: bytes) -> Response:
    return over_socket(address, Request(target))
