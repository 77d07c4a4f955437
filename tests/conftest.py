"""What holds for the whole run: options, how many examples are tried, which tests run where and how often."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No example has a deadline, because how fast a machine is must not decide whether a test passes.
# `make test` and CI try the same examples each time; `make test-all` tries many, and new ones.
_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", _ANY_MACHINE, max_examples=50, derandomize=True, database=None)
settings.register_profile("all", _ANY_MACHINE, max_examples=300, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


_TESTS = Path(__file__).parent
# Folders of tests that no version changes. Those that stand here, in no folder, are such tests too.
_ONCE = {"example_apps", "project"}
# What takes long to start or holds ports in a row. The tests that use it run in one process, one after the other.
_DEAR = {"alone": "services", "port_base": "services", "prometheus": "prometheus"}


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--conformance-table") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--conformance-table needs all tests in one process: -n0")
    # Django under ASGI leaves the file of a request's body open when the request was cancelled or its stream failed.
    config.addinivalue_line(
        "filterwarnings", "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder, *below = item.path.relative_to(_TESTS).parts
        if not below or folder in _ONCE:
            item.add_marker(pytest.mark.once)
        for fixture in _DEAR.keys() & set(item.fixturenames):  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.xdist_group(_DEAR[fixture]))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--conformance-table", metavar="FILE", help="write the table 'what holds where' to FILE")
