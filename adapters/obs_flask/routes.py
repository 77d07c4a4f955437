"""Route templates: the rule that Werkzeug has matched, or would match, with the mount in front."""

from __future__ import annotations

from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException

from obs_middleware import Exchange
from obs_middleware.gateway import CARRIER_KEY, mount_of_route


def route_of(environ: dict[str, Any]) -> str | None:
    """Return the rule that Werkzeug has matched; below a dispatcher `SCRIPT_NAME` is the mount."""
    try:
        rule = environ["werkzeug.request"].url_rule
    except (KeyError, AttributeError):  # another app's, below a dispatcher
        return None
    if rule is None:
        return None
    route: str = rule.rule
    mount = environ.get("SCRIPT_NAME")
    return _below(mount, route, environ) if mount else route


def match_route(app: Flask, environ: dict[str, Any]) -> str | None:
    """Return the rule that an environ matches, where Flask has let go of its request."""
    adapter = app.create_url_adapter(app.request_class({**environ}))
    if adapter is None:
        return None
    try:
        rule, _ = adapter.match(return_rule=True)
    except HTTPException:  # not Flask's: Flask-SocketIO answers in front of it
        return None
    mount = environ.get("SCRIPT_NAME")
    return _below(mount, rule.rule, environ) if mount else rule.rule


def _below(mount: str, route: str, environ: dict[str, Any]) -> str:
    exchange = environ.get(CARRIER_KEY)
    if not isinstance(exchange, Exchange):
        return f"{mount}{route}"
    if (
        exchange.carrier is environ and "asgi.scope" in environ
    ):  # a2wsgi's, and nobody outside knows the mount
        return f"{mount_of_route(environ)}{route}"
    return exchange.route_below(mount, route)
