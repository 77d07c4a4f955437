"""SQLite storage of tokpulse: how it is opened, and what is read of it; schema.sql has the tables."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry import trace

PATH = Path(os.environ.get("TOKPULSE_DB", "tokpulse.sqlite3")).absolute()
SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
STORE_IDS = ("vinyl-cave", "north-records", "tape-heads")

tracer = trace.get_tracer(__name__)


class Store(NamedTuple):
    id: str
    org_id: str
    name: str = ""


UNKNOWN_STORE = Store("other", "other", "An unknown store")  # one label value for all: series stay bounded


def create() -> None:
    """Create the tables and the demo's stores if they are not there yet."""
    with closing(sqlite3.connect(PATH)) as connection:
        connection.executescript(SCHEMA)


@contextmanager
def transaction(name: str) -> Iterator[sqlite3.Connection]:
    """Open the database that is there, never an empty one in its place; a span where a trace is under way.

    A write takes the lock at once, so that two that read before they write can't block each other.
    """
    attributes = {"db.system.name": "sqlite", "db.operation.name": name.partition(" ")[0]}
    span = tracer.start_as_current_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes)
    with span if trace.get_current_span().is_recording() else nullcontext():
        opened = sqlite3.connect(f"{PATH.as_uri()}?mode=rw", uri=True, isolation_level="IMMEDIATE")
        with closing(opened), opened:
            yield opened


def rows(table: str, query: str, *values: object) -> list[Any]:
    with transaction(f"SELECT {table}") as connection:
        return connection.execute(query, values).fetchall()


def count(table: str, where: str, *values: object) -> int:
    return int(rows(table, f"SELECT count(*) FROM {table} WHERE {where}", *values)[0][0])


def ping() -> None:
    """Raise if the database is gone or cannot be read."""
    count("stores", "true")


@lru_cache(maxsize=1024)  # stores stay as they are
def find_store(store_id: str) -> Store:
    found = rows("stores", "SELECT id, org_id, name FROM stores WHERE id = ?", store_id)
    return Store(*found[0]) if found else UNKNOWN_STORE
