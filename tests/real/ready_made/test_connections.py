"""What the ready-made checks cost their servers: one connection, whatever happens, and none that leaks.

The servers are real ones. Each test makes the check as a user does, and asks the server for its connections.
"""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.core.health.probing import TOKEN, detail, probe
from tests.core.support import eventually, observer
from tests.real.ready_made.kinds import KINDS, Kind, Loop, held, own_sockets
from tests.real.ready_made.proxy import Proxy
from tests.real.ready_made.servers import Servers

pytestmark = pytest.mark.once
# By the scope all tests of a kind run together, and those of RabbitMQ last, which takes longest to start.
every_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS], scope="session")
PROBES = 300
_numbers = itertools.count()


class Service:
    """A service that has one check, under a name that no other has."""

    def __init__(self, check: object, loop: Loop, timeout_seconds: float) -> None:
        self.name = f"database-{next(_numbers)}"
        self.own = observer(health_token=TOKEN)
        self.own.gateway.started(loop=loop.loop)
        self.own.health.add(self.name, check, timeout_seconds=timeout_seconds, every_seconds=0)  # type: ignore[arg-type]

    def passes(self) -> bool:
        return probe(self.own)[0] == 200

    def output(self) -> str:
        return str(detail(self.own, self.name).get("output", ""))

    def threads(self) -> int:
        """Count the threads of its check."""
        return sum(thread.name == f"obs-check-{self.name}" for thread in threading.enumerate())


@contextmanager
def serving(kind: Kind, port: int, loop: Loop, *, timeout_seconds: float = 1.0) -> Iterator[Service]:
    """Make a service whose check passes, and end what it has."""
    check, end = kind.make(port, loop)
    service = Service(check, loop, timeout_seconds)
    try:
        eventually(service.passes)
        yield service
    finally:
        del service.own, check
        gc.collect()
        end()


@every_kind
def test_300_probes_hold_one_connection(kind: Kind, servers: Servers, loop: Loop) -> None:
    port = servers.port(kind.server)
    before = held(servers, kind.server)
    with serving(kind, port, loop, timeout_seconds=30.0) as service:
        assert all(service.passes() for _ in range(PROBES))
        eventually(lambda: held(servers, kind.server) - before <= 1)
        assert service.threads() == 1
    eventually(lambda: held(servers, kind.server) <= before)
    eventually(lambda: service.threads() == 0)


@every_kind
def test_server_that_is_gone_holds_no_connection_and_is_found_when_it_is_back(
    kind: Kind, servers: Servers, loop: Loop
) -> None:
    with closing(Proxy(servers.port(kind.server))) as proxy, serving(kind, proxy.port, loop) as service:
        proxy.refuse()
        eventually(lambda: not service.passes())
        assert not any(service.passes() for _ in range(30))
        assert proxy.open == 0
        proxy.accept_again()
        eventually(service.passes)
        eventually(lambda: proxy.open <= 1)  # one that came too late may be closing
        eventually(lambda: service.threads() == 1)


@every_kind
def test_server_that_hangs_costs_no_second_connection_and_is_found_when_it_goes_on(
    kind: Kind, servers: Servers, loop: Loop
) -> None:
    limit = 0.1
    with (
        closing(Proxy(servers.port(kind.server))) as proxy,
        serving(kind, proxy.port, loop, timeout_seconds=limit) as service,
    ):
        proxy.hangs = True
        eventually(lambda: not service.passes())
        for _ in range(5):
            assert not service.passes()
            assert own_sockets(proxy.port) <= 2  # one that is being closed, one that is being opened
        assert service.output()
        eventually(lambda: service.threads() <= 1)
        proxy.hangs = False
        eventually(service.passes)
        eventually(lambda: proxy.open <= 2)  # a pool may keep the one that it was opening
