"""Ports that are free, and the four services, each running alone."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from example_apps.demo import processes, services
from example_apps.demo.processes import Running
from tests import installed, programs
from tests.example_apps.collector import Collector, collecting
from tests.running import free_port, serve

MOST_WAITING = 20  # jobs of a store of tokpulse
NOBODY = {"ZEROSTATE_URL": "http://127.0.0.1:1", "UTILITYFOG_URL": "http://127.0.0.1:1"}


@pytest.fixture
def port_base() -> int:
    return free_port(len(services.SERVICES))


@pytest.fixture(scope="session")
def pushgateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Pushgateway; its URL, or none where there is no such program."""
    program = programs.find("prometheus-pushgateway")
    if program is None:
        yield ""
        return
    command = [program, "--web.listen-address=127.0.0.1:{port}"]
    folder = tmp_path_factory.mktemp("pushgateway")
    with serve(command, folder=folder, env=installed.clean(), ready="/-/ready") as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="session")
def alone(
    tmp_path_factory: pytest.TempPathFactory, pushgateway: str, collector: Collector
) -> Iterator[dict[str, Running]]:
    """Run the four services; none is told of the others. Two are told of one that does not answer.

    A trace is kept where its caller keeps it.
    """
    told = {
        **NOBODY,
        "UTILITYFOG_EXPORTS": ".",
        "AUDOTICS_PUSHGATEWAY": pushgateway,
        "AUDOTICS_LOG_DIR": "lines",
        "AUDOTICS_LOG_BYTES": "10000",
        "TOKPULSE_MOST_WAITING": str(MOST_WAITING),
        "OTLP_ENDPOINT": collector.url,
        "OBS_TRACE_SAMPLE_RATIO": "0",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    lone = [
        replace(service, calls="", environment={**service.environment, **told})
        for service in services.SERVICES
    ]
    ports = services.ports(free_port(len(services.SERVICES)))
    with processes.running(ports, tmp_path_factory.mktemp("services"), lone) as running:
        yield running
