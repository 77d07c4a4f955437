"""What the answer of a check says: in the shapes of other health libraries, of frameworks and of clients."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http
from collections import UserDict, namedtuple
from collections.abc import AsyncIterator, Iterator
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from obs_middleware import Observer
from obs_middleware.health.ready_made import tcp_port
from tests.core.health.probing import SECRET, detail, probe


class Status(Enum):
    UP = 1
    DOWN = 2
    OUT_OF_SERVICE = 3


class Serving(IntEnum):
    SERVING = 1
    NOT_SERVING = 2


class Word(str, Enum):
    FAIL = "fail"
    PASS = "pass"


@dataclasses.dataclass
class Report:
    status: str
    message: str = ""


class Struct(msgspec.Struct):
    healthy: bool


class Order:
    """A row of an app's own, whose status says nothing about its database."""

    status = "failed"


class Awkward:
    @property
    def status_code(self) -> int:
        raise ConnectionError


class Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        self.ok = status_code < 400


Row = namedtuple("Row", "ok count")


def dependency() -> Iterator[int]:
    yield 1


async def async_dependency() -> AsyncIterator[int]:
    yield 1


async def forgets_to_await() -> Any:
    return forgets_to_await_inside()


async def forgets_to_await_inside() -> bool:
    return False


FAILING: dict[str, Any] = {
    "tuple": lambda: (False, "redis down"),
    "tuple with a number": lambda: (False, 7),
    "tuple of one": lambda: (False,),
    "list": lambda: [False, "redis down"],
    "tuple and an exception": lambda: (None, ValueError("redis down")),
    "exception": lambda: ValueError("redis down"),
    "exception that is no Exception": lambda: KeyboardInterrupt(),
    "status": lambda: {"status": "fail"},
    "status in capitals": lambda: {"status": "DOWN", "components": {}},
    "status of two words": lambda: {"status": "Out of service"},
    "status of an enum": lambda: {"status": Status.DOWN},
    "status that is a number": lambda: {"status": 503},
    "status code": lambda: {"status_code": 500, "body": "ok"},
    "class of an exception": lambda: ValueError,
    "status of .NET": lambda: {"Status": "Unhealthy"},
    "state": lambda: {"state": "unhealthy"},
    "flag": lambda: {"healthy": False, "message": "redis down"},
    "flag of an API": lambda: {"ok": False, "error": "not_authed"},
    "error": lambda: {"error": "redis down"},
    "errors": lambda: {"errors": ["redis down"]},
    "error that is an exception": lambda: {"error": ValueError("x")},
    "one of many": lambda: {"redis": True, "queue": False},
    "mapping that is no dict": lambda: UserDict(status="fail"),
    "status in a tuple": lambda: ({"status": "fail"}, 200),
    "tuple of Flask": lambda: ("redis down", 503),
    "tuple of Flask with headers": lambda: ({"status": "?"}, 500, {"X-A": "b"}),
    "response": lambda: Response(503),
    "response of aiohttp": lambda: SimpleNamespace(status=502),
    "response of WebOb": lambda: SimpleNamespace(status="503 Service Unavailable"),
    "HTTPStatus": lambda: http.HTTPStatus.SERVICE_UNAVAILABLE,
    "enum": lambda: Status.DOWN,
    "enum of two words": lambda: Status.OUT_OF_SERVICE,
    "enum of numbers": lambda: Serving.NOT_SERVING,
    "enum of texts": lambda: Word.FAIL,
    "dataclass": lambda: Report("fail"),
    "struct": lambda: Struct(healthy=False),
    "namedtuple": lambda: Row(False, 3),
    "generator": dependency,
    "async generator": async_dependency,
    "generator in a partial": functools.partial(dependency),
    "context manager": contextlib.contextmanager(dependency),
    "async context manager": contextlib.asynccontextmanager(async_dependency),
    "function": lambda: probe,
    "ready-made check that is not called": lambda: tcp_port("127.0.0.1", 1),
    "method": lambda: "".join,
    "coroutine of a coroutine": forgets_to_await,
}
PASSING: dict[str, Any] = {
    "tuple": lambda: (True, "fine"),
    "tuple of nothing": tuple,
    "row": lambda: (1,),
    "rows": lambda: [(1,), (503,)],
    "row of numbers": lambda: (503, 504),
    "list of errors": list,
    "status": lambda: {"status": "pass"},
    "status of two": lambda: {"status": "ok", "errors": []},
    "status and what is no failure": lambda: {"status": "UP", "error": "none since 3 days"},
    "status that is a number": lambda: {"status": 200},
    "status that warns": lambda: {"status": "warn"},
    "flag": lambda: {"ok": True, "count": 0},
    "facts": lambda: {"version": "7.2", "readonly": False},
    "error that is none": lambda: {"error": None},
    "count of errors": lambda: {"errors": 0},
    "many": lambda: {"redis": True, "queue": True},
    "response": lambda: Response(200),
    "response of a client's mistake": lambda: Response(404),
    "tuple of Flask": lambda: ("fine", 200),
    "HTTPStatus": lambda: http.HTTPStatus.OK,
    "enum": lambda: Status.UP,
    "enum of numbers": lambda: Serving.SERVING,
    "enum of texts": lambda: Word.PASS,
    "dataclass": lambda: Report("pass"),
    "row of the app": Order,
    "object that can't be read": Awkward,
    "text": lambda: "fail",
    "count": lambda: 503,
    "zero": lambda: 0,
    "object": object,
}


@pytest.mark.parametrize("name", FAILING)
def test_answer_that_says_failure_is_one(own: Observer, name: str) -> None:
    own.health.add("database", FAILING[name])
    assert probe(own)[0] == 503
    assert detail(own)["output"] not in ("", "no answer yet")


@pytest.mark.parametrize("name", PASSING)
def test_answer_that_says_nothing_of_a_failure_passes(own: Observer, name: str) -> None:
    own.health.add("database", PASSING[name])
    assert (probe(own)[0], detail(own).get("output")) == (200, None)


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("tuple", "redis down"),
        ("tuple of one", "returned False"),
        ("exception", "ValueError: redis down"),
        ("flag", "redis down"),
        ("one of many", "False for queue"),
        ("tuple of Flask", "redis down"),
        ("response", "a response of status 503"),
        ("status", "returned fail"),
        ("enum", "returned DOWN"),
        (
            "generator",
            (
                "has returned what never runs, a generator, a function or a ready-made check: a check must do its work "
                "and return; a ready-made one is called when it is added, disk_space('/data')"
            ),
        ),
    ],
)
def test_failure_is_told_in_the_words_of_the_check(own: Observer, name: str, output: str) -> None:
    own.health.add("database", FAILING[name])
    probe(own)
    assert detail(own)["output"] == output


def test_words_of_a_check_pass_the_redactor(own: Observer) -> None:
    own.health.add("database", lambda: (False, f"redis://app:{SECRET}@cache refused"))
    probe(own)
    assert detail(own)["output"] == "redis://REDACTED:REDACTED@cache refused"


def test_answer_of_a_numpy_array_counts(own: Observer) -> None:
    no = type("bool_", (), {"__module__": "numpy", "__bool__": lambda self: False})()
    own.health.add("database", lambda: no)
    assert probe(own)[0] == 503
