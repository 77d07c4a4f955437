"""Item-to-item similarity: two songs are alike where the same listeners have played both.

The cosine of two songs is the number of listeners of both, divided by the root of the product of their listeners.
https://en.wikipedia.org/wiki/Cosine_similarity
"""

from collections import defaultdict
from math import sqrt

from example_apps.audotics import storage

Scores = dict[int, float]  # by song


def of_song(song_id: int) -> Scores:
    """Give the cosine of each song that has a listener in common with this one."""
    return of_songs([song_id])


def of_songs(song_ids: list[int]) -> Scores:
    """Give each other song the sum of its cosines with these."""
    listeners = storage.count_listeners()
    scores: defaultdict[int, float] = defaultdict(float)
    for song_id, other_id, both in storage.co_plays(song_ids):
        scores[other_id] += both / sqrt(listeners[song_id] * listeners[other_id])
    return {song_id: score for song_id, score in scores.items() if song_id not in song_ids}
