"""Django under WSGI and, with async views, under ASGI, and what is put around it; one app for each process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import telemetry
from benchmarks.variants import OURS, VARIANTS, settings

_HERE = "benchmarks.apps.django_middleware"
_GUID = {"INSTALLED_APPS": ["django_guid"], "MIDDLEWARE": ["django_guid.middleware.guid_middleware"]}
_PROMETHEUS = {
    "INSTALLED_APPS": ["django_prometheus"],
    "MIDDLEWARE": [
        "django_prometheus.middleware.PrometheusBeforeMiddleware",
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    ],
}

Settings = dict[str, Any]
urlpatterns: list[Any] = []


def build(framework: str, variant: str, routes: int) -> Any:
    """Return the app.

    Raises:
        RuntimeError: this process has a Django app already.
    """
    import django
    from django.conf import settings as configured

    if configured.configured:
        raise RuntimeError("Django is set up already: build it in a process of its own")
    configured.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        LOGGING_CONFIG=None,
        **variants(framework)[variant](),
    )
    django.setup()
    if VARIANTS[variant].ratio and not variant.startswith(("ours", "before")):
        _opentelemetry(VARIANTS[variant].ratio)
    _route(framework, routes, has_page="django_prometheus" in configured.INSTALLED_APPS)
    if framework == "django-asgi":
        from django.core.handlers.asgi import ASGIHandler

        return ASGIHandler()
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()


def variants(framework: str) -> dict[str, Callable[[], Settings]]:
    """Return the settings that put something around the app."""
    return {
        "bare": dict,
        "no-op": lambda: {"MIDDLEWARE": [f"{_HERE}.no_op"]},
        "request-id": lambda: {**_GUID, "DJANGO_GUID": {"GUID_HEADER_NAME": "X-Request-ID"}},
        "django-prometheus": lambda: dict(_PROMETHEUS),
        "line": _line,
        "otel-10": dict,
        "otel-100": dict,
        "assembled-10": _assembled,
        "assembled-100": _assembled,
        **{name: _ours(name) for name in OURS},
    }


def _route(framework: str, routes: int, *, has_page: bool) -> None:
    from django.http import JsonResponse
    from django.urls import include, path

    def item(request: Any, item: int) -> JsonResponse:
        return JsonResponse({"item": item})

    async def async_item(request: Any, item: int) -> JsonResponse:
        return JsonResponse({"item": item})

    view = async_item if framework == "django-asgi" else item
    urlpatterns.extend(path(f"r{number}/<int:item>", view, name=f"r{number}") for number in range(routes))
    if has_page:
        urlpatterns.append(path("", include("django_prometheus.urls")))


def _ours(name: str) -> Callable[[], Settings]:
    def add() -> Settings:
        own = {f"OBS_{setting.upper()}": value for setting, value in settings(name).items()}
        return {"INSTALLED_APPS": ["obs_django"], **own}

    return add


def _line() -> Settings:
    telemetry.json_log()
    return {"MIDDLEWARE": [f"{_HERE}.access_line"]}


def _assembled() -> Settings:
    from django_guid.log_filters import CorrelationId

    telemetry.json_log(CorrelationId())
    before, after = _PROMETHEUS["MIDDLEWARE"]
    return {
        "INSTALLED_APPS": [*_GUID["INSTALLED_APPS"], *_PROMETHEUS["INSTALLED_APPS"]],
        "DJANGO_GUID": {"GUID_HEADER_NAME": "X-Request-ID"},
        "MIDDLEWARE": [before, *_GUID["MIDDLEWARE"], f"{_HERE}.access_line", after],
    }


def _opentelemetry(ratio: float) -> None:
    from opentelemetry.instrumentation.django import DjangoInstrumentor

    DjangoInstrumentor().instrument(tracer_provider=telemetry.provider(ratio))
