"""The probe app on Flask; its mounted app is a second Flask app behind werkzeug's dispatcher."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from obs_flask import Observability
from obs_middleware import Observer, add_labels, leave_out, outgoing_headers

from . import probe, wsgi_raw


def make_app(observer: Observer | None, options: probe.Options = probe.Options()) -> Any:
    """Return the probe app with the extension initialised, also on the app that it mounts."""
    app, sub = _apps(options)
    Observability(app, **probe.new_observer(observer))
    Observability(sub, **probe.new_observer(observer))
    return app


def make_bare_app(options: probe.Options = probe.Options()) -> Flask:
    """Return the probe app alone."""
    return _apps(options)[0]


def _apps(options: probe.Options) -> tuple[Flask, Flask]:
    app = Flask(__name__)
    if options.max_body_bytes is not None:
        app.config["MAX_CONTENT_LENGTH"] = options.max_body_bytes
    _add_routes(app)
    users = Blueprint("users", __name__, url_prefix="/users")
    users.add_url_rule("/<uid>", view_func=user)
    api = Blueprint("api", __name__)
    api.register_blueprint(users)
    app.register_blueprint(api, url_prefix="/api/v1")
    app.register_error_handler(probe.HandledError, handle)
    if options.catch_all:
        app.register_error_handler(Exception, catch_all)
    sub = Flask("sub")
    sub.add_url_rule("/things/<x>", view_func=thing)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/sub": sub})  # type: ignore[method-assign]
    return app, sub


def _add_routes(app: Flask) -> None:
    app.add_url_rule("/items/<int:i>", view_func=item)
    app.add_url_rule("/slashed/<int:i>/", view_func=slashed)
    app.add_url_rule("/boom", view_func=boom)
    app.add_url_rule("/handled", view_func=handled)
    app.add_url_rule("/teapot", view_func=teapot)
    app.add_url_rule("/stream", view_func=stream)
    app.add_url_rule("/stream/long", view_func=stream_long)
    app.add_url_rule("/stream/broken", view_func=stream_broken)
    app.add_url_rule("/slow", view_func=slow)
    app.add_url_rule("/log", view_func=log)
    app.add_url_rule("/whoami", view_func=whoami)
    app.add_url_rule("/outgoing", view_func=outgoing)
    app.add_url_rule("/query", view_func=query)
    app.add_url_rule("/own-id", view_func=own_id)
    app.add_url_rule("/left-out", view_func=left_out)
    app.add_url_rule("/labelled", view_func=labelled)
    app.add_url_rule("/session", view_func=session)
    app.add_url_rule("/echo", view_func=echo, methods=["POST"])


def handle(error: probe.HandledError) -> Any:
    return _text("handled", error.status)


def catch_all(error: Exception) -> Any:
    if isinstance(error, HTTPException):
        return error
    return _text("caught", probe.CATCH_ALL_STATUS)


def _text(body: str, status: int = 200) -> Response:
    return Response(body, status=status, content_type="text/plain")


def item(i: int) -> Any:
    return _text(f"item {i}")


def user(uid: str) -> Any:
    return _text(f"user {uid}")


def thing(x: str) -> Any:
    return _text(f"thing {x}")


def slashed(i: int) -> Any:
    return _text(f"slashed {i}")


def boom() -> Any:
    raise ValueError("boom")


def handled() -> Any:
    raise probe.HandledError(500)


def teapot() -> Any:
    raise probe.HandledError(418)


def stream() -> Any:
    return Response(wsgi_raw.chunks())


def stream_long() -> Any:
    return Response(wsgi_raw.long_chunks())


def stream_broken() -> Any:
    return Response(wsgi_raw.broken_chunks())


def slow() -> Any:
    probe.be_slow_sync()
    return _text("slow")


def log() -> Any:
    probe.write_log()
    return _text("logged")


def whoami() -> Any:
    return _text(json.dumps(wsgi_raw.seen_ids(float(request.args.get("ms", "0")))))


def outgoing() -> Any:
    return _text(json.dumps(outgoing_headers()))


def query() -> Any:
    return Response(request.query_string, content_type="text/plain")


def own_id() -> Any:
    response = _text("own")
    response.headers["X-Request-ID"] = probe.OWN_ID
    response.headers["x-correlation-id"] = probe.OWN_ID
    return response


@leave_out
def left_out() -> Any:
    return _text("seen")


@add_labels(team="checkout")
def labelled() -> Any:
    return _text("seen")


def session() -> Any:
    response = _text("who?", 401)
    response.headers["WWW-Authenticate"] = "Basic"
    for cookie in probe.COOKIES:
        response.headers.add("Set-Cookie", cookie)
    return response


def echo() -> Any:
    return _text(str(len(request.get_data())))
