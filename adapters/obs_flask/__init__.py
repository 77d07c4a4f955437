"""obs-middleware for Flask: `Observability(app)`, or `Observability()` and `init_app(app)` later."""

from obs_flask.extension import Observability

__all__ = ["Observability"]
