"""Logging: ours where there is none, the user's where there is; the filters for it; the access line."""

from __future__ import annotations

import json
import logging
import logging.config
import logging.handlers
import os
import queue
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from pythonjsonlogger.core import BaseJsonFormatter

from obs_middleware import Settings, bind
from obs_middleware.logs import ContextFilter, JsonFormatter, RedactingFilter
from tests.core.support import caught, observer, python, request, serve, started, strict_json

SECRET = "hunter2x"
IDS = ("request_id", "correlation_id", "trace_id", "span_id")


@pytest.fixture
def configured() -> Iterator[dict[str, Any]]:
    """Configure the logger `shop` as a user would, and put it back."""
    logger = logging.getLogger("shop")
    config: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "context": {"()": "obs_middleware.logs.ContextFilter"},
            "redact": {"()": "obs_middleware.logs.RedactingFilter"},
        },
        "formatters": {
            "json": {"()": "obs_middleware.logs.JsonFormatter"},
            "plain": {"format": "%(levelname)s [%(request_id)s %(trace_id)s] %(message)s"},
        },
        "handlers": {
            "own": {
                "class": "tests.core.support.Caught",
                "formatter": "plain",
                "filters": ["context", "redact"],
            }
        },
        "loggers": {"shop": {"level": "INFO", "handlers": ["own"], "propagate": False}},
    }
    yield config
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


def configure(config: dict[str, Any]) -> tuple[logging.Logger, Any]:
    logging.config.dictConfig(config)
    logger = logging.getLogger("shop")
    return logger, logger.handlers[0]


# The user's own handlers


def test_filters_give_context_to_a_users_own_handler_and_take_its_secrets(configured: dict[str, Any]) -> None:
    logger, handler = configure(configured)
    with started(observer(), request(headers={"x-request-id": "r-1"})) as exchange:
        bind(tenant="acme")
        logger.info("password=%s", SECRET, extra={"api_key": SECRET, "note": f"token={SECRET}", "order": 42})
    logger.info("outside")
    assert handler.lines == [f"INFO [r-1 {exchange.trace_id}] password=REDACTED", "INFO [None None] outside"]
    first = handler.records[0]
    assert (first.tenant, first.api_key, first.note, first.order) == (
        "acme",
        "REDACTED",
        "token=REDACTED",
        42,
    )


def test_our_formatter_is_named_in_a_logging_config(configured: dict[str, Any]) -> None:
    configured["handlers"]["own"] |= {"formatter": "json", "filters": []}
    logger, handler = configure(configured)
    logger.info("paid", extra={"order": 42})
    assert strict_json(handler.lines[0])["order"] == 42


@pytest.mark.parametrize(
    ("msg", "args", "extra"),
    [
        (f"password={SECRET}", (), {}),
        ("password=%s", (SECRET,), {}),
        ("%s %s", ({"password": SECRET},), {}),
        ({"password": SECRET}, (), {}),
        ("x", (), {"user": {"password": SECRET}}),
        ("x", (), {"users": [{"password": SECRET}]}),
        ("x", (), {"body": b"password=" + SECRET.encode()}),
    ],
    ids=str,
)
def test_redacting_filter_hides_secrets_whatever_formatter_comes_after_it(
    msg: Any, args: Any, extra: Any
) -> None:
    with caught("shop", formatter=BaseJsonFormatterOfOthers()) as handler:
        handler.addFilter(RedactingFilter(Settings()))
        logging.getLogger("shop").info(msg, *args, extra=extra)
    assert SECRET not in handler.lines[0]


class BaseJsonFormatterOfOthers(BaseJsonFormatter):
    """python-json-logger as most use it."""

    def __init__(self) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            name: repr(value) for name, value in vars(record).items() if name != "exc_info"
        }
        if record.exc_info:
            fields["exc_info"] = self.formatException(record.exc_info)
        return json.dumps(fields)


@pytest.mark.parametrize(
    "formatter",
    [logging.Formatter(), BaseJsonFormatterOfOthers(), JsonFormatter(settings=Settings())],
    ids=["plain", "json", "ours"],
)
def test_redacting_filter_hides_secrets_of_an_exception_whatever_formatter_comes_after_it(
    formatter: Any,
) -> None:
    with caught("shop", formatter=formatter) as handler:
        handler.addFilter(RedactingFilter(Settings()))
        try:
            raise ValueError(f"bad password={SECRET}")
        except ValueError:
            logging.getLogger("shop").exception("failed")
    assert "ValueError" in handler.lines[0]
    assert SECRET not in handler.lines[0]


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class LocalProxy:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("Working outside of request context.")


@pytest.mark.parametrize(
    "offered", [ContextFilter(), RedactingFilter(Settings())], ids=["context", "redacting"]
)
@pytest.mark.parametrize(
    ("msg", "args", "extra"),
    [
        (Raising(), (), {}),
        ("%s", (Raising(),), {}),
        ("%d", ("x",), {}),
        ("x", (), {"request": LocalProxy()}),
        ("x", (), {"a": Raising(), "b": "\ud800"}),
    ],
    ids=["message", "argument", "misfit", "proxy", "extra"],
)
def test_filter_raises_nothing_into_the_app_and_keeps_the_record(
    offered: logging.Filter, msg: Any, args: Any, extra: Any
) -> None:
    made = logging.getLogger("shop").makeRecord("shop", 20, "", 0, msg, args, None, extra=extra)
    assert offered.filter(made)


def test_filter_on_a_queue_handler_keeps_the_context_for_the_listeners_thread() -> None:
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(waiting)
    handler.addFilter(ContextFilter())
    logger = logging.getLogger("shop.queued")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with started(observer(), request(headers={"x-request-id": "r-1"})) as exchange:
            bind(tenant="acme")
            logger.info("paid")
    finally:
        logger.removeHandler(handler)
    found = strict_json(JsonFormatter(settings=Settings()).format(waiting.get()))
    assert [found[key] for key in IDS] == ["r-1", "r-1", exchange.trace_id, exchange.span_id]
    assert found["tenant"] == "acme"


def test_line_of_a_child_span_has_the_childs_id() -> None:
    tracer = TracerProvider().get_tracer("test")
    with (
        caught("shop", formatter=JsonFormatter(settings=Settings())) as handler,
        started(observer()) as exchange,
        tracer.start_as_current_span("child") as child,
    ):
        logging.getLogger("shop").info("paid")
    found = strict_json(handler.lines[0])
    assert found["trace_id"] == exchange.trace_id
    assert found["span_id"] == f"{child.get_span_context().span_id:016x}"


def test_line_that_names_its_request_belongs_to_its_exchange() -> None:
    class Request:
        obs_exchange = started(observer())

    with caught("shop", formatter=JsonFormatter(settings=Settings())) as handler:
        logging.getLogger("shop").warning("Not Found", extra={"request": Request()})
        logging.getLogger("shop").warning("Not Found", extra={"request": object()})
    first, second = map(strict_json, handler.lines)
    assert (first["request_id"], second["request_id"]) == (Request.obs_exchange.request_id, None)


# The access line


def access_lines(**settings: Any) -> Any:
    return caught("obs.access", formatter=JsonFormatter(settings=Settings(**settings)))


def test_access_line_tells_the_exchange() -> None:
    with access_lines() as handler:
        exchange = started(observer(), request("POST", "/items/7", "a=1", headers={"user-agent": "curl/8"}))
        bind(ignored="outside")
        exchange.fields["tenant"] = "acme"
        exchange.route, exchange.status, exchange.request_bytes, exchange.response_bytes = (
            "/items/{i}",
            201,
            3,
            5,
        )
        exchange.first_byte()
        exchange.finish()
    found = strict_json(handler.lines[0])
    assert {
        key: found[key] for key in found if key not in ("timestamp", "hostname", "service", "environment")
    } == {
        "level": "INFO",
        "logger": "obs.access",
        "message": "POST /items/7 201",
        "request_id": exchange.request_id,
        "correlation_id": exchange.correlation_id,
        "trace_id": exchange.trace_id,
        "span_id": exchange.span_id,
        "tenant": "acme",
        "method": "POST",
        "path": "/items/7",
        "route": "/items/{i}",
        "status": 201,
        "outcome": "ok",
        "duration_ms": round(exchange.duration * 1000, 3),
        "ttfb_ms": round((exchange.time_to_first_byte or 0) * 1000, 3),
        "request_bytes": 3,
        "response_bytes": 5,
        "client": "192.0.2.1",
        "user_agent": "curl/8",
        "error_type": None,
    }


@pytest.mark.parametrize(
    ("learned", "level", "message", "error_type"),
    [
        ({"status": 404}, "INFO", "GET /items/7 404", None),
        ({"status": 500, "error": ValueError()}, "ERROR", "GET /items/7 500", "ValueError"),
        (
            {"status": None, "is_client_gone": True, "is_complete": False},
            "INFO",
            "GET /items/7 -",
            "client_disconnect",
        ),
    ],
)
def test_access_line_of_a_failed_exchange_is_an_error(
    learned: dict[str, Any], level: str, message: str, error_type: str
) -> None:
    with access_lines() as handler:
        serve(observer(), **learned)
    found = strict_json(handler.lines[0])
    assert (found["level"], found["message"], found["error_type"]) == (level, message, error_type)
    assert found["ttfb_ms"] is None


def test_access_line_is_hostile_input_made_harmless() -> None:
    path = f"/a\r\nFAKE \ud800 {SECRET}/jane@example.org/" + "x" * 1_000_000
    with access_lines() as handler:
        serve(
            observer(),
            request("BREW\n", path, headers={"user-agent": f"Bearer {SECRET}" + "x" * 1_000_000}, peer=None),
        )
    found = strict_json(handler.lines[0])
    assert len(handler.lines[0]) < 10_000
    assert (found["method"], found["client"]) == ("_OTHER", None)
    assert "jane" not in handler.lines[0]
    assert SECRET not in found["user_agent"]


@pytest.mark.parametrize(
    "name", ["path", "status", "outcome", "duration_ms", "client", "user_agent", "request_id", "message"]
)
def test_bound_field_never_takes_the_place_of_the_access_lines_own(name: str) -> None:
    with access_lines() as handler:
        exchange = started(observer())
        with exchange:
            bind(**{name: "bound"})
        exchange.status = 200
        exchange.finish()
    found = strict_json(handler.lines[0])
    assert found[name] != "bound"
    assert found[f"field_{name}"] == "bound"


def test_access_line_can_be_turned_off_and_filtered_by_level() -> None:
    with access_lines() as handler:
        serve(observer(access_log=False))
        logging.getLogger("obs.access").setLevel(logging.ERROR)
        serve(observer())
        serve(observer(), status=500)
    assert len(handler.lines) == 1


# Set up

SET_UP = """
import logging, sys
from obs_middleware import Observer, Settings
{before}
own = Observer(Settings.load())
own.gateway.set_up(debug={debug})
own.gateway.set_up(debug={debug})
{after}
"""


def printed(
    *,
    before: str = "",
    after: str = "logging.getLogger('shop').info('paid')",
    debug: bool = False,
    **env: str,
) -> str:
    return python(SET_UP.format(before=before, after=after, debug=debug), env=env)


def test_where_there_is_no_handler_ours_writes_json_to_stdout_once() -> None:
    found = strict_json(printed(OBS_SERVICE_NAME="shop").rstrip("\n"))
    assert (found["message"], found["service"], found["environment"]) == ("paid", "shop", "production")


def test_environment_of_the_debug_flag_is_told_and_the_level_is_the_settings() -> None:
    assert printed(OBS_LOG_LEVEL="WARNING") == ""
    assert strict_json(printed(debug=True).rstrip("\n"))["environment"] == "development"


def test_pretty_lines_are_written_where_wanted() -> None:
    assert printed(OBS_LOG_FORMAT="pretty").rstrip().endswith("INFO     shop  paid")


def test_line_is_not_lost_on_an_output_that_is_not_utf8() -> None:
    text = printed(after="logging.getLogger('shop').info('caf\\u00e9 \\u2192')", PYTHONIOENCODING="ascii")
    assert strict_json(text.rstrip("\n"))["message"] == "café →"


@pytest.mark.parametrize(
    "before",
    [
        "logging.basicConfig(level='INFO', format='%(message)s', stream=sys.stdout)",
        "logging.getLogger().addHandler(logging.StreamHandler(sys.stdout)); logging.getLogger().setLevel('INFO')",
    ],
)
def test_where_the_user_has_configured_logging_theirs_stays(before: str) -> None:
    assert printed(before=before) == "paid\n"


def test_log_setup_can_be_turned_off() -> None:
    assert printed(after="print(logging.getLogger().handlers)", OBS_LOG_SETUP="false") == "[]\n"


UVICORN = """
import uvicorn.config
logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
"""
SERVERS = """
logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", "/", "1.1", 200)
logging.getLogger("gunicorn.error").info("Booting worker")
logging.getLogger("gunicorn.own").info("own")
"""
GUNICORN = """
import logging.config
for name in ("gunicorn.error", "gunicorn.own"):
    logger = logging.getLogger(name)
    logger.propagate = False
    logger.setLevel("INFO")
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.handlers[0]._gunicorn = name == "gunicorn.error"
"""


def test_lines_of_the_servers_come_in_our_format_and_their_access_lines_do_not() -> None:
    pytest.importorskip("uvicorn")
    *lines, own = printed(before=GUNICORN + UVICORN, after=SERVERS).splitlines()
    found = [strict_json(line) for line in lines]
    assert [(line["logger"], line["message"]) for line in found] == [
        ("uvicorn.error", "Started server process [7]"),
        ("gunicorn.error", "Booting worker"),
    ]
    assert "color_message" not in found[0]
    assert own == "own"


def test_access_lines_of_the_server_stay_where_ours_are_off() -> None:
    pytest.importorskip("uvicorn")
    text = printed(before=GUNICORN + UVICORN, after=SERVERS, OBS_ACCESS_LOG="0")
    assert text.count("GET / HTTP/1.1") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are opened otherwise there")
def test_auto_format_is_pretty_on_a_terminal_in_development_alone() -> None:
    pty = pytest.importorskip("pty")

    def on_terminal(debug: bool) -> str:
        ours, theirs = pty.openpty()
        before = f"import os; sys.stdout = open({os.ttyname(theirs)!r}, 'w')"
        python(SET_UP.format(before=before, after="logging.getLogger('shop').info('paid')", debug=debug))
        text = os.read(ours, 10_000).decode()
        os.close(ours)
        os.close(theirs)
        return text

    assert "\033[32mINFO" in on_terminal(debug=True)
    assert strict_json(on_terminal(debug=False).strip())["message"] == "paid"


def test_client_begins_no_line_of_its_own_in_a_plain_log() -> None:
    with caught("obs.access", formatter=logging.Formatter("%(message)s %(path)s %(user_agent)s")) as handler:
        serve(
            observer(),
            request("GET", "/x\nCRITICAL root admin\x1b[2J\u2028\x85", headers={"user-agent": "a\rb\x9b"}),
        )
    (line,) = handler.lines
    assert line.isprintable()
    assert r"/x\x0aCRITICAL" in line


def test_logging_that_is_configured_after_our_import_does_not_silence_us() -> None:
    config = "{'version': 1, 'root': {'handlers': [], 'level': 'INFO'}}"
    configure = f"import logging.config; logging.config.dictConfig({config})"
    state = "print([logging.getLogger(name).disabled for name in ('obs', 'obs.access')])"
    assert printed(before=configure, after=state) == "[False, False]\n"
