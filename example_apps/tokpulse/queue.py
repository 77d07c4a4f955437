"""The queue of jobs, a table of the database: it outlives every process, and each job is taken by one worker at a time.

A job that fails comes again after 1, 2, 4 … times BACKOFF_SECONDS. After MAX_ATTEMPTS it is dead: it stays in the table
until somebody calls `requeue_dead`. A worker that was killed loses its job LEASE_SECONDS after it has taken it.
"""

import json
import os
import sqlite3
import time
from dataclasses import dataclass
from enum import Enum

from example_apps.tokpulse import storage
from example_apps.tokpulse.storage import Store
from obs_middleware import outgoing_headers

BACKOFF_SECONDS = float(os.environ.get("TOKPULSE_BACKOFF_SECONDS", "1"))
LEASE_SECONDS = float(os.environ.get("TOKPULSE_LEASE_SECONDS", "30"))
MAX_ATTEMPTS = 5
TYPES = PROCESS, RECOMMEND = "process_webhook", "recommend"
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, type TEXT NOT NULL, topic TEXT NOT NULL, store_id TEXT NOT NULL, org_id TEXT NOT NULL,
    payload TEXT NOT NULL, headers TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL, worker INTEGER
);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (state, due_at);
"""
TAKE = """
UPDATE jobs SET state = 'running', attempts = attempts + 1, due_at = :lost_at, worker = :worker
WHERE id = (SELECT id FROM jobs WHERE state IN ('waiting', 'running') AND due_at <= :now ORDER BY due_at LIMIT 1)
RETURNING id, type, topic, store_id, org_id, payload, headers, attempts
"""


class Topic(str, Enum):
    ORDERS_PAID = "orders-paid"
    ORDERS_CANCELLED = "orders-cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    type: str
    topic: str
    store: Store
    payload: str
    headers: dict[str, str]  # of the request that has made it
    attempts: int  # this one counted


def put(connection: sqlite3.Connection, job_type: str, *, topic: str, store: Store, payload: str) -> None:
    """Add a job in the caller's transaction; it goes on with the trace and the IDs that are current."""
    row = [job_type, topic, store.id, store.org_id, payload, json.dumps(outgoing_headers()), time.time()]
    connection.execute(
        "INSERT INTO jobs (type, topic, store_id, org_id, payload, headers, due_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        row,
    )


def take() -> Job | None:
    """Take the job that is due longest, if one is; it is ours for LEASE_SECONDS."""
    now = time.time()
    if not _count("state IN ('waiting', 'running') AND due_at <= ?", now):  # a look takes no lock
        return None
    values = {"now": now, "lost_at": now + LEASE_SECONDS, "worker": os.getpid()}
    with storage.transaction("UPDATE jobs") as connection:
        row = connection.execute(TAKE, values).fetchone()
    if row is None:  # another worker was faster
        return None
    job_id, job_type, topic, store_id, org_id, payload, headers, attempts = row
    store = Store(store_id, org_id, store_id)
    return Job(job_id, job_type, topic, store, payload, json.loads(headers), attempts)


def finish(connection: sqlite3.Connection, job: Job) -> None:
    """Note in the transaction of the job's own work that it is done: both are kept, or neither."""
    connection.execute("DELETE FROM jobs WHERE id = ?", [job.id])


def put_off(job: Job) -> bool:
    """Have a job that has failed come again later; False if that was its last attempt, and it is dead."""
    is_dead = job.attempts >= MAX_ATTEMPTS
    due_at = time.time() + BACKOFF_SECONDS * 2 ** (job.attempts - 1)
    with storage.transaction("UPDATE jobs") as connection:
        row = ["dead" if is_dead else "waiting", due_at, job.id]
        connection.execute("UPDATE jobs SET state = ?, due_at = ? WHERE id = ?", row)
    return not is_dead


def requeue_dead() -> int:
    """Give every dead job new attempts; return how many there are."""
    with storage.transaction("UPDATE jobs") as connection:
        query = "UPDATE jobs SET state = 'waiting', attempts = 0, due_at = ? WHERE state = 'dead'"
        return connection.execute(query, [time.time()]).rowcount


def depths() -> dict[tuple[str, str], int]:
    """Give by type and topic how many jobs are not done, the dead ones aside."""
    query = "SELECT type, topic, count(*) FROM jobs WHERE state != 'dead' GROUP BY type, topic"
    with storage.transaction("SELECT jobs") as connection:
        rows = connection.execute(query).fetchall()
    return {(job_type, topic): count for job_type, topic, count in rows}


def backlog_of(store: Store) -> int:
    """Count the jobs of a store that are not done, the dead ones aside."""
    return _count("store_id = ? AND state != 'dead'", store.id)


def _count(where: str, value: str | float) -> int:
    with storage.transaction("SELECT jobs") as connection:
        return int(connection.execute(f"SELECT count(*) FROM jobs WHERE {where}", [value]).fetchone()[0])
