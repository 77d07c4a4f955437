"""What C functions got wrong before, or could: an odd object in the process neither crashes it nor spoils a number."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from obs_middleware import RequestInfo, RequestRecord, Settings, _speedups, current_exchange
from obs_middleware.environ import request_info, variables_of
from obs_middleware.exchange import Exchange
from obs_middleware.logs import JsonFormatter
from obs_middleware.logs.access_line import AccessLine
from obs_middleware.queue import flush
from obs_middleware.redaction import Redactor
from obs_middleware.scope import request_info as scope_request_info
from tests.core.support import observer, request, started
from tests.native.both import both, needs_compiled, said
from tests.native.test_same import handed_over

ACTIVE = "http_server_active_requests"
LABELS = {"http_request_method": "GET", "url_scheme": "http"}


@pytest.mark.parametrize(
    "odd",
    [{"route": ["x"]}, {"response_bytes": 10**400}, {"time_to_first_byte": "x"}, {"error_type": {}}],
    ids=str,
)
def test_a_value_that_cannot_be_measured_leaves_no_active_request(odd: dict[str, Any]) -> None:
    def change(ended: Exchange) -> None:
        for name, value in odd.items():
            setattr(ended, name, value)

    own = observer(log_setup=False)
    for _ in range(3):
        exchange = started(own)
        with exchange:
            seen = current_exchange()
            assert seen is not None
            seen.status, seen.route, seen.time_to_first_byte = 200, "/a", 0.1
            exchange._on_finish[0] = (("test", change), *exchange._on_finish[0])
        exchange.finish()
        flush()
    assert own.registry.get_sample_value(ACTIVE, LABELS) == 0


def test_an_exchange_ends_once_also_while_its_clock_is_read() -> None:
    """Where a test has replaced the clock by a Python function, another thread can come in between."""
    own = observer(log_setup=False)
    exchange = started(own)

    def clock() -> float:
        other = threading.Thread(target=exchange.finish)
        other.start()
        other.join()
        return time.perf_counter()

    exchange.status = 200
    own.gateway.perf_counter = clock
    exchange.finish()
    flush()
    assert own.registry.get_sample_value(ACTIVE, LABELS) == 0
    count = {
        "http_request_method": "GET",
        "http_route": "",
        "http_response_status_code": "200",
        "error_type": "",
    }
    assert own.registry.get_sample_value("http_server_request_duration_seconds_count", count) == 1


def test_a_status_that_changes_while_the_clock_is_read_decides() -> None:
    def outcome() -> Any:
        own = observer(log_setup=False)
        exchange = started(own)

        def clock() -> float:
            exchange.status = 500
            return time.perf_counter()

        exchange.status = 200
        own.gateway.perf_counter = clock
        exchange.finish()
        return exchange.outcome, exchange.error_type, exchange.is_finished

    compiled, python = both(outcome)
    assert compiled == python
    assert compiled[1] == "500"


class Key(str):
    """A key that does something when it is compared."""

    __slots__ = ("act",)

    act: Any

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        self.act()
        return str.__eq__(self, str(other))


def _new(text: str) -> str:
    """Return a text that nobody else holds."""
    return text.encode().decode()


def _raise() -> None:
    raise ValueError("compared")


@pytest.mark.parametrize(
    "name", ["REQUEST_METHOD", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "HTTP_BAGGAGE"]
)
@pytest.mark.parametrize("does", ["raises", "changes", "clears"])
def test_keys_may_do_anything_when_they_are_compared(name: str, does: str) -> None:
    context_headers = variables_of(["baggage"])

    def info() -> Any:
        key = Key(name)
        variables: dict[str, Any] = {key: _new("GET")}
        names = (
            "REQUEST_METHOD",
            "SCRIPT_NAME",
            "PATH_INFO",
            "QUERY_STRING",
            "REMOTE_ADDR",
            "SERVER_PROTOCOL",
        )
        variables |= {other: _new(f"{other}-") for other in names if other != name}

        def change() -> None:
            for other in names:
                if other != name:
                    variables[other] = _new(f"{other}+")

        key.act = {"raises": _raise, "changes": change, "clears": variables.clear}[does]
        made = request_info(variables, context_headers)
        return len(made.method), len(made.path), len(made.query), made.has_context_headers

    def scope_info() -> Any:
        key = Key("path")
        scope: dict[str, Any] = {
            "type": "http",
            "headers": [],
            "method": _new("GET"),
            key: _new("/path"),
            "query_string": b"",
        }

        def change() -> None:
            scope.update(headers=[], method=_new("PUT"))

        key.act = {"raises": _raise, "changes": change, "clears": scope.clear}[does]
        return len(scope_request_info(scope, ()).path)

    for _ in range(20):
        compiled, python = both(lambda: said(scope_info))
        if does == "raises":
            assert compiled == python == (ValueError, "compared")
        compiled, python = both(lambda: said(info))
        if does == "raises":
            assert compiled == python == (ValueError, "compared")


@pytest.mark.parametrize("name", list(Exchange.__struct_fields__))
def test_a_field_that_is_deleted_in_the_middle_crashes_nothing(name: str) -> None:
    def deleted() -> Any:
        exchange = started(observer(log_setup=False))
        exchange.carrier = {"obs.exchange": exchange}
        exchange.status = 200
        exchange._on_finish[0] = (("test", lambda ended: delattr(ended, name)), *exchange._on_finish[0])
        seen = [said(exchange.finish), said(exchange.record), said(exchange.leave)]
        return repr([one if isinstance(one, tuple) else type(one) for one in seen])

    compiled, python = both(deleted)
    assert compiled == python


@pytest.mark.parametrize("name", list(Exchange.__struct_fields__))
def test_a_field_that_is_missing_crashes_nothing(name: str) -> None:
    def missing(method: str) -> Any:
        own = observer(log_setup=False)
        exchange = started(own)
        exchange.__enter__()
        exchange.status = 200
        delattr(exchange, name)
        calls = {
            "spans": lambda: own.gateway._spans.start(exchange),
            "queue": lambda: own.gateway._enqueue(exchange),
        }
        return said(lambda: type(calls.get(method, lambda: getattr(exchange, method)())()))

    for method in ("__enter__", "__exit__", "leave", "finish", "record", "spans", "queue"):
        compiled, python = both(lambda method=method: missing(method))  # type: ignore[misc]
        assert compiled == python, method


def test_a_line_has_its_own_moment() -> None:
    """No moment is remembered, whatever other formatters have written."""
    lines = [AccessLine(JsonFormatter(settings=Settings()), Redactor(), "INFO") for _ in range(2)]
    fields: dict[str, Any] = dict.fromkeys(RequestRecord.__struct_fields__, "")
    for second in (1, 2, 1):
        record = RequestRecord(
            **{**fields, "ended": second + 0.5, "duration": 0.1, "time_to_first_byte": None}
        )
        for line in lines:
            assert line.line(record).startswith(b'{"timestamp":"1970-01-01T00:00:0%d.500Z"' % second)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("firsts", (0, -5, 20, 30)),
        ("firsts", (0, 10**6, 20, 30)),
        ("firsts", (0, 2**70, 20, 30)),
        ("cells", -1),
        ("cells", 3),
        ("cells", 2**62),
        ("counts", []),
        ("counts", bytearray(3)),
        ("sums", bytearray(3)),
        ("row_of", {("GET", 200, ""): {"/a": -7}}),
        ("row_of", {("GET", 200, ""): {"/a": 10**6}}),
        ("row_of", {("GET", 200, ""): {"/a": 2**62}}),
        ("row_of", {("GET", 200, ""): {"/a": "x"}}),
    ],
)
def test_places_in_the_table_are_looked_at(name: str, value: Any) -> None:
    def measured() -> Any:
        own = observer(log_setup=False)
        exchange = started(own)
        exchange.status, exchange.route, exchange.time_to_first_byte = 200, "/a", 0.1
        exchange.finish()
        flush()
        metrics = own.gateway._metrics
        setattr(metrics.instruments.table, name, value)
        return handed_over(metrics.record, [exchange.record()] * 2), metrics.instruments.active

    compiled, python = both(measured)
    assert compiled[1] == python[1]
    assert len(compiled[0]) == len(python[0])


@needs_compiled
def test_a_subinterpreter_takes_the_python_code() -> None:
    interpreters = pytest.importorskip(
        "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters",
        reason="no subinterpreters here",
    )
    code = f"""if True:
        import sys; sys.path[:0] = {sys.path!r}
        from obs_middleware import _speedups; assert not _speedups.is_built()
    """
    own = interpreters.create()
    try:
        failed = interpreters.run_string(own, code)
        assert not failed or "does not support loading in subinterpreters" in str(failed)  # msgspec itself
    except interpreters.RunFailedError as error:  # before 3.13
        assert "does not support loading in subinterpreters" in str(error)  # noqa: PT017
    finally:
        interpreters.destroy(own)


_EMBEDDED = r"""
#include <Python.h>

int main(int count, char **args)
{
    int failed = 0;
    for (int round = 0; round < 3; round++) {
        Py_Initialize();
        failed = PyRun_SimpleString(count > 1 ? args[1] : "") || failed;
        failed = Py_FinalizeEx() < 0 || failed;
    }
    return failed;
}
"""
_SERVE = """
import sys
sys.path[:0] = {path!r}
from obs_middleware import _native
functions = {{name: _native.fast(name, len) for name in _native.FUNCTIONS}}
class IdSource:
    __slots__ = ("_drawn", "_last", "_mark", "_node")
_native.share_layout(IdSource)
source = IdSource()
source._drawn, source._mark, source._node = ["0" * 60] * 5, memoryview(b"1"), 5
for _ in range(5):
    assert functions["request_id.c: request_id_draw"](source, 10**18)[0] == "0" * 48
"""


@needs_compiled
def test_it_serves_one_interpreter_after_the_other(tmp_path: Path) -> None:
    """Nothing of the first one is left in the module after Py_Finalize."""
    library = sysconfig.get_config_var("LDLIBRARY") or ""
    if not sysconfig.get_config_var("Py_ENABLE_SHARED") or sys.platform != "linux":
        pytest.skip("no shared library of Python to embed")
    if "LD_PRELOAD" in os.environ:
        pytest.skip("the module is built for a program that loads the sanitizers first")
    (tmp_path / "embedded.c").write_text(_EMBEDDED)
    (tmp_path / "obs_middleware").mkdir()
    (tmp_path / "obs_middleware" / "__init__.py").write_text("")
    built = Path(_speedups._native.__file__)
    (tmp_path / "obs_middleware" / built.name).symlink_to(built)
    folder, include = sysconfig.get_config_var("LIBDIR"), sysconfig.get_path("include")
    name = library.removeprefix("lib").partition(".so")[0]
    program = tmp_path / "embedded"
    compiled = subprocess.run(
        [
            "cc",
            f"-I{include}",
            "embedded.c",
            "-o",
            str(program),
            f"-L{folder}",
            f"-l{name}",
            f"-Wl,-rpath,{folder}",
        ],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    if compiled.returncode:
        pytest.skip("no program can be compiled here")
    path = [str(tmp_path), *(item for item in sys.path if "site-packages" not in item)]
    env = {"PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}"}
    done = subprocess.run(
        [program, _SERVE.format(path=path)], env=env, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr


def test_a_header_look_up_that_fails_is_asked_once() -> None:
    def record() -> Any:
        asked: list[str] = []

        def header(name: str) -> str | None:
            if name != "user-agent":
                return None
            asked.append(name)
            raise KeyError(name)

        own = observer(log_setup=False)
        exchange = started(own, RequestInfo("GET", "/", "", "http", header, None, "1.1", False))
        exchange.status = 200
        exchange.finish()
        return said(exchange.record), asked

    compiled, python = both(record)
    assert compiled == python
    assert compiled[1] == ["user-agent"] * 2


def test_an_observer_that_lacks_a_part_lets_the_request_go_without_it() -> None:
    own = observer(log_setup=False)
    for _ in range(2):  # the propagator is known from the second on
        started(own).finish()
    del own.gateway._on_finish_without_span
    assert own.gateway.start(request()) is None
