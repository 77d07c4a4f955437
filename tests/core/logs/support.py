"""What the tests of logs share: records, and the lines that are made of them."""

from __future__ import annotations

import logging
import sys
from functools import cache
from typing import Any

from obs_middleware import Settings
from obs_middleware.logs import JsonFormatter
from tests.core.support import strict_json

SECRET = "hunter2x"
IDS = ("request_id", "correlation_id", "trace_id", "span_id")


@cache
def json_formatter() -> JsonFormatter:
    return JsonFormatter(settings=Settings(service_name="shop", service_version="1.2"))


def record(msg: object = "paid", *args: object, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("shop").makeRecord(
        "shop", logging.INFO, "shop.py", 7, msg, args, exc_info, extra=extra
    )


def line(
    msg: object = "paid", *args: object, formatter: JsonFormatter | None = None, **extra: Any
) -> dict[str, Any]:
    return strict_json((formatter or json_formatter()).format(record(msg, *args, **extra)))


def raised(error: BaseException) -> tuple[Any, Any, Any]:
    try:
        raise error
    except BaseException:
        return sys.exc_info()


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def with_extra(key: str) -> dict[str, Any]:
    return {key: "added"}


def cycle() -> list[Any]:
    inner: dict[str, Any] = {"a": 1}
    outer = [inner]
    inner["outer"] = outer
    return outer


class LocalProxy:
    """Flask's `request`, asked outside a request."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("Working outside of request context.")
