"""Options of the whole test run; they must stand in the outermost conftest to be known in time."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Django under ASGI leaves the file of a request's body open when the request was cancelled or its stream failed.
    config.addinivalue_line(
        "filterwarnings", "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption(
        "--conformance-table", metavar="FILE", help="write the table 'what is held where' to FILE"
    )
    group.addoption(
        "--conformance-readme", metavar="FILE", help="renew the marked block of FILE with that table"
    )
