"""Tell once that a Flask app is served past us: whoever has taken its `wsgi_app` before calls what was there then.

Connexion does it, and so does a dispatcher that is made before `Observability(app)`.
"""

from __future__ import annotations

import gc
import logging
from importlib import import_module
from threading import Event
from typing import Any

from flask import Flask, request

from obs_middleware import Observer
from obs_middleware.gateway import CARRIER_KEY

_logger = logging.getLogger("obs")
_CONNEXION = (
    "obs-middleware: Connexion has taken the wsgi_app of Flask app %r before Observability(app), "
    "which observes nothing: write "
    "connexion_app.add_middleware(obs_asgi.ObservabilityMiddleware, position=MiddlewarePosition.BEFORE_EXCEPTION)"
)
_BYPASS = (
    "obs-middleware: a request of Flask app %r has come past Observability(app), and is not observed: "
    "call it before app.wsgi_app is handed to anybody else"
)


def watch_for_bypass(app: Flask, observer: Observer) -> None:
    """Say at start, or at the first request, that nothing is observed; later requests cost nothing."""
    if type(getattr(app, "json", None)).__module__.startswith("connexion."):
        if not _observe_connexion(app, observer):
            _logger.warning(_CONNEXION, app.name)
        return
    dispatch = app.full_dispatch_request

    def look_once(*given: Any) -> Any:
        if vars(app).get("full_dispatch_request") is look_once:  # nobody has wrapped it since
            del app.full_dispatch_request
        if not is_looked.is_set():
            is_looked.set()
            if CARRIER_KEY not in request.environ:
                _logger.warning(_BYPASS, app.name)
        return dispatch(*given)

    is_looked = Event()
    app.full_dispatch_request = look_once  # type: ignore[method-assign]


def _observe_connexion(app: Flask, observer: Observer) -> bool:
    """Observe the Connexion app around a Flask app, by its own `add_middleware`; tell whether that could be done.

    It answers much itself, such as what its specification refuses. Nothing but the garbage collector leads from the
    Flask app to it; asked at start, and of Connexion's alone.
    """
    try:
        connexion: Any = import_module("connexion.middleware")
        from obs_asgi import ObservabilityMiddleware

        for found in gc.get_objects():
            if type(found) is connexion.ConnexionMiddleware and getattr(found.app, "app", None) is app:
                position = connexion.MiddlewarePosition.BEFORE_EXCEPTION
                found.add_middleware(ObservabilityMiddleware, position=position, observer=observer)
                return True
    except Exception:  # another release's, or one that serves already
        _logger.debug("obs-middleware: Connexion's add_middleware could not be used", exc_info=True)
    return False
