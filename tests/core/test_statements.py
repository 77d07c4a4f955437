"""The operation of a statement, and the warning for one that a request makes again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from obs_middleware.statements import operation_of
from tests.core.support import caught, observer, serve, started


@pytest.mark.parametrize(
    ("statement", "operation"),
    [
        ("SELECT 1", "SELECT"),
        ("  \n(select a) union (select b)", "SELECT"),
        ("/* by=shop, a*b */ UPDATE a SET b = 1", "UPDATE"),
        ("-- a hint\ninsert into a values (1)", "INSERT"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH"),
        ("FLY away", "_OTHER"),
        ("", "_OTHER"),
        ("/* never closed", "_OTHER"),
        (b"SELECT 1", "_OTHER"),
        (None, "_OTHER"),
    ],
)
def test_operation_is_the_first_word_of_a_known_kind(statement: object, operation: str) -> None:
    assert operation_of(statement) == operation


def test_no_statement_takes_long() -> None:
    began = time.perf_counter()
    for start in ("/*", "(", "/**/", "--\n"):
        operation_of(start * 1_000_000)
    assert time.perf_counter() - began < 30


def test_a_statement_is_warned_of_once_however_many_requests_make_it() -> None:
    own = observer(access_log=False, n_plus_one_queries=3)
    with caught("obs.queries") as lines:
        for _ in range(2):
            with started(own) as exchange:
                for _ in range(5):
                    own.gateway.note_query("SELECT name FROM items\n WHERE id = %s", 0.01)
            exchange.finish()
    (record,) = lines.records
    function = "test_a_statement_is_warned_of_once_however_many_requests_make_it"
    assert (record.pathname, record.funcName) == (__file__, function)
    assert "GET /items/7 has made one query 3 times (N+1?)" in record.getMessage()
    assert record.getMessage().endswith(": SELECT name FROM items WHERE id = %s")


def test_warning_names_the_line_of_the_app_below_the_libraries() -> None:
    own = observer(access_log=False, n_plus_one_queries=1)

    def function_of(*packages: str) -> str:
        """Return whose line is named where a function of each package calls the next, and the last one queries."""
        query: Callable[[], None] = partial(own.gateway.note_query, f"SELECT {packages}", 0.01)
        for package in reversed(packages):
            space: dict[str, Any] = {"__name__": f"{package}.module", "query": query}
            exec(f"def of_{package}(): query()", space)
            query = space[f"of_{package}"]
        with caught("obs.queries") as lines, started(own):
            query()
        return lines.records[0].funcName

    assert function_of("obs_django", "shop", "reports", "django", "psycopg", "obs_django") == "of_reports"
    assert (
        function_of("obs_wsgi", "django", "sqlalchemy", "obs_django", "django", "obs_django") == "of_django"
    )
    assert function_of("threading", "asgiref", "django", "sqlite3", "obs_django") == "of_django"


def test_query_outside_a_request_and_after_it_is_nobodys() -> None:
    own = observer(access_log=False, n_plus_one_queries=1)
    with caught("obs.queries") as lines:
        own.gateway.note_query("SELECT 1", 0.01)
        with serve(own):
            own.gateway.note_query("SELECT 1", 0.01)
    assert not lines.records
