"""The queue of jobs, a table of the database: it outlives every process, and each job is taken by one worker at a time.

A job that fails comes again after 1, 2, 4 … times BACKOFF_SECONDS. After MAX_ATTEMPTS it is dead: it stays in the table
until somebody calls `requeue_dead`. A worker that was killed loses its job LEASE_SECONDS after it has taken it;
one that was only slow can't finish it then.
"""

import json
import os
import sqlite3
import time
from typing import NamedTuple

from example_apps.tokpulse import storage
from obs_middleware import outgoing_headers

BACKOFF_SECONDS = float(os.environ.get("TOKPULSE_BACKOFF_SECONDS", "1"))
LEASE_SECONDS = float(os.environ.get("TOKPULSE_LEASE_SECONDS", "30"))
MAX_ATTEMPTS = 5
TYPES = PROCESS, RECOMMEND = "process_webhook", "recommend"
PUT = """INSERT INTO jobs (type, topic, store_id, org_id, payload, headers, due_at)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
IS_OURS = "id = ? AND attempts = ?"  # nobody has taken it since
IS_DUE = "state IN ('waiting', 'running') AND due_at <= ?"
TAKE = f"""UPDATE jobs SET state = 'running', attempts = attempts + 1, due_at = ?, worker = ?
    WHERE id = (SELECT id FROM jobs WHERE {IS_DUE} ORDER BY due_at LIMIT 1)
    RETURNING id, type, topic, store_id, org_id, payload, headers, attempts"""


class Job(NamedTuple):
    id: int
    type: str
    topic: str
    store_id: str
    org_id: str
    payload: str
    headers: str  # JSON, of the request that has made it
    attempts: int  # this one counted

    @property
    def store(self) -> storage.Store:
        return storage.Store(self.store_id, self.org_id)


def put(connection: sqlite3.Connection, kind: str, *, topic: str, store: storage.Store, payload: str) -> None:
    """Add a job in the caller's transaction; it goes on with the trace and the IDs that are current."""
    headers = json.dumps(outgoing_headers())
    connection.execute(PUT, [kind, topic, store.id, store.org_id, payload, headers, time.time()])


def take() -> Job | None:
    """Take the job that is due longest, if one is; it is ours for LEASE_SECONDS."""
    now = time.time()
    if not storage.count("jobs", IS_DUE, now):  # a look takes no lock
        return None
    with storage.transaction("UPDATE jobs") as connection:
        row = connection.execute(TAKE, [now + LEASE_SECONDS, os.getpid(), now]).fetchone()
        job = Job(*row) if row else None  # another worker may have been faster
        if job is not None and job.attempts > MAX_ATTEMPTS:  # it has killed each worker that had it
            connection.execute("UPDATE jobs SET state = 'dead' WHERE id = ?", [job.id])
            return None
    return job


def finish(connection: sqlite3.Connection, job: Job) -> None:
    """Note in the transaction of the job's own work that it is done: both are kept, or neither.

    Raises:
        RuntimeError: it took longer than its lease, and another worker has the job.
    """
    if not connection.execute(f"DELETE FROM jobs WHERE {IS_OURS}", [job.id, job.attempts]).rowcount:
        raise RuntimeError(f"job {job.id} was taken by another worker, because it took too long")


def put_off(job: Job) -> bool:
    """Have a job that has failed come again later; False if that was its last attempt, and it is dead."""
    state = "waiting" if job.attempts < MAX_ATTEMPTS else "dead"
    due_at = time.time() + BACKOFF_SECONDS * 2 ** (job.attempts - 1)
    with storage.transaction("UPDATE jobs") as connection:
        connection.execute(
            f"UPDATE jobs SET state = ?, due_at = ? WHERE {IS_OURS}", [state, due_at, job.id, job.attempts]
        )
    return state == "waiting"


def requeue_dead() -> int:
    """Give every dead job new attempts; return how many there are."""
    with storage.transaction("UPDATE jobs") as connection:
        query = "UPDATE jobs SET state = 'waiting', attempts = 0, due_at = 0 WHERE state = 'dead'"
        return connection.execute(query).rowcount


def depth(column: str, value: str) -> int:
    """Count the jobs that are not done, the dead ones aside, of a type, a store …"""
    return storage.count("jobs", f"{column} = ? AND state != 'dead'", value)
