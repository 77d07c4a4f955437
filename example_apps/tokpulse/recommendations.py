"""Ask audotics what a buyer may like next. `outgoing_headers()` takes our trace and IDs along."""

import os

import httpx
from opentelemetry import trace

from example_apps.tokpulse import queue, storage
from example_apps.tokpulse.queue import Job
from obs_middleware import outgoing_headers

AUDOTICS_URL = os.environ.get("AUDOTICS_URL", "")  # empty: nobody to ask, tokpulse runs alone

tracer = trace.get_tracer(__name__)
audotics = httpx.Client(base_url=AUDOTICS_URL, timeout=5.0)


def recommend(job: Job) -> None:
    """Fetch songs for a buyer and keep them.

    Raises:
        HTTPError: audotics cannot say; the job comes again.
    """
    titles = _fetch(job.payload) if AUDOTICS_URL else []
    with storage.transaction("INSERT recommendations") as connection:
        storage.keep_recommendations(connection, job.payload, titles)
        queue.finish(connection, job)


def _fetch(listener_id: str) -> list[str]:
    with tracer.start_as_current_span("recommendations.fetch", attributes={"listener.id": listener_id}):
        path, query = f"/recommendations/{listener_id}", {"limit": 3}
        response = audotics.get(path, params=query, headers=outgoing_headers()).raise_for_status()
    return [song["title"] for song in response.json()["songs"]]
