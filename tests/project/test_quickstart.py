"""The README's first minutes: the wheel in an empty environment, the README's own lines, a stock server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import installed, running
from tests.installed import ROOT
from tests.running import Server

URLS = """
from django.http import JsonResponse
from django.urls import path

urlpatterns = [path("items/<int:item_id>", lambda request, item_id: JsonResponse({"item_id": item_id}))]
"""
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
APPLICATION = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.{kind} import get_{kind}_application
application = get_{kind}_application()
"""
# Imported by every Python of the environment before anything else: notes each attempt to reach another machine.
GUARD = """
import os, sys

def guard(event, given):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        address = given[1] if event in ("socket.connect", "socket.sendto") else given
        host = address[0] if isinstance(address, tuple) else address
        if str(host) not in ("127.0.0.1", "::1", "localhost", "None") and isinstance(address, tuple):
            with open(os.environ["GUARD_FILE"], "a") as file:
                print(event, host, file=file)

sys.addaudithook(guard)
"""
# What the servers print before the app is loaded, and gunicorn's master, which never loads it.
BANNERS = re.compile(
    r"INFO: +(Started server process|Waiting for application startup)|\[[^\]]+\] \[\d+\] \[INFO\] "
    r"(Starting gunicorn|Listening at|Using worker|Booting worker|Control socket|Handling signal|Shutting down)"
)
BAD = {"OBS_TRACE_SAMPLE_RATIO": "10%"}
COMPLAINT = "OBS_TRACE_SAMPLE_RATIO must be a number between 0 and 1, got '10%'"
UVICORN = ["uvicorn", "--port", "{port}"]
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}"]

KINDS: dict[str, tuple[str, list[str]]] = {
    "fastapi": ("fastapi", [*UVICORN, "app:app"]),
    "flask": ("flask", [*GUNICORN, "app:app"]),
    "django wsgi": ("django", [*GUNICORN, "app_wsgi"]),
    "django asgi": ("django", [*UVICORN, "app_asgi:application"]),
}


def readme(first_words: str) -> str:
    """Return the first code block of the README below a line that begins with these words."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    match = re.search(rf"^{re.escape(first_words)}.*?```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert match, f"no code below {first_words}"
    return match[1]


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python of one environment, that was empty before."""
    return installed.empty_environment("quickstart")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(kind: str, python: Path, tmp_path: Path) -> Path:
    """A folder with the app's few lines; its extra and its server are installed."""
    extra, command = KINDS[kind]
    installed.install(python, f"{installed.wheel()}[{extra}]", command[0])
    if extra == "django":
        line = readme("**Django**").replace(", ...", "")
        (tmp_path / "settings.py").write_text(f'{line}\nSECRET_KEY = "x"\nROOT_URLCONF = "urls"\n')
        (tmp_path / "urls.py").write_text(URLS)
        (tmp_path / "manage.py").write_text(MANAGE)
        for name in ("wsgi", "asgi"):
            (tmp_path / f"app_{name}.py").write_text(APPLICATION.format(kind=name))
    else:
        (tmp_path / "app.py").write_text(readme("**FastAPI**" if extra == "fastapi" else "**Flask**"))
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    return tmp_path


def server_command(kind: str, python: Path) -> list[Any]:
    server, *options = KINDS[kind][1]
    return [python, "-m", server, *options, *(running.gunicorn_options() if server == "gunicorn" else ())]


def environment(project: Path, **more: str) -> dict[str, str]:
    guard = {"PYTHONPATH": str(project / "guard"), "GUARD_FILE": str(project / "connects")}
    return {**installed.clean(), **guard, "HOME": str(project), **more}


@contextmanager
def serve(kind: str, python: Path, project: Path) -> Iterator[Server]:
    command = server_command(kind, python)
    with running.serve(command, folder=project, env=environment(project)) as server:
        yield server


def test_the_readmes_lines_are_enough(kind: str, python: Path, project: Path) -> None:
    """IDs, probes, metrics and a JSON log; nothing else is printed, and nothing is sent to anyone."""
    with serve(kind, python, project) as server:
        first = server.get("/items/1")
        assert (first.status, json.loads(first.body)) == (200, {"item_id": 1})
        assert re.fullmatch(
            r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first.request_id
        )
        assert first.headers["X-Correlation-ID"] == first.request_id
        assert server.get("/nothing").request_id
        for probe in ("live", "ready", "startup"):
            answer = server.get(f"/health/{probe}")
            assert (answer.status, json.loads(answer.body)) == (200, {"status": "pass"})
        page = server.get("/metrics")
        assert page.status == 200
        template = "{item_id}" if kind == "fastapi" else "<int:item_id>"
        assert f'http_route="/items/{template}"' in page.body.decode()
        line, missing = server.access(2)
        assert (line["path"], line["status"], line["outcome"]) == ("/items/1", 200, "ok")
        assert line["request_id"] == first.request_id
        assert (missing["path"], missing["status"]) == ("/nothing", 404)
        server.stop()
    printed = [line for line in (server.stdout + server.stderr).splitlines() if not BANNERS.match(line)]
    assert printed
    for text in printed:
        assert {"timestamp", "level", "logger", "message"} <= json.loads(text).keys()
    assert not (project / "connects").exists(), (project / "connects").read_text()


def test_the_guard_would_see_a_connection(python: Path, tmp_path: Path) -> None:
    """So that the silence above is not the guard's own."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 4318))"
    seen = tmp_path / "connects"
    installed.run(python, "-c", f"{code}", PYTHONPATH=str(tmp_path), GUARD_FILE=str(seen))
    assert seen.read_text() == "socket.connect 192.0.2.1\n"


def test_a_bad_setting_stops_the_server_at_its_start(kind: str, python: Path, project: Path) -> None:
    """One clear error, an exit code, and no request that is answered with a 500."""
    command = server_command(kind, python)
    with running.start(command, folder=project, env=environment(project, **BAD)) as server:
        assert server.process.wait(running.START_SECONDS) != 0
    printed = server.stdout + server.stderr
    errors = {line for line in printed.splitlines() if COMPLAINT in line}
    if kind == "fastapi":  # a startup that failed, in one line
        assert (len(errors), printed.count("Traceback")) == (1, 0), printed
    else:  # an import that failed, which gunicorn tells twice
        assert f"obs_middleware.errors.ConfigError: {COMPLAINT}" in errors, printed
        assert printed.count("Traceback") == 1, printed


@pytest.mark.parametrize("kind", ["django wsgi"], indirect=True)
def test_a_bad_setting_is_told_by_manage_py_check(kind: str, python: Path, project: Path) -> None:
    """And by every command of manage.py that runs the checks: no traceback, one error with its id."""
    command = [python, "manage.py", "check"]
    with running.start(command, folder=project, env=environment(project, **BAD)) as check:
        assert check.process.wait(running.START_SECONDS) == 1
    assert f"(obs.E001) {COMPLAINT}" in check.stderr
    assert "Traceback" not in check.stderr
