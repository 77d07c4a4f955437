"""Real Prometheus, Alertmanager, Pushgateway and the receiver of alerts, as processes on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from monitoring.stack import configs
from monitoring.stack.configs import FOLDER, Speed
from tests import installed, programs, running
from tests.running import Server

HOST = "127.0.0.1"
PROGRAMS = ("prometheus", "prometheus-alertmanager", "prometheus-pushgateway")
PORTS = {"prometheus": 9090, "alertmanager": 9093, "pushgateway": 9091, "receiver": 9099}
RUNBOOKS = FOLDER.parent / "docs" / "runbooks"
# Flags of compose.yaml that stand elsewhere here; and one that Debian's Prometheus, built without OTLP, does not know.
NOT_TAKEN = ("--config.file", "--storage.tsdb.path", "--web.enable-otlp-receiver")


def missing() -> str:
    """Name the programs that are not here."""
    return ", ".join(name for name in PROGRAMS if programs.find(name) is None)


@dataclass(frozen=True, slots=True)
class Stack:
    """What watches, each where it answers."""

    prometheus: Server
    alertmanager: Server
    receiver: Server


@contextmanager
def watching(
    services: Mapping[str, str],
    folder: Path,
    *,
    token: str = "demo-metrics-token",
    speed: Speed | None = None,
    waits: Mapping[str, str] | None = None,
    ports: Mapping[str, int] | None = None,
) -> Iterator[Stack]:
    """Run Prometheus, Alertmanager and the receiver around services that run.

    Args:
        services: the address of each host of prometheus.yaml that is there, such as `{"tokpulse": "127.0.0.1:8100"}`.
        waits: what replaces Alertmanager's own, such as `{"group_wait": "1s"}`.
        ports: where they listen; free ones unless given.
    """
    ports = ports or {}
    with ExitStack() as stack:
        receiver = stack.enter_context(_receiver(_new(folder, "receiver"), ports.get("receiver")))
        alertmanager = stack.enter_context(
            _alertmanager(_new(folder, "alertmanager"), receiver, waits, ports.get("alertmanager"))
        )
        prometheus_folder = _new(folder, "prometheus")
        port = ports.get("prometheus") or running.free_port()
        addresses = {
            **services,
            "alertmanager": f"{HOST}:{alertmanager.port}",
            "prometheus": f"{HOST}:{port}",
        }
        configs.prometheus(prometheus_folder, addresses, token=token, speed=speed)
        yield Stack(stack.enter_context(_prometheus(prometheus_folder, port)), alertmanager, receiver)


@contextmanager
def pushgateway(folder: Path, *, port: int | None = None) -> Iterator[Server]:
    """Run Pushgateway."""
    command = [programs.find("prometheus-pushgateway"), f"--web.listen-address={HOST}:{{port}}"]
    with running.serve(
        command, folder=_new(folder, "pushgateway"), env=installed.clean(), ready="/-/ready", port=port
    ) as server:
        yield server


@contextmanager
def _receiver(folder: Path, port: int | None) -> Iterator[Server]:
    program = FOLDER / "stack" / "receiver.py"
    command = [sys.executable, program, "--host", HOST, "--port", "{port}", "--runbooks", RUNBOOKS]
    with running.serve(command, folder=folder, env=installed.clean(), ready="/-/ready", port=port) as server:
        yield server


@contextmanager
def _alertmanager(
    folder: Path, receiver: Server, waits: Mapping[str, str] | None, port: int | None
) -> Iterator[Server]:
    config = configs.alertmanager(folder, f"{HOST}:{receiver.port}", waits=waits)
    command = [
        programs.find("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{{port}}",
        "--cluster.listen-address=",
    ]
    with running.serve(command, folder=folder, env=installed.clean(), ready="/-/ready", port=port) as server:
        yield server


@contextmanager
def _prometheus(folder: Path, port: int) -> Iterator[Server]:
    """Run Prometheus with the flags that compose.yaml gives it."""
    flags = configs.load(FOLDER / "compose.yaml")["services"]["prometheus"]["command"]
    command = [
        programs.find("prometheus"),
        *(flag for flag in flags if not flag.startswith(NOT_TAKEN)),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{{port}}",
        f"--web.external-url=http://{HOST}:{port}/",
    ]
    with running.serve(command, folder=folder, env=installed.clean(), ready="/-/ready", port=port) as server:
        yield server


def _new(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name
