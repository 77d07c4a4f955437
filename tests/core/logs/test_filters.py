"""The filters for a handler that the user has made."""

from __future__ import annotations

import json
import logging
import logging.config
import logging.handlers
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from pythonjsonlogger.core import BaseJsonFormatter

from obs_middleware import Settings, bind
from obs_middleware.logs import ContextFilter, JsonFormatter, RedactingFilter
from tests.core.logs.support import IDS, SECRET, LocalProxy, Raising
from tests.core.support import caught, observer, request, started, strict_json


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
            "text": {"format": "%(levelname)s [%(request_id)s %(trace_id)s] %(message)s"},
        },
        "handlers": {
            "own": {
                "class": "tests.core.support.Caught",
                "formatter": "text",
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


def test_filters_give_context_to_a_users_handler_and_take_its_secrets(configured: dict[str, Any]) -> None:
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
    with caught("shop", formatter=JsonFormatterOfOthers()) as handler:
        handler.addFilter(RedactingFilter(Settings()))
        logging.getLogger("shop").info(msg, *args, extra=extra)
    assert SECRET not in handler.lines[0]


class JsonFormatterOfOthers(BaseJsonFormatter):
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
    [logging.Formatter(), JsonFormatterOfOthers(), JsonFormatter(settings=Settings())],
    ids=["text", "json", "ours"],
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
