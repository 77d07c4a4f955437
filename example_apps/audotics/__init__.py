"""audotics: song plays and recommendations, on Flask."""
