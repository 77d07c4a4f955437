"""The project's own `/metrics` or `/health`: ours are answered in their place, and one line at the start says so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.http import HttpResponse
from django.urls import include, path, re_path

from tests.adapters.asgi import get
from tests.adapters.django_project import asgi_app, project, wsgi_app
from tests.adapters.wsgi import call

PathsTold = Callable[[], list[list[str]]]
PROBES = ["/health/live", "/health/ready", "/health/startup"]


def page(request: Any, *args: Any, **keywords: Any) -> HttpResponse:
    return HttpResponse(b"theirs")


DJANGO = [
    ([path("metrics", page)], ["/metrics"]),
    ([path("health/", include([path("ready/", page)]))], ["/health/ready"]),
    ([re_path(r"^health/(\w+)$", page)], PROBES),
    ([re_path(r"^(?P<rest>.*)$", page)], []),
    ([path("", page)], []),
]


@pytest.mark.parametrize(("patterns", "paths"), DJANGO)
@pytest.mark.parametrize("is_async", [False, True], ids=["wsgi", "asgi"])
def test_django_project_is_told_of_its_pages_at_the_first_request(
    patterns: list[Any],
    paths: list[str],
    is_async: bool,
    paths_told: PathsTold,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls: Any = ModuleType("urls_of_a_test")
    urls.urlpatterns = patterns
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    with project(ROOT_URLCONF=urls.__name__):
        app = asgi_app() if is_async else wsgi_app()
        for _ in range(2):
            status = get(app, "/health/live").status if is_async else call(app, "/health/live").status
            assert status == 200
    assert paths_told() == ([paths] if paths else [])


@pytest.mark.parametrize("is_async", [False, True], ids=["wsgi", "asgi"])
def test_django_project_keeps_its_own_page_at_another_name_of_a_probe(
    is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls: Any = ModuleType("urls_of_a_test")
    urls.urlpatterns = [path("health", page)]
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    with project(ROOT_URLCONF=urls.__name__):
        app = asgi_app() if is_async else wsgi_app()
        bodies = [get(app, one).body if is_async else call(app, one).sent for one in ("/health", "/readyz")]
        assert bodies == [b"theirs", b'{"status":"pass"}']
