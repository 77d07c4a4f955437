"""What few exchanges have besides: labels of their own, a tenant, queries of a database.

An exchange has none until somebody asks for them, so that the others cost nothing. One that has some is measured and
logged by the Python functions.
"""

from __future__ import annotations

_STATEMENTS = 200  # different ones that are remembered of a request


class Details:
    """What is known of one exchange besides.

    Attributes:
        labels: of the metrics; their values must be few.
        tenant: as the request names it.
        db_queries, db_seconds: how many queries were made, and how long they took.
    """

    __slots__ = ("_statements", "db_queries", "db_seconds", "labels", "tenant")

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}
        self.tenant: str | None = None
        self.db_queries = 0
        self.db_seconds = 0.0
        self._statements: dict[str, int] = {}

    def add_query(self, statement: str, seconds: float) -> int:
        """Count a query; return how often its statement was made by this request, 0 where that is not known.

        Args:
            statement: with placeholders for its parameters.
        """
        self.db_queries += 1
        self.db_seconds += seconds
        statements = self._statements
        if statement not in statements and len(statements) >= _STATEMENTS:
            return 0
        statements[statement] = number = statements.get(statement, 0) + 1
        return number
