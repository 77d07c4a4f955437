"""SQLite storage of utilityfog: a tree of nodes, and the messages that reached them."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

PATH = Path(os.environ.get("UTILITYFOG_DB", "utilityfog.sqlite3"))
BRANCHES = 3  # below each node
NODES = 1 + 3 + 9  # three levels

SCHEMA = """
CREATE TABLE IF NOT EXISTS nodes (
    id INTEGER PRIMARY KEY, parent_id INTEGER, state TEXT NOT NULL DEFAULT 'active'
);
CREATE TABLE IF NOT EXISTS messages (node_id INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS messages_of_node ON messages (node_id);
"""


def create() -> None:
    """Create the tables and the tree if they are not there yet."""
    nodes = [(node, (node - 1) // BRANCHES if node else None) for node in range(NODES)]
    with closing(sqlite3.connect(PATH)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.executemany("INSERT OR IGNORE INTO nodes (id, parent_id) VALUES (?, ?)", nodes)


@contextmanager
def connected() -> Iterator[sqlite3.Connection]:
    """Open the database that is there; never make an empty one in its place."""
    with closing(sqlite3.connect(f"{PATH.absolute().as_uri()}?mode=rw", uri=True)) as connection, connection:
        connection.row_factory = sqlite3.Row
        yield connection


def ping() -> None:
    """Raise if the database is gone or cannot be read."""
    with connected() as connection:
        connection.execute("SELECT count(*) FROM nodes")


def verify() -> None:
    """Raise if the database is damaged; it reads all of the file, which takes long once that is large."""
    with connected() as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def find_node(node_id: int) -> dict[str, Any] | None:
    with connected() as connection:
        row = connection.execute("SELECT * FROM nodes WHERE id = ?", [node_id]).fetchone()
    return {**row, "children": children_of(node_id)} if row else None


def set_state(node_id: int, state: str) -> bool:
    """Change the state of a node; False if there is no such node."""
    with connected() as connection:
        return connection.execute("UPDATE nodes SET state = ? WHERE id = ?", [state, node_id]).rowcount == 1


def children_of(node_id: int) -> list[int]:
    """Give the nodes right below a node."""
    first = BRANCHES * node_id + 1
    return [child for child in range(first, first + BRANCHES) if child < NODES]


def sleeping_nodes() -> set[int]:
    with connected() as connection:
        return {row["id"] for row in connection.execute("SELECT id FROM nodes WHERE state = 'asleep'")}


def add_messages(node_ids: list[int], kind: str, subject: str) -> None:
    with connected() as connection:
        messages = [(node_id, kind, subject) for node_id in node_ids]
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?)", messages)


def count_messages(node_id: int) -> int:
    with connected() as connection:
        return int(
            connection.execute("SELECT count(*) FROM messages WHERE node_id = ?", [node_id]).fetchone()[0]
        )
