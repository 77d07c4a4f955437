"""The queue of tokpulse, where workers are killed or too slow."""

from __future__ import annotations

from pathlib import Path

import pytest

from example_apps.tokpulse import queue, storage

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "PATH", tmp_path / "queue.sqlite3")
    monkeypatch.setattr(queue, "LEASE_SECONDS", 0.0)  # each take is after the end of the one before
    storage.create()
    store = storage.Store("vinyl-cave", "cave-group")
    with storage.transaction("INSERT jobs") as connection:
        queue.put(connection, queue.PROCESS, topic="orders-paid", store=store, payload="{}")


def taken() -> queue.Job:
    job = queue.take()
    assert job is not None
    return job


def recommend(job: queue.Job) -> None:
    with storage.transaction("INSERT recommendations") as connection:
        connection.execute("INSERT INTO recommendations VALUES ('me', 'a song')")
        queue.finish(connection, job)


def test_job_that_kills_each_worker_is_dead_after_its_last_attempt() -> None:
    assert [taken().attempts for _ in range(queue.MAX_ATTEMPTS)] == [1, 2, 3, 4, 5]
    assert queue.take() is None
    assert storage.count("jobs", "state = 'dead'") == 1
    assert queue.requeue_dead() == 1
    assert taken().attempts == 1


def test_worker_that_was_too_slow_keeps_and_changes_nothing() -> None:
    slow, own = taken(), taken()
    with pytest.raises(RuntimeError, match="another worker"):
        recommend(slow)
    assert storage.count("recommendations", "true") == 0
    queue.put_off(slow)
    assert storage.count("jobs", "state = 'running'") == 1
    with storage.transaction("DELETE jobs") as connection:
        queue.finish(connection, own)
    assert storage.count("jobs", "true") == 0
