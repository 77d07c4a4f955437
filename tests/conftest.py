"""What holds for the whole run: options, how many examples are tried, which tests run where and how often."""

from __future__ import annotations

import gc
import os
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No example has a deadline, because how fast a machine is must not decide whether a test passes.
# `make test` and CI try the same examples each time; `make test-all` tries many, and new ones.
_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", _ANY_MACHINE, max_examples=50, derandomize=True, database=None)
settings.register_profile("all", _ANY_MACHINE, max_examples=300, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


_TESTS = Path(__file__).parent
_PATIENCE_SECONDS = 60.0
# Folders of tests that no version changes. Those that stand here, in no folder, are such tests too.
_ONCE = ("example_apps/", "project/", "core/redaction/")
# Tests that share what takes long to make, or ports in a row: how their IDs begin, and the name of what they share.
# They run in one process, one after the other. The marker `xdist_group` does nothing under pytest 9.2:
# https://github.com/pytest-dev/pytest-xdist/issues/1386
_SHARED = {
    r"tests/example_apps/test_dashboards\.py": "dashboards",
    r"tests/example_apps/": "services",
    r"tests/project/test_(packaging|quickstart)\.py": "wheel",
    r"tests/real/test_prometheus\.py": "prometheus",
    r"tests/real/test_nginx\.py::\w+\[(\w+)": r"nginx before \1",
    r"tests/real/ready_made/": "databases and brokers",
    r"tests/real/test_big_page\.py::\w+\[(.+)\]": r"page of \1",
    r"tests/budget/test_garbage\.py::\w+\[(\w+)": r"garbage of \1",
}


@pytest.fixture(autouse=True)
def _no_warning_waits() -> Iterator[None]:
    """Let no test be told of an `OTEL_*` variable that one before it had set: such warnings wait for logging."""
    yield
    settings_of_others = sys.modules.get("obs_middleware.settings.otel")
    if settings_of_others is not None:
        settings_of_others.show_warnings()


@pytest.fixture(autouse=True)
def _no_check_goes_on() -> Iterator[None]:
    """Let no check of a test run beside the tests after it: it would log, allocate and open files there."""
    yield
    gateways = sys.modules.get("obs_middleware.gateway")
    if gateways is not None:
        for gateway in list(gateways._all):
            gateway._health.stop()


@pytest.fixture(autouse=True)
def _no_tracer_provider_stays() -> Iterator[None]:
    """Take a global TracerProvider away that a test has set: requests of the tests after it would be traced."""
    yield
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is not None and api._TRACER_PROVIDER is not None:
        api._TRACER_PROVIDER = None
        api._TRACER_PROVIDER_SET_ONCE._done = False


@pytest.fixture(autouse=True)
def _threads_are_waited_for(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for a check, and for a flush by another thread, than in production: a busy machine is late."""
    from obs_middleware.health.registry import Health
    from obs_middleware.queue import flush

    for function in (Health.add, Health.check, flush):
        defaults: Any = function.__kwdefaults__
        monkeypatch.setitem(defaults, "timeout_seconds", _PATIENCE_SECONDS)
    if request.node.get_closest_marker("hangs") is None:
        monkeypatch.setattr("obs_middleware.health.checks._WAIT_SECONDS", _PATIENCE_SECONDS)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--conformance-table") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--conformance-table needs all tests in one process: -n0")
    # Django under ASGI leaves the file of a request's body open when the request was cancelled or its stream failed.
    config.addinivalue_line(
        "filterwarnings", "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(_TESTS).as_posix()
        if "/" not in path or path.startswith(_ONCE):
            item.add_marker(pytest.mark.once)
    left_out = {item for item in items if not _is_of_share(item.nodeid, *config.getoption("--share"))}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _is_of_share(nodeid: str, share: int, shares: int) -> bool:
    """Say whether a test is one of this share; those of servers always are, one may be for one Python alone."""
    return "tests/real/" in nodeid or zlib.crc32(nodeid.encode()) % shares == share


def pytest_collection_finish() -> None:
    """Take the thousands of tests out of the garbage collector's sight, because many tests have it look at all."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Save what coverage has seen, because pytest-xdist kills a worker that takes ten seconds to end."""
    running = getattr(sys.modules.get("coverage"), "Coverage", None)
    current = None if running is None else running.current()
    if current is not None and hasattr(session.config, "workerinput"):
        current.save()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            for beginning, shared in _SHARED.items():
                found = re.match(beginning, nodeid)
                if found is not None:
                    return found.expand(shared)
            return nodeid

    return Scheduling(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--conformance-table", metavar="FILE", help="write the table 'what holds where' to FILE")
    parser.addoption(
        "--share",
        metavar="K/N",
        type=_share,
        default="1/1",
        help="run the K-th of N shares of the tests alone",
    )


def _share(text: str) -> tuple[int, int]:
    share, shares = map(int, text.split("/"))
    return share - 1, shares
