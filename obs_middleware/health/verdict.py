"""Whether the answer of a check says that it has failed, in the shapes that other health libraries and frameworks use.

Nothing and True are a pass, and so is any value that says nothing: a row of a database, a number, a text.
A failure is False, alone or first in a tuple; an exception that is returned; a response of status 5xx; a mapping or an
object whose status says so; several results of which one is a failure; and what has never run, such as a generator or
a function.
"""

from __future__ import annotations

import inspect
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set, ValuesView
from enum import Enum
from types import SimpleNamespace
from typing import Any

import msgspec

from obs_middleware.health.ready_check import ReadyCheck
from obs_middleware.health.result import FAIL, WARN, Result


class CheckFailed(Exception):
    """The answer of a check says that it has failed."""


_FAILING_WORDS = (
    "fail failed failing failure error err down unhealthy critical dead ko nok broken offline unavailable "
    "unreachable outofservice notok notready notserving notavailable disconnected timeout fatal false"
)
_WARNING_WORDS = "warn warning degraded"
_PASSING_WORDS = "pass passed passing ok okay up healthy success serving ready available true"
_FLAG_WORDS = "ok healthy is_healthy is_ok success passed up is_up alive is_alive ready available connected"
_FAILING, _PASSING = frozenset(_FAILING_WORDS.split()), frozenset(_PASSING_WORDS.split())
_WARNING = frozenset(_WARNING_WORDS.split())
_FLAGS = _FLAG_WORDS.split()
_STATUS_CODES = ("status_code", "status", "code")
_STATUS = (*_STATUS_CODES, "state", "health", "result", "outcome")
_ERRORS = ("error", "errors", "exception")
_DETAILS = ("output", "message", "detail", "details", "reason", *_ERRORS)
_NEVER_RUN = (
    "has returned what never runs, a generator, a function or a ready-made check: a check must do its work and return; "
    "a ready-made one is called when it is added, disk_space('/data')"
)
_VALUE_CLASSES = ("__dataclass_fields__", "__struct_fields__", "__attrs_attrs__", "model_fields", "_fields")
_COLLECTIONS = (list, deque, Set, ValuesView)
_MOST_DETAIL = 500  # characters
_no_letter = re.compile(r"[^a-z]+")


def result_of(answer: Any) -> Result | BaseException:
    """Return what an answer says: a Result, or why it is a failure."""
    if isinstance(answer, Result):
        has_reason = answer.output or answer.status != FAIL
        return answer if has_reason else msgspec.structs.replace(answer, output="returned fail")
    failure = failure_of(answer)
    if failure is not None:
        return failure
    if isinstance(answer, _COLLECTIONS):
        warning = next((one for one in map(result_of, answer) if is_warning(one)), None)
        return warning or Result()
    if isinstance(answer, Mapping) or _is_value(answer):
        fields = answer if isinstance(answer, Mapping) else _Attributes(answer)
        if any(_word(fields.get(name)) in _WARNING for name in _STATUS):
            return Result("warn", output=_text(fields.get(name) for name in _DETAILS))
    return Result()


def is_warning(result: Result | BaseException) -> bool:
    """Tell whether it is a Result that warns."""
    return isinstance(result, Result) and result.status == WARN


def failure_of(answer: Any) -> BaseException | None:
    """Return why an answer is a failure; None where it is a pass."""
    if answer is None or answer is True:
        return None
    if isinstance(answer, BaseException):
        return answer
    if isinstance(answer, type) and issubclass(answer, BaseException):
        return CheckFailed(f"returned {answer.__name__}")
    if _is_false(answer):
        return CheckFailed("returned False")
    if _has_never_run(answer):
        return CheckFailed(_NEVER_RUN)
    if isinstance(answer, Enum):
        return CheckFailed(f"returned {answer.name}") if _says_failed(answer) else None
    if isinstance(answer, Mapping):
        return _failure_of_mapping(answer)
    if _is_value(answer):
        return _failure_of_mapping(_Attributes(answer))
    if isinstance(answer, tuple):
        return _failure_of_items(answer) or _failure_of_results(answer)
    if isinstance(answer, _COLLECTIONS):
        return _failure_of_items(tuple(answer), is_tuple=False) or _failure_of_results(tuple(answer))
    if isinstance(answer, (str, bytes, int, float)):
        return None
    return _failure_of_response(_Attributes(answer))


def _failure_of_items(items: tuple[Any, ...], *, is_tuple: bool = True) -> BaseException | None:
    """`(False, "redis down")`, `("down", 503)` of Flask, `(None, error)`."""
    error = _first_error(items)
    if error is not None or not items:
        return error
    first, *others = items
    if _is_false(first):
        return CheckFailed(_text(others) or "returned False")
    if is_tuple and len(items) <= 3 and any(map(_is_server_error, items)):
        texts = [item for item in items if not _is_number(item)]
        return CheckFailed(_text(texts)) if texts else None
    return failure_of(first) if isinstance(first, (Enum, Mapping)) else None


def _failure_of_results(items: tuple[Any, ...]) -> BaseException | None:
    """Several results, as `asyncio.gather` returns them: why the first one that has failed has failed."""
    if not all(map(_is_result, items)):
        return None
    return next(filter(None, map(_failure_of_result, items)), None)


def _is_result(item: Any) -> bool:
    """Tell whether an item is a result, and not a row of a database or a number."""
    if isinstance(item, tuple) and not _is_value(item):
        return any(isinstance(part, bool) for part in item) and all(map(_is_told, item))
    return (
        item is None
        or isinstance(item, (bool, Enum, Mapping, BaseException, *_COLLECTIONS))
        or _is_false(item)
        or _is_value(item)
    )


def _is_told(part: Any) -> bool:
    """Tell whether it is a part of `(False, "redis down")` or `("redis", False)`."""
    return part is None or isinstance(part, (bool, str, BaseException))


def _failure_of_result(item: Any) -> BaseException | None:
    if isinstance(item, tuple) and not _is_value(item) and any(part is False for part in item):
        return CheckFailed(_text(part for part in item if not isinstance(part, bool)) or "returned False")
    return failure_of(item)


def _failure_of_mapping(fields: Mapping[Any, Any]) -> BaseException | None:
    """A report of a health library, in any case (`Status` in .NET's): its status, else its flag, else its error."""
    if isinstance(fields, dict):
        fields = {key.lower() if isinstance(key, str) else key: value for key, value in fields.items()}
    statuses, flags, details = ([fields.get(name) for name in names] for names in (_STATUS, _FLAGS, _DETAILS))
    failing = [status for status in statuses if _says_failed(status)] or [
        flag for flag in flags if _is_false(flag)
    ]
    if not failing and (any(map(_says_passed, statuses)) or any(flag is True for flag in flags)):
        return None
    if failing:
        return _first_error(details) or CheckFailed(_text(details) or f"returned {failing[0]}")
    errors = [error for name in _ERRORS if (error := fields.get(name)) and _is_error(error)]
    if errors:
        return _first_error(errors) or CheckFailed(_text(errors))
    # A result for each name: {"redis": True, "queue": False}.
    values = list(fields.values()) if isinstance(fields, dict) else []
    if any(map(_is_false, values)) and all(value is True or _is_false(value) for value in values):
        return CheckFailed(f"False for {_text(name for name, value in fields.items() if _is_false(value))}")
    if values and all(map(_is_result, values)):
        failed = {name: failure for name, value in fields.items() if (failure := _failure_of_result(value))}
        if failed:
            return CheckFailed(_text(f"{name}: {failure}" for name, failure in failed.items()))
    return None


def _failure_of_response(response: _Attributes) -> BaseException | None:
    """A response of a client or a framework; anything else says nothing."""
    status = next((status for name in _STATUS_CODES if _is_server_error(status := response.get(name))), None)
    return None if status is None else CheckFailed(f"a response of status {status}")


def _says_failed(status: Any) -> bool:
    return _is_false(status) or _is_server_error(status) or _word(status) in _FAILING


def _says_passed(status: Any) -> bool:
    return status is True or _word(status) in _PASSING


def _is_server_error(status: Any) -> bool:
    """Tell whether it is a status of 500 to 599: a number, or a text such as `503 Service Unavailable`."""
    if isinstance(status, str):
        code, _, _ = status.partition(" ")
        status = int(code) if len(code) == 3 and code.isdecimal() else 0
    return _is_number(status) and 500 <= status < 600


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_false(value: Any) -> bool:
    kind = type(value)
    return value is False or (kind.__module__ == "numpy" and kind.__name__.startswith("bool") and not value)


def _is_error(value: Any) -> bool:
    return isinstance(value, (str, BaseException, list, tuple))


def _is_value(answer: Any) -> bool:
    """Tell whether it is an instance of a class that only holds values, as a library's result is."""
    return isinstance(answer, SimpleNamespace) or any(hasattr(type(answer), name) for name in _VALUE_CLASSES)


def _has_never_run(answer: Any) -> bool:
    """Tell whether it is a generator, also one that contextlib has wrapped, a function, or a ready-made check."""
    inner = getattr(answer, "gen", None)
    return (
        inspect.isroutine(answer)
        or isinstance(answer, ReadyCheck)
        or any(inspect.isgenerator(one) or inspect.isasyncgen(one) for one in (answer, inner))
    )


def _first_error(values: Iterable[Any]) -> BaseException | None:
    return next((value for value in values if isinstance(value, BaseException)), None)


def _word(status: Any) -> str:
    """Return a status as one word in lower case: `Status.OUT_OF_SERVICE` and "out of service" are one."""
    if isinstance(status, Enum):
        status = status.value if isinstance(status.value, str) else status.name
    return _no_letter.sub("", status.lower()) if isinstance(status, str) and len(status) < 40 else ""


def _text(values: Iterable[Any]) -> str:
    """Return what an answer says beside its status, cut."""
    return ", ".join(str(value) for value in values if value)[:_MOST_DETAIL]


class _Attributes(Mapping[str, Any]):
    """The attributes of an object by name; one that can't be read is None."""

    def __init__(self, of: Any) -> None:
        self._of = of

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self._of, name)
        except Exception:
            return None

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
