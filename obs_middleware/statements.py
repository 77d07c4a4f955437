"""Statements of a database: their operation, and those that one request makes again and again.

A loop that asks for each row's relations makes one query for N rows, and then N more. It shows as one statement, with
other parameters, made many times by one request.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange
    from obs_middleware.redaction import Redactor

_logger = logging.getLogger("obs.queries")
_first_word = re.compile(r"(?:[\s(]|/\*(?:[^*]|\*(?!/))*\*/|--[^\n]*\n)*([a-zA-Z]+)").match
_WORDS = (
    "SELECT INSERT UPDATE DELETE MERGE REPLACE UPSERT WITH CALL EXEC VALUES COPY LOCK SET SHOW PRAGMA EXPLAIN "
    "BEGIN START COMMIT ROLLBACK SAVEPOINT RELEASE CREATE ALTER DROP TRUNCATE"
)
_OPERATIONS = frozenset(_WORDS.split())
_CHARACTERS = 500  # of a statement in a warning
_BEGIN = 200  # of a statement in which its first word is looked for, comments before it included
_WARNED = 256  # statements that are remembered
_OURS = {"obs_asgi", "obs_celery", "obs_django", "obs_flask", "obs_middleware", "obs_wsgi"}
_ENDS = {*_OURS, "asgiref", "concurrent", "threading"}  # what calls an app, or a thread of its queries
# What stands between the line of an app and its query.
_BETWEEN = {
    *("contextlib", "django", "functools", "opentelemetry", "sqlalchemy", "wrapt"),
    *("cx_Oracle", "MySQLdb", "mssql", "oracledb", "psycopg", "psycopg2", "pymysql", "sqlite3"),
}


def operation_of(statement: object) -> str:
    """Return the first word of a statement, `_OTHER` where it is no known one."""
    found = _first_word(statement[:_BEGIN]) if isinstance(statement, str) else None
    word = found[1].upper() if found else ""
    return word if word in _OPERATIONS else "_OTHER"


class RepeatedStatements:
    """Warn of a statement that one request has made so often, once for each statement.

    Args:
        most: how often a request may make it; None for any number.
    """

    def __init__(self, most: int | None, redactor: Redactor) -> None:
        self._most = most
        self._redactor = redactor
        self._warned: set[str] = set()

    def note(self, statement: str, number: int, exchange: Exchange) -> None:
        """Note that a request has made a statement for that number of times."""
        if number != self._most or statement in self._warned or len(self._warned) >= _WARNED:
            return
        self._warned.add(statement)
        text = self._redactor.text(" ".join(statement[:_CHARACTERS].split()))
        _logger.warning(
            "%s %s has made one query %d times (N+1?): fetch what belongs together at once, in Django by "
            "select_related or prefetch_related: %s",
            exchange.method,
            exchange.path,
            number,
            text,
            stacklevel=_stack_level_of_app(),
        )


def _stack_level_of_app() -> int:
    """Return the `stacklevel` of the line of the app whose query it is.

    Where there is none, as in a template that is rendered after the view: that of the last line of Django.
    """
    frame, level, is_below = sys._getframe(1), 1, False
    while frame.f_back is not None:
        frame = frame.f_back
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if is_below and package in _ENDS:
            break
        level += 1
        if package not in _BETWEEN and package not in _OURS:
            break
        is_below = is_below or package not in _OURS
    return level
