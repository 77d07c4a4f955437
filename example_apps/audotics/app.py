"""The web side of audotics.

The one line is `Observability(app)`. The extras: an Observer with checks and metrics of our own (telemetry.py), spans
(tracing.py), files of lines (logs.py), `bind()`, and the trace's ID in a header.
"""

import logging
from typing import Any

from flask import Flask, Response, abort, request
from flask.typing import ResponseReturnValue

from example_apps.audotics import (
    logs,  # noqa: F401 - importing it adds the file of this process
    recommendations,
    storage,
    telemetry,
)
from obs_flask import Observability
from obs_middleware import bind, current_exchange

logger = logging.getLogger(__name__)


def create_app() -> Flask:
    app = Flask(__name__)
    Observability(app, observer=telemetry.observer)

    storage.create()
    app.teardown_appcontext(storage.disconnect)
    app.after_request(add_trace_id)
    app.add_url_rule("/songs/<int:song_id>", view_func=show_song)
    app.add_url_rule("/songs/<int:song_id>/similar", view_func=show_similar)
    app.add_url_rule("/plays", view_func=add_play, methods=["POST"])
    app.add_url_rule("/recommendations/<listener_id>", view_func=recommend)
    return app


def show_song(song_id: int) -> dict[str, Any]:
    song = storage.find_song(song_id)
    if song is None:
        abort(404)
    return song


def show_similar(song_id: int) -> dict[str, Any]:
    if storage.find_song(song_id) is None:
        abort(404)
    return {"songs": recommendations.alike(song_id, request.args.get("limit", 3, type=int))}


def add_play() -> ResponseReturnValue:
    play = request.get_json()
    bind(listener_id=play["listener_id"])
    if storage.find_song(play["song_id"]) is None:
        abort(404)
    storage.add_play(play["song_id"], play["listener_id"])
    telemetry.SONG_PLAYS.inc()
    logger.info("song played", extra={"song_id": play["song_id"]})
    return {"plays": storage.count_plays(play["song_id"])}, 201


def recommend(listener_id: str) -> dict[str, Any]:
    bind(listener_id=listener_id)
    limit = request.args.get("limit", 3, type=int)
    songs = recommendations.generate(listener_id, limit, is_deep="deep" in request.args)
    return {"listener_id": listener_id, "songs": songs}


def add_trace_id(response: Response) -> Response:
    """Name the trace in the response, so that who reports an error can say which it was."""
    exchange = current_exchange()
    if exchange is not None and exchange.trace_id:
        response.headers["X-Trace-Id"] = exchange.trace_id
    return response
