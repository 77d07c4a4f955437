"""structlog, loguru and sentry-sdk beside us: the request's IDs on what they write, and no secrets in it."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from obs_middleware import Settings, bind
from obs_middleware.logs import JsonFormatter, LoguruPatcher, SentryScrubber, StructlogProcessor
from tests.core.logs.support import SECRET
from tests.core.support import Caught, caught, observer, python, started

SETTINGS = Settings()


@pytest.fixture
def lines() -> Iterator[Caught]:
    with caught("shop", formatter=JsonFormatter(settings=SETTINGS)) as handler:
        yield handler
    structlog.reset_defaults()


def configure(*processors: Any, factory: Any = None) -> Any:
    structlog.reset_defaults()
    structlog.configure(
        processors=processors,
        logger_factory=factory or structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    return structlog.get_logger("shop")


CHAINS: dict[str, Any] = {
    "render_to_log_kwargs": [structlog.stdlib.render_to_log_kwargs],
    "wrap_for_formatter": [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_structlogs_event_is_the_message_of_our_line(lines: Caught, chain: str) -> None:
    log = configure(*CHAINS[chain])
    try:
        raise LookupError("no such order")
    except LookupError as error:
        log.error("not paid", order=3, password=SECRET, exc_info=error)
    found = json.loads(lines.lines[0])
    assert (found["message"], found["order"], found["level"]) == ("not paid", 3, "ERROR")
    assert (found["exception"]["type"], found["password"]) == ("LookupError", "REDACTED")
    assert not [name for name in found if name.startswith(("_", "field_"))]


WRAPPED = structlog.stdlib.ProcessorFormatter.wrap_for_formatter


def test_texts_that_structlogs_processors_have_made_are_in_our_line_without_secrets(lines: Caught) -> None:
    log = configure(structlog.processors.StackInfoRenderer(), structlog.processors.format_exc_info, WRAPPED)
    try:
        raise LookupError(f"no such order, password={SECRET}")
    except LookupError:
        log.exception("not paid", stack_info=True)
    found = json.loads(lines.lines[0])
    assert found["exception"]["stack"].endswith("LookupError: no such order, password=REDACTED")
    assert found["stack_info"].startswith("Stack (most recent call last):")
    assert not {"stack", "field_stack", "field_exception"} & found.keys()


def test_value_that_has_the_name_of_an_attribute_of_records_keeps_its_place_in_structlogs_event(
    lines: Caught,
) -> None:
    configure(WRAPPED).info("paid", args="cash", lineno=3, order=7)
    found = json.loads(lines.lines[0])
    assert (found["message"], found["field_args"], found["field_lineno"], found["order"]) == (
        "paid",
        "cash",
        3,
        7,
    )


@pytest.mark.parametrize("way", ["an exception", "a tuple", "True"])
def test_exception_comes_to_our_line_in_each_way_that_structlog_takes_it(lines: Caught, way: str) -> None:
    log = configure(WRAPPED)
    try:
        raise LookupError("no such order")
    except LookupError as error:
        ways: dict[str, Any] = {"an exception": error, "a tuple": sys.exc_info(), "True": True}
        log.error("not paid", exc_info=ways[way])
    found = json.loads(lines.lines[0])["exception"]
    assert (found["type"], found["message"]) == ("LookupError", "no such order")
    assert "in test_exception_comes" in found["stack"]


def test_structlogs_own_printer_has_ids_and_no_secrets_by_one_processor(lines: Caught) -> None:
    text = io.StringIO()
    log = configure(
        StructlogProcessor(SETTINGS),
        structlog.processors.JSONRenderer(),
        factory=structlog.PrintLoggerFactory(text),
    )
    exchange = started(observer())
    with exchange:
        bind(tenant="acme")
        try:
            raise LookupError(f"password={SECRET}")
        except LookupError:
            log.error(f"login token={SECRET}", password=SECRET, exc_info=True)
    found = json.loads(text.getvalue())
    assert SECRET not in text.getvalue()
    assert (found["request_id"], found["trace_id"], found["tenant"]) == (
        exchange.request_id,
        exchange.trace_id,
        "acme",
    )
    assert "LookupError" in found["exception"]


def test_logurus_records_have_ids_and_no_secrets_by_one_patcher() -> None:
    from loguru import logger

    text = io.StringIO()
    logger.remove()
    number = logger.add(text, serialize=True)
    logger.configure(patcher=LoguruPatcher(SETTINGS))
    exchange = started(observer())
    try:
        with exchange:
            try:
                raise LookupError(f"password={SECRET}")
            except LookupError:
                logger.bind(api_key=SECRET).exception("login token={}", SECRET)
    finally:
        logger.configure(patcher=lambda record: None)
        logger.remove(number)
    record = json.loads(text.getvalue())["record"]
    assert SECRET not in text.getvalue()
    assert record["extra"]["request_id"] == exchange.request_id
    assert "LookupError" in record["message"]


def test_scrubber_hides_what_sentrys_event_has_in_its_parts() -> None:
    frame = {"vars": {"password": SECRET}}
    event = {
        "logentry": {"message": "token=%s", "formatted": f"token={SECRET}", "params": [SECRET]},
        "exception": {"values": [{"value": f"password={SECRET}", "stacktrace": {"frames": [frame]}}]},
        "breadcrumbs": {"values": [{"message": f"api_key={SECRET}", "data": {"token": SECRET}}]},
        "request": {"headers": {"Authorization": f"Bearer {SECRET}"}},
        "event_id": "1",
    }
    found = SentryScrubber(SETTINGS)(event, {})
    assert SECRET not in str(found)
    assert found["event_id"] == "1"


def test_access_line_is_no_event_of_sentrys_and_its_events_have_no_secret() -> None:
    code = f"""
import logging, sentry_sdk
from sentry_sdk.transport import Transport
sent = []
class Kept(Transport):
    def capture_envelope(self, envelope):
        sent.extend(item.payload.json for item in envelope.items if item.headers.get("type") == "event")
sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Kept)
from obs_middleware import Observer, RequestInfo
observer = Observer(log_format="json")
observer.gateway.set_up()
exchange = observer.gateway.start(RequestInfo("GET", "/x", "", "http", {{}}.get, None, "1.1", False))
with exchange:
    logging.getLogger("shop").error("login with password=%s", "{SECRET}")
exchange.status = 503
exchange.finish()
logging.root.handlers.clear()
print(len(sent), sent[0]["logger"], "{SECRET}" in str(sent))
"""
    assert python(code).splitlines()[-1] == "1 shop False"


def test_record_of_another_thread_that_was_stamped_keeps_its_ids() -> None:
    import queue
    from logging.handlers import QueueHandler

    from obs_middleware.logs import ContextFilter

    waiting: Any = queue.SimpleQueue()
    handler = QueueHandler(waiting)
    handler.addFilter(ContextFilter())
    exchange = started(observer())
    with exchange:
        handler.handle(logging.makeLogRecord({"name": "shop", "msg": "paid"}))
    found = json.loads(JsonFormatter(settings=SETTINGS).format(waiting.get()))
    assert found["request_id"] == exchange.request_id
    assert "field_request_id" not in found


def test_sentrys_own_header_is_the_parent_where_sentry_is_there() -> None:
    import sentry_sdk  # noqa: F401

    from obs_middleware.tracing.propagation import remote_parent

    headers = {"sentry-trace": f"{'7' * 32}-{'1' * 16}-1"}
    parent = remote_parent(headers.get)
    assert parent is not None
    assert (parent.trace_id, parent.span_id, parent.trace_flags) == (int("7" * 32, 16), int("1" * 16, 16), 1)
    assert remote_parent({"sentry-trace": "no"}.get) is None


def test_settings_of_redaction_hold_for_structlog_and_loguru_too() -> None:
    settings = Settings(
        redact_patterns=("INV-[0-9]{4}",), redact_allowed_keys=("session_token",), redact_mode="hash"
    )
    event = StructlogProcessor(settings)(None, "info", {"event": "INV-1234 paid", "session_token": "abc"})
    assert event["session_token"] == "abc"
    record: dict[str, Any] = {"message": "INV-1234 paid", "extra": {}, "exception": None}
    LoguruPatcher(settings)(record)
    for text in (event["event"], record["message"]):
        assert str(text).startswith("REDACTED-")


def test_event_whose_part_cannot_be_read_goes_without_it() -> None:
    class Odd(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("odd")

    event = SentryScrubber(Settings())({"extra": Odd(a=1), "message": "password=hunter2x"})
    assert event == {"message": "password=REDACTED"}


@pytest.mark.parametrize("params", [["hunter2x"], [1, 2]])
def test_parameters_of_an_unformatted_event_are_left_out_where_they_may_be_secret(params: Any) -> None:
    """As older releases of sentry-sdk hand it over; a text that does not fit its parameters is not known."""
    event = SentryScrubber(Settings())({"logentry": {"message": "login with password=%s", "params": params}})
    assert "params" not in event["logentry"]
