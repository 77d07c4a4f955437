"""A failure of our own is counted each time, and logged once a minute; which exceptions stand for a response."""

from __future__ import annotations

import logging
from io import StringIO
from typing import Any

import pytest
from starlette.exceptions import HTTPException as StarletteException
from werkzeug.exceptions import HTTPException as WerkzeugException
from werkzeug.exceptions import NotFound, abort

from obs_middleware import Settings, errors
from obs_middleware.errors import Failures, own_status
from obs_middleware.redaction import Redactor
from tests.core.support import internal_errors, observer, started

SHOWN = Redactor.of(Settings()).error


def test_failure_of_our_own_is_counted_and_logged_once_in_a_minute_and_never_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = observer(access_log=False)
    for _ in range(3):
        exchange = started(own)
        exchange.duration = None  # type: ignore[assignment]
        exchange.response_bytes = None  # type: ignore[assignment]  # which no histogram takes
        exchange.finish()
    assert internal_errors(own, "metrics") == 3
    lines = [record.getMessage() for record in caplog.records if record.name == "obs"]
    assert lines == ["obs-middleware failed in metrics; the request was not affected"]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "obs"]


def test_minute_of_silence_is_one_for_all_components_and_ends(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, counted = [1000.0], list[str]()
    monkeypatch.setattr(errors, "monotonic", lambda: now[0])
    failures = Failures(counted.append, SHOWN)
    for seconds, component in ((0, "logs"), (59.9, "traces"), (60, "metrics"), (119.9, "logs")):
        now[0] = 1000.0 + seconds
        failures.report(component, ValueError(component))
    assert counted == ["logs", "traces", "metrics", "logs"]
    assert [line.partition(";")[0] for line in logged(caplog)] == [
        "obs-middleware failed in logs",
        "obs-middleware failed in metrics",
    ]


def test_line_of_a_failure_has_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    Failures(lambda component: None, SHOWN).report("logs", ValueError("what has happened"))
    assert "what has happened" in caplog.text


def test_no_secret_of_a_failure_leaves_by_a_handler_of_the_users() -> None:
    """With `log_setup=False` nobody else hides it."""
    own, shown = observer(), StringIO()
    handler = logging.StreamHandler(shown)

    @own.metrics.on_collect
    def hook() -> None:
        raise RuntimeError("postgresql://bob:hunter2-Secret@db/shop")

    logging.getLogger("obs").addHandler(handler)
    try:
        own.metrics.snapshot()
    finally:
        logging.getLogger("obs").removeHandler(handler)
    assert "hook of on_collect has raised RuntimeError" in shown.getvalue()
    assert 'raise RuntimeError("' in shown.getvalue()
    assert "hunter2" not in shown.getvalue()


def test_guarded_function_returns_what_it_returns_or_none_where_it_fails() -> None:
    counted = list[str]()
    failures = Failures(counted.append, SHOWN)
    assert failures.guard("numbers", divmod, 7, 2) == (3, 1)
    assert failures.guard("numbers", divmod, 7, 0) is None
    assert counted == ["numbers"]


def test_guard_lets_through_what_ends_the_process() -> None:
    def end() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        Failures(lambda component: None, SHOWN).guard("numbers", end)


def test_handler_of_the_user_that_fails_makes_no_failure_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the user's own")

    monkeypatch.setattr(logging.getLogger("obs"), "handlers", [Broken()])
    counted = list[str]()
    Failures(counted.append, SHOWN).report("logs", ValueError())
    assert counted == ["logs"]


def raised(function: Any, *args: Any) -> Exception:
    with pytest.raises(Exception) as caught:
        function(*args)
    return caught.value


class Problem(Exception):
    """As Connexion's."""

    __module__ = "connexion.exceptions"

    status = 403


class FalconError(Exception):
    """As Falcon's, whose status is text."""

    __module__ = "falcon.errors"

    status = "409 Conflict"


class OfAClient(Exception):
    """As HTTP clients have them: the status is that of somebody else's response."""

    status_code = code = status = 404


class App(Exception):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Stand for a response, as werkzeug's exceptions do."""


class Mine(StarletteException):
    pass


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound(), 404),
        (raised(abort, 418), 418),
        (WerkzeugException(), 0),
        (StarletteException(413), 413),
        (Mine(404), 404),
        (Problem(), 403),
        (FalconError(), 409),
        (App(), 0),
        (StopIteration(), 0),
        (StopAsyncIteration(), 0),
        (GeneratorExit(), 0),
        (ValueError(), None),
        (OfAClient(), None),
        (KeyboardInterrupt(), None),
    ],
)
def test_status_that_an_exception_stands_for(error: BaseException, status: int | None) -> None:
    assert own_status(error) == status
