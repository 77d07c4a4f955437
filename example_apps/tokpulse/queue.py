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
PUT = (
    "INSERT INTO jobs (type, topic, store_id, org_id, payload, headers, due_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
IS_DUE = "state IN ('waiting', 'running') AND due_at <= :now"
TAKE = f"""UPDATE jobs SET state = 'running', attempts = attempts + 1, due_at = :lost_at, worker = :worker
    WHERE id = (SELECT id FROM jobs WHERE {IS_DUE} ORDER BY due_at LIMIT 1)
    RETURNING id, type, topic, store_id, org_id, payload, headers, attempts"""


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
    headers = json.dumps(outgoing_headers())
    connection.execute(PUT, [job_type, topic, store.id, store.org_id, payload, headers, time.time()])


def take() -> Job | None:
    """Take the job that is due longest, if one is; it is ours for LEASE_SECONDS."""
    now = time.time()
    if not storage.count("jobs", IS_DUE.replace(":now", "?"), now):  # a look takes no lock
        return None
    with storage.transaction("UPDATE jobs") as connection:
        values = {"now": now, "lost_at": now + LEASE_SECONDS, "worker": os.getpid()}
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
    comes_again = job.attempts < MAX_ATTEMPTS
    due_at = time.time() + BACKOFF_SECONDS * 2 ** (job.attempts - 1)
    with storage.transaction("UPDATE jobs") as connection:
        row = ["waiting" if comes_again else "dead", due_at, job.id]
        connection.execute("UPDATE jobs SET state = ?, due_at = ? WHERE id = ?", row)
    return comes_again


def requeue_dead() -> int:
    """Give every dead job new attempts; return how many there are."""
    with storage.transaction("UPDATE jobs") as connection:
        query = "UPDATE jobs SET state = 'waiting', attempts = 0, due_at = 0 WHERE state = 'dead'"
        return connection.execute(query).rowcount


def depths() -> dict[tuple[str, str], int]:
    """Give by type and topic how many jobs are not done, the dead ones aside."""
    query = "SELECT type, topic, count(*) FROM jobs WHERE state != 'dead' GROUP BY type, topic"
    return {(job_type, topic): count for job_type, topic, count in storage.rows("jobs", query)}
