"""What a check may return besides yes and no, and several results at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from obs_middleware import ConfigError, Observer
from obs_middleware.health import Result
from tests.core.health.probing import SECRET, answered, probe


def test_result_says_what_was_measured(own: Observer) -> None:
    own.health.add(
        "pool",
        lambda: Result(observed_value=3, observed_unit="connections"),
        component_type="datastore",
    )
    found = answered(own, "pool")
    assert found.pop("time")
    assert found == {
        "status": "pass",
        "componentType": "datastore",
        "observedValue": 3,
        "observedUnit": "connections",
    }


def test_result_may_warn_or_fail(own: Observer) -> None:
    own.health.add("replicas", lambda: Result("warn", output="2 of 3"))
    assert answered(own, "replicas")["output"] == "2 of 3"
    assert probe(own) == (200, {"status": "warn"})
    own.health.add("disk", lambda: Result("fail", output=f"password={SECRET}", observed_value=99.5))
    found = answered(own, "disk")
    assert (found["status"], found["output"], found["observedValue"]) == ("fail", "password=REDACTED", 99.5)
    assert probe(own) == (503, {"status": "fail"})


def test_result_that_makes_no_sense_is_a_failure_that_says_so(own: Observer) -> None:
    wrong: Any = "okay"
    own.health.add("disk", lambda: Result(wrong))
    assert "must be pass, warn or fail, got 'okay'" in answered(own, "disk")["output"]
    with pytest.raises(ConfigError):
        Result(wrong)


@pytest.mark.parametrize("value", [float("nan"), object(), {"token": SECRET}, f"Bearer {SECRET}{SECRET}"])
def test_value_is_shown_as_json_without_secrets(own: Observer, value: Any) -> None:
    own.health.add("odd", lambda: Result(observed_value=value))
    assert SECRET not in str(answered(own, "odd"))


def test_answer_that_cannot_be_looked_at_is_a_failure(own: Observer) -> None:
    class Odd(dict[str, str]):
        def get(self, name: object, default: object = None) -> Any:
            raise ValueError("odd")

        def items(self) -> Any:
            raise ValueError("odd")

    own.health.add("odd", Odd)
    assert answered(own, "odd")["output"] == "ValueError: odd"


FAILING: list[Any] = [
    [True, False],
    [None, False, None],
    [Result(), Result("fail", output="redis is down")],
    [{"status": "pass"}, {"status": "fail"}],
    [(True, ""), (False, "redis is down")],
    [("database", True), ("cache", False)],
    [("database", True, None), ("cache", False, "redis is down")],
    [[True], [True, False]],
    {True, False},
    {"a": True, "b": False}.values(),
    (Result(), Result("fail")),
    (True, False),
    {"cache": Result("fail"), "database": Result()},
    {"cache": {"status": "down"}, "database": {"status": "up"}},
    {"cache": (False, "redis is down"), "database": (True, "")},
    {"cache": [True, False], "database": None},
]
PASSING: list[Any] = [
    [True, None],
    [Result(), Result()],
    [{"status": "pass"}, {"status": "up"}],
    [("database", True), ("cache", True)],
    [("a row", 1), ("another", 0)],
    ["fail", "down"],
    [1, 0],
    {"cache": {"status": "up"}},
    {"cache": Result(), "database": True},
    ("a row", 503, None, 1),
]


@pytest.mark.parametrize("answer", FAILING, ids=str)
def test_several_results_of_which_one_has_failed_have_failed(own: Observer, answer: Any) -> None:
    own.health.add("all", lambda: answer)
    found = answered(own, "all")
    assert found["status"] == "fail"
    if "redis is down" in str(answer):
        assert "redis is down" in found["output"]


@pytest.mark.parametrize("answer", PASSING, ids=str)
def test_several_results_that_say_no_failure_pass(own: Observer, answer: Any) -> None:
    own.health.add("all", lambda: answer)
    assert answered(own, "all")["status"] == "pass"


@pytest.mark.parametrize(
    "answer",
    [
        [True, Result("warn", output="slow")],
        {"status": "degraded", "message": "slow"},
        [{"status": "ok"}, {"status": "WARNING", "detail": "slow"}],
    ],
    ids=str,
)
def test_results_of_which_one_warns_warn(own: Observer, answer: Any) -> None:
    own.health.add("all", lambda: answer)
    found = answered(own, "all")
    assert (found["status"], found["output"]) == ("warn", "slow")


def test_gathered_results_are_several(own: Observer) -> None:
    async def ping(answer: Any) -> Any:
        return answer

    @own.health.check("all")
    async def ping_all() -> Any:
        return await asyncio.gather(ping(True), ping(False))

    assert answered(own, "all")["output"] == "returned False"
