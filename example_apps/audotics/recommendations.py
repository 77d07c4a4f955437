"""Which songs a listener may like next: candidates from our own plays, ranked by a guild of zerostate."""

import logging
import time
from typing import Any

import httpx
from opentelemetry import trace

from example_apps.audotics import storage, telemetry
from example_apps.audotics.telemetry import ZEROSTATE_URL
from obs_middleware import outgoing_headers

DEEP_SECONDS = 0.3  # what a larger model would take

logger = logging.getLogger(__name__)
tracer = trace.get_tracer(__name__)
zerostate = httpx.Client(base_url=ZEROSTATE_URL, timeout=5.0)


def generate(listener_id: str, limit: int, *, is_deep: bool = False) -> list[dict[str, Any]]:
    with (
        tracer.start_as_current_span(
            "recommendations.generate", attributes={"limit": limit, "deep": is_deep}
        ),
        telemetry.observer.metrics.timed(telemetry.RECOMMENDATION_DURATION),
    ):
        if is_deep:
            time.sleep(DEEP_SECONDS)
        candidates = storage.songs_not_played_by(listener_id)
        songs = _ranked(candidates)[:limit]
    telemetry.RECOMMENDATIONS.inc(len(songs))
    logger.info("songs recommended", extra={"candidates": len(candidates), "songs": len(songs)})
    return songs


def _ranked(songs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order songs as zerostate ranks them; as they are, if it cannot."""
    if not ZEROSTATE_URL:
        return songs
    try:
        response = zerostate.post(
            "/guilds/rankers/tasks/",
            json={"program": "rank", "values": [song["plays"] for song in songs]},
            headers=outgoing_headers(),
        ).raise_for_status()
    except httpx.HTTPError:
        telemetry.RECOMMENDATION_ERRORS.inc()
        logger.warning("zerostate did not rank the songs", exc_info=True)
        return songs
    return [songs[index] for index in response.json()["output"]]
