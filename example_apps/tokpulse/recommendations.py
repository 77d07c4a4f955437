"""Ask audotics what a buyer may like next. `outgoing_headers()` takes our trace and IDs along."""

import logging
import os

import httpx
from opentelemetry import trace

from obs_middleware import outgoing_headers

AUDOTICS_URL = os.environ.get("AUDOTICS_URL", "")  # empty: nobody to ask, tokpulse runs alone

logger = logging.getLogger(__name__)
tracer = trace.get_tracer(__name__)
audotics = httpx.AsyncClient(base_url=AUDOTICS_URL, timeout=5.0)


async def recommend(listener_id: str) -> list[str]:
    """Give some song titles; none if audotics cannot say."""
    if not AUDOTICS_URL:
        return []
    with tracer.start_as_current_span("recommendations.fetch", attributes={"listener.id": listener_id}):
        try:
            response = await audotics.get(
                f"/recommendations/{listener_id}", params={"limit": 3}, headers=outgoing_headers()
            )
            response.raise_for_status()
        except httpx.HTTPError:
            logger.warning("audotics did not recommend anything", exc_info=True)
            return []
    return [song["title"] for song in response.json()["songs"]]
