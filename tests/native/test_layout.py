"""Where classes have their fields is generated; a class that has other ones turns its functions off, and it is seen."""

from __future__ import annotations

import runpy

import pytest

from obs_middleware import _speedups
from tests.core.support import ROOT, observer, python
from tests.native.both import functions, needs_compiled

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "native_layout.py"))


def test_layout_is_not_stale() -> None:
    assert SCRIPT["FILE"].read_text("utf-8") == SCRIPT["layout"](), "run `make layout`"


def test_each_function_is_in_the_file_that_python_names() -> None:
    for _, name, _ in functions():
        assert name
    for path in (ROOT / "obs_middleware").rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            if line.strip().startswith('@fast("'):
                file, function = line.split('"')[1].split(": ")
                assert f"FAST_FUNCTION({function})" in (ROOT / "native" / file).read_text("utf-8")


SERVE = """
exchange = Observer().gateway.start(RequestInfo("GET", "/", "", "http", {}.get))
with exchange:
    exchange.status = 200
exchange.finish()
print(exchange.outcome.value, _speedups.is_in_use(), _speedups.paths()["exchange"], _speedups.paths()["environ"])
print(_speedups.summary())
"""
ONE_MORE = """
import msgspec
from obs_middleware import Observer, RequestInfo, _speedups
class Exchange(msgspec.Struct):
    info: int
    one_more: int
_speedups.share_layout(Exchange)
"""
NO_SLOT = """
from obs_middleware import Observer, RequestInfo, _speedups
from obs_middleware.exchange import Exchange as Real
class Exchange:
    __struct_fields__ = Real.__struct_fields__
    info = property(int)
_speedups.share_layout(Exchange)
"""
UNKNOWN = """
from obs_middleware import Observer, RequestInfo, _speedups
@_speedups.fast("exchange.c: exchange_dance")
def dance(): pass
"""


@needs_compiled
@pytest.mark.parametrize(
    ("code", "is_exchange_on", "why"),
    [
        (ONE_MORE, False, "Exchange.one_more is not in native/layout.h"),
        (NO_SLOT, False, "Exchange.info is in no slot"),
        (UNKNOWN, False, "no C function is named 'exchange.c: exchange_dance'"),
    ],
)
def test_a_class_with_other_fields_turns_its_functions_off(code: str, is_exchange_on: bool, why: str) -> None:
    said, summary = python(code + SERVE).splitlines()
    assert said == f"ok False {is_exchange_on} True"
    assert why in summary
    assert "off: " in summary


@needs_compiled
def test_it_can_be_turned_off() -> None:
    for value, is_off in (("1", True), ("0", False), ("", False)):
        code = "from obs_middleware import Observer, _speedups; Observer(); print(_speedups.is_in_use())"
        assert python(code, env={_speedups.SWITCH: value}).strip() == str(not is_off)


def test_it_is_said_at_the_start_in_development(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "obs")
    observer(log_setup=False, environment="development").gateway.set_up()
    assert "obs-middleware: fast paths on: " in caplog.text
    caplog.clear()
    observer(log_setup=False, environment="production").gateway.set_up()
    assert "fast paths" not in caplog.text
