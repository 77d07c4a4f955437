"""SQLite storage of tokpulse: stores and the webhook deliveries that came for them."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

PATH = Path(os.environ.get("TOKPULSE_DB", "tokpulse.sqlite3"))

SCHEMA = """
CREATE TABLE IF NOT EXISTS stores (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    topic TEXT NOT NULL, order_id TEXT NOT NULL, store_id TEXT NOT NULL, listener_id TEXT NOT NULL,
    times INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (topic, order_id)
);
INSERT OR IGNORE INTO stores VALUES
    ('vinyl-cave', 'cave-group', 'The Vinyl Cave'),
    ('north-records', 'cave-group', 'North Records'),
    ('tape-heads', 'tape-heads', 'Tape Heads');
"""


@dataclass(frozen=True, slots=True)
class Store:
    id: str
    org_id: str
    name: str


UNKNOWN_STORE = Store("other", "other", "An unknown store")  # one label value for all: series stay bounded


def create() -> None:
    """Create the tables and the demo's stores if they are not there yet."""
    with closing(sqlite3.connect(PATH)) as connection:
        connection.executescript(SCHEMA)


@contextmanager
def connected() -> Iterator[sqlite3.Connection]:
    """Open the database that is there; never make an empty one in its place."""
    with closing(sqlite3.connect(f"{PATH.absolute().as_uri()}?mode=rw", uri=True)) as connection, connection:
        yield connection


def ping() -> None:
    """Raise if the database is gone or cannot be read."""
    with connected() as connection:
        connection.execute("SELECT count(*) FROM stores")


def find_store(store_id: str) -> Store:
    with connected() as connection:
        row = connection.execute("SELECT id, org_id, name FROM stores WHERE id = ?", [store_id]).fetchone()
    return Store(*row) if row else UNKNOWN_STORE


def add_delivery(topic: str, order_id: str, *, store_id: str, listener_id: str) -> bool:
    """Keep a delivery; False if the same one came before."""
    query = """INSERT INTO deliveries (topic, order_id, store_id, listener_id) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"""
    with connected() as connection:
        (times,) = connection.execute(query, [topic, order_id, store_id, listener_id]).fetchone()
    return bool(times == 1)


def redelivered_shares() -> list[tuple[str, str, float]]:
    """Give by topic and store which share of the deliveries had come before."""
    query = "SELECT topic, store_id, 1 - count(*) * 1.0 / sum(times) FROM deliveries GROUP BY topic, store_id"
    with connected() as connection:
        return connection.execute(query).fetchall()


def count_deliveries(store_id: str) -> int:
    return _count("SELECT count(*) FROM deliveries WHERE store_id = ?", store_id)


def count_orders(listener_id: str) -> int:
    return _count("SELECT count(DISTINCT order_id) FROM deliveries WHERE listener_id = ?", listener_id)


def _count(query: str, value: str) -> int:
    with connected() as connection:
        return int(connection.execute(query, [value]).fetchone()[0])
