"""The metrics of audotics. They live in prometheus_client's own registry, which the metrics page shows."""

from prometheus_client import Counter, Gauge, Histogram

ACTIVE_USERS = Gauge("active_users", "Listeners who played a song in the last five minutes.")
SONG_PLAYS = Counter("song_plays", "Songs played.")
RECOMMENDATIONS = Counter("recommendations_generated", "Songs recommended.")
RECOMMENDATION_DURATION = Histogram("recommendation_generation_duration_seconds", "Time to recommend.")
RECOMMENDATION_ERRORS = Counter(
    "recommendation_errors", "Recommendations made without the ranking of zerostate."
)
