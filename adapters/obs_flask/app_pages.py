"""Whether a Flask app has a rule for a path."""

from __future__ import annotations

from flask import Flask
from werkzeug.exceptions import HTTPException

from obs_middleware.gateway import is_caught_by_all


def has_rule(app: Flask, path: str) -> bool:
    """Tell whether the app has a rule for a path and any method; one for every path is none."""
    urls = app.url_map.bind("localhost")
    methods = urls.allowed_methods(path)
    try:
        _, captured = urls.match(path, method=next(iter(methods)))
    except (HTTPException, StopIteration):  # none, or a redirect to another path
        return False
    return not is_caught_by_all(path, captured.values())
