"""Run every behaviour on every front end that can have it, and write down what holds where."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.apps import probe
from tests.conformance.front_ends import FRONT_ENDS, FrontEnd
from tests.conformance.probes import Probe, logging_restored, make_probe
from tests.conformance.servers import Server
from tests.conformance.table import Table

MakeProbe = Callable[..., Probe]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(*capabilities): what a front end must have to show this behaviour"
    )
    config.pluginmanager.register(Table(config, FRONT_ENDS), "conformance-table")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Take pytest's log handlers off: they raise for a line that can't be formatted, which the list logs on purpose."""
    root = logging.getLogger()
    root.handlers = [
        handler for handler in root.handlers if not type(handler).__module__.startswith("_pytest")
    ]
    yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "front_end" not in metafunc.fixturenames:
        return
    needs = {need for mark in metafunc.definition.iter_markers("needs") for need in mark.args}
    able = [front_end for front_end in FRONT_ENDS if not needs & front_end.absent.keys()]
    metafunc.parametrize("front_end", able, ids=[front_end.name for front_end in able])


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[bool, Server]]:
    """The servers that run, one of a kind."""
    running: dict[bool, Server] = {}
    yield running
    for server in running.values():
        server.stop()


@pytest.fixture
def server(front_end: FrontEnd, servers: dict[bool, Server]) -> Server:
    """A real server of the front end's kind."""
    if front_end.is_asgi not in servers:
        servers[front_end.is_asgi] = front_end.make_server()
    return servers[front_end.is_asgi]


@pytest.fixture
def make(front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeProbe]:
    """Make probes that no server serves, for calls in process."""
    observers: list[Any] = []

    def made(options: probe.Options = probe.Options(), **settings: Any) -> Probe:
        new = make_probe(front_end, options, **settings)
        observers.append(new.observer)
        return new

    with logging_restored():
        yield made
        for observer in observers:
            observer.close()


@pytest.fixture
def serve(make: MakeProbe, server: Server) -> Iterator[MakeProbe]:
    """Make a probe with its own settings and serve it."""
    with ExitStack() as stack:

        def served(options: probe.Options = probe.Options(), **settings: Any) -> Probe:
            return stack.enter_context(make(options, **settings).served_by(server))

        yield served


@pytest.fixture
def app(serve: MakeProbe) -> Probe:
    """The probe app with no settings but its name, served."""
    return serve()
