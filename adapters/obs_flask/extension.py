"""The Flask extension: the WSGI middleware around `app.wsgi_app`, with routes and exceptions from Flask."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from obs_middleware import ConfigError, Exchange, Observer
from obs_middleware.gateway import CARRIER_KEY
from obs_wsgi import ObservabilityMiddleware

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from obs_middleware.gateway import Keywords

try:
    from flask import Flask, request
    from flask.signals import got_request_exception

    from obs_flask.app_pages import has_rule
    from obs_flask.bypass import watch_for_bypass
    from obs_flask.ready_body import ready_body
    from obs_flask.routes import match_route, route_of
except ImportError as missing:
    raise ImportError(f"obs_flask needs Flask ({missing}): pip install 'obs-middleware[flask]'") from missing


class Observability:
    """Observe a Flask app.

    Settings come as keywords, then from `app.config["OBS_…"]`, then from the environment.

    Args:
        app: the app, or None and `init_app` later.
        observer: an Observer made elsewhere, for which the app's config is not read; or give settings by name.

    Raises:
        ConfigError: a setting is not as it must be, or the app is observed already.
    """

    def __init__(
        self, app: Flask | None = None, *, observer: Observer | None = None, **settings: Unpack[Keywords]
    ) -> None:
        self._given = observer
        self._settings = settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Observe the app; `app.extensions["obs"]` is its Observer.

        Raises:
            ConfigError: a setting is not as it must be, or the app is observed already.
        """
        if "obs" in app.extensions:
            raise ConfigError(
                f"Flask app {app.name!r} is observed already: call Observability(app) or init_app once"
            )
        self.observer = Observer.given_or_new(self._given, self._settings, config=app.config)
        watch_for_bypass(app, self.observer)
        app.wsgi_app = ObservabilityMiddleware(  # type: ignore[method-assign]
            app.wsgi_app,
            self.observer,
            route_of=route_of,
            match_route=partial(match_route, app),
            ready_body=ready_body,
            is_debug=lambda: app.debug,
        )
        self.observer.gateway.look_for_pages(partial(has_rule, app))
        app.extensions["obs"] = self.observer
        got_request_exception.connect(_note_exception)  # of any app, because one may be mounted in this one


def _note_exception(sender: Flask, exception: BaseException, **_: Any) -> None:
    environ = request.environ
    exchange = environ.get(
        CARRIER_KEY
    )  # of a part that goes through the app again it is another than the current one
    if isinstance(exchange, Exchange):
        exchange.note_error(exception)
        own = sender.extensions.get("obs")
        # No response may follow that could tell the route. An app that is not observed has routes for nobody.
        if own is None or exchange.route is not None or exchange.is_finished:
            return
        route, root = route_of(environ), environ.get("SCRIPT_NAME") or ""
        if own.gateway.has_begun(exchange):
            exchange.route = route
        elif route is not None:  # the adapter outside composes it: it may know the template of the mount
            exchange.name_route(route.removeprefix(root), root)
