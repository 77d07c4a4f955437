"""SQLite storage of audotics: songs and who played them. One connection per request, kept on Flask's `g`."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from flask import g

PATH = Path(os.environ.get("AUDOTICS_DB", "audotics.sqlite3"))

SCHEMA = """
CREATE TABLE IF NOT EXISTS songs (id INTEGER PRIMARY KEY, title TEXT NOT NULL, artist TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS plays (
    song_id INTEGER NOT NULL REFERENCES songs (id), listener_id TEXT NOT NULL,
    played_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS plays_of_listener ON plays (listener_id, song_id);
CREATE INDEX IF NOT EXISTS plays_of_song ON plays (song_id, listener_id);
INSERT OR IGNORE INTO songs VALUES
    (1, 'Counter and Gauge', 'The Histograms'), (2, 'Long Tail', 'Percentile'), (3, 'Span of Time', 'Trace'),
    (4, 'Cold Start', 'The Workers'), (5, 'Quiet Probe', 'Percentile'), (6, 'Bucket List', 'The Histograms');
"""

SONGS_WITH_PLAYS = (
    "SELECT songs.*, count(plays.song_id) AS plays FROM songs LEFT JOIN plays ON plays.song_id = songs.id"
)


def create() -> None:
    """Create the tables and the first songs if they are not there yet."""
    with closing(sqlite3.connect(PATH)) as connection:
        connection.executescript(SCHEMA)


def ping() -> None:
    """Raise if the database is gone or cannot be read."""
    with closing(_connect()) as connection:
        connection.execute("SELECT count(*) FROM songs")


def connection() -> sqlite3.Connection:
    """Give the connection of this request, opened when it is first asked for."""
    if "connection" not in g:
        g.connection = _connect()
    opened: sqlite3.Connection = g.connection
    return opened


def disconnect(error: BaseException | None = None) -> None:
    if opened := g.pop("connection", None):
        opened.close()


def find_song(song_id: int) -> dict[str, Any] | None:
    row = (
        connection().execute(f"{SONGS_WITH_PLAYS} WHERE songs.id = ? GROUP BY songs.id", [song_id]).fetchone()
    )
    return dict(row) if row else None


def songs() -> list[dict[str, Any]]:
    return [dict(row) for row in connection().execute(f"{SONGS_WITH_PLAYS} GROUP BY songs.id")]


def add_play(song_id: int, listener_id: str) -> None:
    with connection() as transaction:
        transaction.execute("INSERT INTO plays (song_id, listener_id) VALUES (?, ?)", [song_id, listener_id])


def count_plays(song_id: int) -> int:
    return int(connection().execute("SELECT count(*) FROM plays WHERE song_id = ?", [song_id]).fetchone()[0])


def count_listeners() -> dict[int, int]:
    """Count the listeners of each song that has any."""
    query = "SELECT song_id, count(DISTINCT listener_id) FROM plays GROUP BY song_id"
    return dict(connection().execute(query).fetchall())


def co_plays(song_ids: list[int]) -> list[tuple[int, int, int]]:
    """Give for each of the songs and each song that a listener of it has played too: how many listeners have both."""
    query = """SELECT seed.song_id, other.song_id, count(DISTINCT seed.listener_id)
        FROM plays AS seed JOIN plays AS other USING (listener_id)
        WHERE seed.song_id IN (SELECT value FROM json_each(?)) AND other.song_id != seed.song_id
        GROUP BY seed.song_id, other.song_id"""
    return [(*row,) for row in connection().execute(query, [json.dumps(song_ids)])]


def songs_played_by(listener_id: str) -> list[int]:
    query = "SELECT DISTINCT song_id FROM plays WHERE listener_id = ?"
    return [song_id for (song_id,) in connection().execute(query, [listener_id])]


def count_active_listeners() -> int:
    """Count who has played a song in the last five minutes; outside a request, where `g` is not there."""
    query = "SELECT count(DISTINCT listener_id) FROM plays WHERE played_at > datetime('now', '-5 minutes')"
    with closing(_connect()) as connection:
        return int(connection.execute(query).fetchone()[0])


def _connect() -> sqlite3.Connection:
    opened = sqlite3.connect(f"{PATH.absolute().as_uri()}?mode=rw", uri=True)
    opened.row_factory = sqlite3.Row
    return opened
