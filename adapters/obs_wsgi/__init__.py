"""obs-middleware for any WSGI app: `app = ObservabilityMiddleware(app)`."""

from obs_wsgi.middleware import ObservabilityMiddleware

__all__ = ["ObservabilityMiddleware"]
