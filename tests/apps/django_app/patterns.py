"""The routes of the probe app, for a module of sync or of async views."""

from __future__ import annotations

from typing import Any

from django.urls import include, path


def patterns(views: Any) -> list[Any]:
    """Return the URL patterns that lead to these views."""
    users = [path("users/<uid>", views.user)]
    things = [path("things/<x>", views.thing)]
    return [
        path("items/<int:i>", views.item),
        path("api/v1/", include(users)),
        path("sub/", include(things)),
        path("slashed/<int:i>/", views.slashed),
        path("boom", views.boom),
        path("handled", views.handled),
        path("teapot", views.teapot),
        path("stream", views.stream),
        path("stream/long", views.stream_long),
        path("stream/broken", views.stream_broken),
        path("slow", views.slow),
        path("log", views.log),
        path("whoami", views.whoami),
        path("outgoing", views.outgoing),
        path("query", views.query),
        path("own-id", views.own_id),
        path("left-out", views.left_out),
        path("labelled", views.labelled),
        path("session", views.session),
        path("echo", views.echo),
    ]
