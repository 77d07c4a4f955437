"""The services as processes: how each is started, waited for, and stopped with nothing left behind."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from example_apps.demo.errors import DemoError
from example_apps.demo.services import HEALTH_TOKEN, HOST, SERVICES, Service

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 8.0

# Variables of the person's own shell that would make the services other than the tour expects.
NOT_INHERITED = (
    *("OBS_", "SERVICE_", "LOG_LEVEL", "REDACT_PII", "TRACING_ENABLED", "OTEL_SDK_", "OTEL_PROPAGATORS"),
    *("WEB_CONCURRENCY", "GUNICORN_", "UVICORN_", "PROMETHEUS_", "DJANGO_", "FLASK_"),
)


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs, where it answers, and the files that are its own."""

    service: Service
    url: str
    directory: Path
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    beside: tuple[subprocess.Popen[bytes], ...] = ()  # its workers

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def log(self) -> Path:
        return log_of(self.directory)

    @property
    def database(self) -> Path:
        return database_of(self.directory)

    @property
    def metrics_url(self) -> str:
        return self.url + self.service.metrics_path

    def get(self, path: str, *, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(self.url + path, headers=headers, trust_env=False, timeout=5.0)


@contextmanager
def running(
    ports: Mapping[str, int], directory: Path, services: Sequence[Service] = SERVICES
) -> Iterator[dict[str, Running]]:
    """Run services until the block ends, however it ends; each keeps its files in a folder of `directory`.

    Raises:
        DemoError: one did not come up.
        TimeoutExpired: what comes before one did not end.
    """
    started: dict[str, Running] = {}
    yielded: dict[str, Running] = {}  # the caller may put another in, by start_again
    try:
        for service in reversed(services):  # the ones that are called come first
            started[service.name] = _start(service, ports, directory)
        for one in started.values():
            _wait_until_ready(one)
        yielded |= {service.name: started[service.name] for service in services}
        yield yielded
    finally:
        with _signals_ignored():
            _stop([*started.values(), *yielded.values()])


def _start(service: Service, ports: Mapping[str, int], directory: Path) -> Running:
    own = directory / service.name
    own.mkdir()
    environment = _environment(service, ports, own)
    values = {"app": service.app, "port": ports[service.name], "workers": service.workers}
    command = tuple(part.format(**values) if "{" in part else part for part in service.command)
    with log_of(own).open("ab") as log:
        if service.prepare:
            done = subprocess.run(
                service.prepare,
                cwd=own,
                env=environment,
                stdout=log,
                stderr=log,
                check=False,
                timeout=START_SECONDS,
            )
            if done.returncode:
                raise DemoError(
                    f"{service.name} could not be prepared. The end of its log:\n{_tail(log_of(own))}"
                )
    process, *beside = (_begin(one, own, environment) for one in (command, *service.beside))
    url = f"http://{HOST}:{ports[service.name]}"
    return Running(service, url, own, process, environment, tuple(beside))


def start_again(one: Running) -> Running:
    """Start the server of a service that was killed, with the files that it had, and wait until it is ready.

    Raises:
        DemoError: it did not come up.
    """
    command: Any = one.process.args
    again = replace(one, process=_begin(command, one.directory, one.environment))
    _wait_until_ready(again)
    return again


def _begin(
    command: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with log_of(directory).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the demo alone, which then stops them in order
        )


def _environment(service: Service, ports: Mapping[str, int], directory: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    upstream = (
        {f"{service.calls.upper()}_URL": f"http://{HOST}:{ports[service.calls]}"}
        if service.calls in ports
        else {}
    )
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "NO_PROXY": HOST,
        "no_proxy": HOST,
        "XDG_RUNTIME_DIR": str(directory),  # where gunicorn keeps its control socket
        "OBS_HEALTH_TOKEN": HEALTH_TOKEN,
        "OBS_METRICS_DIRECTORY": str(directory),  # what several processes share ends with the demo
        f"{service.name.upper()}_DB": str(database_of(directory)),
        **upstream,
        **service.environment,
    }


def _wait_until_ready(one: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in (one.process, *one.beside)):
            raise DemoError(f"{one.name} ended before it was up. The end of its log:\n{_tail(one.log)}")
        with suppress(httpx.TransportError):
            if one.get("/health/startup").status_code == one.get("/health/ready").status_code == 200:
                return
        time.sleep(0.05)
    raise DemoError(
        f"{one.name} was not up after {START_SECONDS:.0f} s. The end of its log:\n{_tail(one.log)}"
    )


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-lines:])


def _stop(services: Collection[Running]) -> None:
    """Ask all to end, wait a while, then end what is left of their process groups."""
    processes = [process for one in services for process in (one.process, *one.beside)]
    for process in processes:
        send_signal(process, signal.SIGCONT)  # one that was stopped hears nothing else
        send_signal(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
        send_signal(process, signal.SIGKILL)
        process.wait()


def send_signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a server and its workers, if they are still there."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Let nothing, such as a second Ctrl-C, keep us from stopping the services."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_of(directory: Path) -> Path:
    return directory / "log.jsonl"


def database_of(directory: Path) -> Path:
    return directory / "storage.sqlite3"
