"""The app's own `/metrics` or `/health`: ours are answered in their place, and one line at the start says so."""

from __future__ import annotations

from collections.abc import Callable

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from obs_middleware import Observer
from obs_wsgi import ObservabilityMiddleware as WsgiMiddleware
from tests.adapters.wsgi import call

PathsTold = Callable[[], list[list[str]]]
PROBES = ["/health/live", "/health/ready", "/health/startup"]


def test_raw_wsgi_app_is_told_of_what_a_dispatcher_mounts(observer: Observer, paths_told: PathsTold) -> None:
    app = WsgiMiddleware(
        DispatcherMiddleware(lambda environ, start: [], {"/health": lambda environ, start: []}), observer
    )
    for _ in range(2):
        call(app, "/health/live")
    assert paths_told() == [PROBES]
