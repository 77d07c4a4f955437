"""Which songs a listener may like next: those alike to what they have played, ranked by a guild of zerostate."""

import logging
import time
from typing import Any

import httpx

from example_apps.audotics import similarity, storage, telemetry
from example_apps.audotics.telemetry import ZEROSTATE_URL
from example_apps.audotics.tracing import trace
from obs_middleware import outgoing_headers

DEEP_SECONDS = 0.3  # what a larger model would take
WEIGHT = 1000  # a program ranks whole numbers

Song = dict[str, Any]

logger = logging.getLogger(__name__)
zerostate = httpx.Client(base_url=ZEROSTATE_URL, timeout=5.0)


def generate(listener_id: str, limit: int, *, is_deep: bool = False) -> list[Song]:
    """Recommend songs that a listener has not played, the most fitting first."""
    with telemetry.observer.metrics.timed(telemetry.RECOMMENDATION_DURATION):
        if is_deep:
            time.sleep(DEEP_SECONDS)
        candidates = trace("recommendations.score", lambda: _scored(listener_id), limit=limit, deep=is_deep)
        songs = _ranked(candidates)[:limit]
    telemetry.RECOMMENDATIONS.inc(len(songs))
    logger.info("songs recommended", extra={"candidates": len(candidates), "songs": len(songs)})
    return songs


def alike(song_id: int, limit: int) -> list[Song]:
    """Give the songs that are most alike to one."""
    scores = trace("recommendations.similar", lambda: similarity.of_song(song_id), song=song_id)
    found = [
        song | {"score": round(scores[song["id"]], 4)} for song in storage.songs() if song["id"] in scores
    ]
    return sorted(found, key=lambda song: -song["score"])[:limit]


def _scored(listener_id: str) -> list[Song]:
    """Give the songs that a listener has not played with their scores; who has played none gets what others play."""
    played = storage.songs_played_by(listener_id)
    scores = similarity.of_songs(played)
    songs = [song for song in storage.songs() if song["id"] not in played]
    return [song | {"score": round(scores.get(song["id"], 0.0), 4)} for song in songs]


def _ranked(songs: list[Song]) -> list[Song]:
    """Order songs as zerostate ranks their weights; by ourselves, if it cannot."""
    weights = [round(WEIGHT * song["score"]) + song["plays"] for song in songs]
    order = sorted(range(len(songs)), key=lambda index: -weights[index])
    if ZEROSTATE_URL:
        try:
            order = trace("recommendations.rank", lambda: _asked_rank(weights))
        except (httpx.HTTPError, KeyError):
            telemetry.RECOMMENDATION_ERRORS.inc()
            logger.warning("zerostate did not rank the songs", exc_info=True)
    return [songs[index] for index in order]


def _asked_rank(weights: list[int]) -> list[int]:
    task = {"program": "rank", "values": weights}
    response = zerostate.post("/guilds/rankers/tasks/", json=task, headers=outgoing_headers())
    output: list[int] = response.raise_for_status().json()["output"]
    return output
