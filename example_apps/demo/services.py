"""The four services: what each runs on, with which command, and whom it calls."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

HOST = "127.0.0.1"

UVICORN = (
    *(sys.executable, "-m", "uvicorn", "{app}", "--host", HOST, "--port", "{port}"),
    *("--workers", "{workers}", "--timeout-graceful-shutdown", "3"),
)
GUNICORN = (
    *(sys.executable, "-m", "gunicorn", "{app}", "--bind", f"{HOST}:{{port}}"),
    *("--workers", "{workers}", "--threads", "8", "--graceful-timeout", "3"),
    *("--keep-alive", "10"),  # httpx keeps a connection for 5 s: the server must not be the first to close it
)

WORKER = (sys.executable, "-m", "example_apps.tokpulse.worker")

METRICS_TOKEN = "demo-metrics-token"
HEALTH_TOKEN = "demo-health-token"


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    runs_on: str
    command: tuple[str, ...]
    app: str
    workers: int = 1
    calls: str = ""  # the service that this one calls
    prepare: tuple[str, ...] = ()  # a command to run before the server
    beside: tuple[tuple[str, ...], ...] = ()  # commands of processes that run beside the server
    metrics_path: str = "/metrics"
    environment: Mapping[str, str] = field(default_factory=dict)


SERVICES = (
    Service(
        name="tokpulse",
        runs_on="FastAPI, uvicorn",
        command=UVICORN,
        app="example_apps.tokpulse.app:app",
        calls="audotics",
        metrics_path="/internal/metrics",
        beside=(WORKER,),
        environment={"TOKPULSE_METRICS_TOKEN": METRICS_TOKEN, "TOKPULSE_BACKOFF_SECONDS": "0.1"},
    ),
    Service(
        name="audotics",
        runs_on="Flask, gunicorn",
        command=GUNICORN,
        app="example_apps.audotics.app:create_app()",
        workers=2,
        calls="zerostate",
    ),
    Service(
        name="zerostate",
        runs_on="Django, gunicorn",
        command=GUNICORN,
        app="example_apps.zerostate.wsgi",
        workers=2,  # each is a peer of the other
        calls="utilityfog",
        prepare=(sys.executable, "-m", "django", "migrate", "--verbosity", "0"),
        environment={"DJANGO_SETTINGS_MODULE": "example_apps.zerostate.settings"},
    ),
    Service(
        name="utilityfog",
        runs_on="Starlette, uvicorn",
        command=UVICORN,
        app="example_apps.utilityfog.app:app",
    ),
)


def ports(base: int) -> dict[str, int]:
    return {service.name: base + offset for offset, service in enumerate(SERVICES)}
