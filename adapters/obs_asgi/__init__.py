"""obs-middleware for any ASGI app: `app.add_middleware(ObservabilityMiddleware)` or `ObservabilityMiddleware(app)`."""

from obs_asgi.middleware import ObservabilityMiddleware

__all__ = ["ObservabilityMiddleware"]
