"""Ask audotics what a buyer may like next. `outgoing_headers()` takes our trace and IDs along."""

import os

import httpx

from example_apps.tokpulse import queue, storage
from example_apps.tokpulse.queue import Job
from obs_middleware import outgoing_headers

AUDOTICS_URL = os.environ.get("AUDOTICS_URL", "")  # empty: nobody to ask, tokpulse runs alone

audotics = httpx.Client(base_url=AUDOTICS_URL, timeout=5.0)


def recommend(job: Job) -> None:
    """Fetch songs for a buyer and keep them.

    Raises:
        HTTPError: audotics cannot say; the job comes again.
    """
    titles = _fetch(job.payload) if AUDOTICS_URL else ""
    with storage.transaction("INSERT recommendations") as connection:
        connection.execute("INSERT OR REPLACE INTO recommendations VALUES (?, ?)", [job.payload, titles])
        queue.finish(connection, job)


def _fetch(listener_id: str) -> str:
    answer = audotics.get(f"/recommendations/{listener_id}", params={"limit": 3}, headers=outgoing_headers())
    return "\n".join(song["title"] for song in answer.raise_for_status().json()["songs"])
