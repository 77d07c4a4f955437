"""The length of a queue, and whether Celery's workers answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu.connection import Connection

from obs_middleware import Observer
from obs_middleware.health.ready_made import celery_workers, queue_length
from tests.core.health.probing import TOKEN, detail, probe
from tests.core.support import ROOT, eventually, observer
from tests.real.ready_made.kinds import own_sockets
from tests.real.ready_made.servers import Servers
from tests.running import start

pytestmark = pytest.mark.once
SOCKETS = 3  # of one connection of kombu to Redis: for commands, for waiting, for what is published


@pytest.fixture
def own() -> Observer:
    made = observer(health_token=TOKEN)
    made.gateway.started()
    return made


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: Any, servers: Servers) -> Iterator[str]:
    """Give the URL of a broker whose queue `mail` has three messages."""
    url = _url(request.param, servers)
    with Connection(url) as connection, connection.SimpleQueue("mail") as queue:
        for number in range(3):
            queue.put(number)
        yield url
        queue.clear()


def _url(name: str, servers: Servers) -> str:
    port = servers.port(name)
    return f"redis://127.0.0.1:{port}/0" if name == "redis" else f"amqp://guest:guest@127.0.0.1:{port}//"


@pytest.mark.parametrize(
    ("bounds", "status", "wanted"),
    [
        ({"warn_at": 4, "fail_at": 5}, 200, "pass"),
        ({"warn_at": 3}, 200, "warn"),
        ({"warn_at": 2, "fail_at": 3}, 503, "fail"),
    ],
)
def test_queue_is_graded_by_its_length(
    bounds: dict[str, int], status: int, wanted: str, broker: str, own: Observer
) -> None:
    own.health.add("queue", queue_length(broker, "mail", **bounds), every_seconds=0, timeout_seconds=30.0)
    eventually(lambda: detail(own, "queue").get("observedUnit") == "messages")
    assert probe(own)[0] == status
    found = detail(own, "queue")
    assert (found["status"], found["observedValue"]) == (wanted, 3)
    assert found.get("output") == (None if wanted == "pass" else "3 messages wait in mail")


def test_queue_that_there_is_not_fails_with_rabbitmq_and_is_empty_with_redis(
    servers: Servers, own: Observer
) -> None:
    for name in ("redis", "rabbitmq"):
        check = queue_length(_url(name, servers), "nowhere", fail_at=1)
        own.health.add(name, check, every_seconds=0, timeout_seconds=30.0)
    eventually(lambda: "NOT_FOUND" in detail(own, "rabbitmq").get("output", ""))
    eventually(lambda: detail(own, "redis").get("observedValue") == 0)


def test_workers_of_celery_answer_over_one_connection(
    servers: Servers, own: Observer, tmp_path: Path
) -> None:
    """A worker takes two seconds to start."""
    url = _url("redis", servers)
    own.health.add("workers", celery_workers(Celery(broker=url)), every_seconds=0, timeout_seconds=0.3)
    eventually(lambda: detail(own, "workers").get("output") == "0 of 1 workers have answered")
    for _ in range(20):
        assert probe(own)[0] == 503
    eventually(lambda: own_sockets(servers.port("redis")) <= SOCKETS)  # the last one may be closing
    command = [sys.executable, "-m", "celery", "-A", "tests.real.ready_made.celery_app", "worker"]
    options = ["-P", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    env = {**os.environ, "BROKER": url, "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"}
    with start([*command, *options], folder=tmp_path, env=env):
        eventually(lambda: probe(own)[0] == 200)

        def found() -> tuple[Any, Any]:
            """Tell how many have answered; none where they have not in time."""
            one = detail(own, "workers")
            return one.get("observedValue"), one.get("observedUnit")

        eventually(lambda: found() == (1, "workers"))
        for _ in range(300):
            probe(own)
        eventually(lambda: own_sockets(servers.port("redis")) <= SOCKETS)
