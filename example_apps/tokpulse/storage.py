"""SQLite storage of tokpulse: stores, deliveries, orders and what was recommended; the table of jobs is in queue.py."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from opentelemetry import trace

PATH = Path(os.environ.get("TOKPULSE_DB", "tokpulse.sqlite3")).absolute()
STORES = (
    ("vinyl-cave", "cave-group", "The Vinyl Cave"),
    ("north-records", "cave-group", "North Records"),
    ("tape-heads", "tape-heads", "Tape Heads"),
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS stores (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    store_id TEXT NOT NULL, topic TEXT NOT NULL, order_id TEXT NOT NULL, times INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (store_id, topic, order_id)
);
CREATE TABLE IF NOT EXISTS orders (
    store_id TEXT NOT NULL, topic TEXT NOT NULL, order_id TEXT NOT NULL, listener_id TEXT NOT NULL,
    PRIMARY KEY (store_id, topic, order_id)
);
CREATE TABLE IF NOT EXISTS recommendations (listener_id TEXT PRIMARY KEY, titles TEXT NOT NULL);
"""

tracer = trace.get_tracer(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    id: str
    org_id: str
    name: str


UNKNOWN_STORE = Store("other", "other", "An unknown store")  # one label value for all: series stay bounded


def create(schema: str = SCHEMA) -> None:
    """Create the tables and the demo's stores if they are not there yet."""
    with closing(sqlite3.connect(PATH)) as connection, connection:
        connection.executescript(schema)
        if schema == SCHEMA:
            connection.executemany("INSERT OR IGNORE INTO stores VALUES (?, ?, ?)", STORES)


@contextmanager
def transaction(name: str) -> Iterator[sqlite3.Connection]:
    """Open the database that is there, never an empty one in its place; a span where a trace is under way.

    A write takes the lock at once, so that two that read before they write can't block each other.
    """
    is_traced = trace.get_current_span().is_recording()
    attributes = {"db.system.name": "sqlite", "db.operation.name": name.partition(" ")[0]}
    span = tracer.start_as_current_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes)
    uri = f"{PATH.as_uri()}?mode=rw"
    with (
        span if is_traced else nullcontext(),
        closing(sqlite3.connect(uri, uri=True, isolation_level="IMMEDIATE")) as connection,
        connection,
    ):
        yield connection


def ping() -> None:
    """Raise if the database is gone or cannot be read."""
    _first("SELECT stores", "SELECT count(*) FROM stores")


def find_store(store_id: str) -> Store:
    row = _first("SELECT stores", "SELECT id, org_id, name FROM stores WHERE id = ?", store_id)
    return Store(*row) if row else UNKNOWN_STORE


def redelivered_shares() -> list[tuple[str, str, float]]:
    """Give by topic and store which share of the deliveries had come before."""
    query = "SELECT topic, store_id, 1 - count(*) * 1.0 / sum(times) FROM deliveries GROUP BY topic, store_id"
    with transaction("SELECT deliveries") as connection:
        return connection.execute(query).fetchall()


def note_delivery(connection: sqlite3.Connection, store: Store, topic: str, order_id: str) -> bool:
    """Note that an order was delivered; False if it was delivered before."""
    query = """INSERT INTO deliveries (store_id, topic, order_id) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"""
    (times,) = connection.execute(query, [store.id, topic, order_id]).fetchone()
    return bool(times == 1)


def add_order(connection: sqlite3.Connection, store: Store, topic: str, order_id: str, buyer: str) -> None:
    """Keep an order; one that is there already stays as it is, because a job may run twice."""
    row = [store.id, topic, order_id, buyer]
    connection.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?)", row)


def keep_recommendations(connection: sqlite3.Connection, listener_id: str, titles: list[str]) -> None:
    row = [listener_id, "\n".join(titles)]
    connection.execute("INSERT OR REPLACE INTO recommendations VALUES (?, ?)", row)


def recommendations_for(listener_id: str) -> list[str]:
    query = "SELECT titles FROM recommendations WHERE listener_id = ?"
    row = _first("SELECT recommendations", query, listener_id)
    return row[0].splitlines() if row else []


def count_sales(store_id: str) -> int:
    row = _first("SELECT orders", "SELECT count(*) FROM orders WHERE store_id = ?", store_id)
    return int(row[0]) if row else 0


def count_orders(listener_id: str) -> int:
    query = "SELECT count(DISTINCT order_id) FROM orders WHERE listener_id = ?"
    row = _first("SELECT orders", query, listener_id)
    return int(row[0]) if row else 0


def _first(name: str, query: str, *values: str) -> tuple[str, ...] | None:
    with transaction(name) as connection:
        row: tuple[str, ...] | None = connection.execute(query, values).fetchone()
        return row
