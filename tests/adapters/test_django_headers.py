"""One ID on the client and on every line, where django-guid or asgi-correlation-id gives the request its ID."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from asgi_correlation_id import CorrelationIdMiddleware
from django.http import HttpRequest, HttpResponse
from django.urls import path

from obs_middleware import other_ids
from obs_middleware.logs import ContextFilter
from tests.adapters.asgi import get
from tests.adapters.django_project import MIDDLEWARE, asgi_app, project, wsgi_app
from tests.adapters.wsgi import call
from tests.core.support import Caught, caught

pytest.importorskip("django_guid")  # which holds Django below 6 under Python 3.12

GUID = "django_guid.middleware.guid_middleware"
GIVEN = "3f2504e04f8941d39a0c0305e82c3301"
ID_HEADERS = ("x-request-id", "x-correlation-id", "correlation-id")


def view(request: HttpRequest) -> HttpResponse:
    logging.getLogger("app").info("in the view")
    return HttpResponse("done")


class Urls:
    urlpatterns = [path("", view)]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    other_ids.OTHER_IDS.clear()


@pytest.fixture
def log() -> Iterator[Caught]:
    """The app's lines and the access lines."""
    with caught("app") as own, caught("obs.access") as access:
        for handler in (own, access):
            handler.addFilter(ContextFilter())
        own.records = access.records
        yield own


@pytest.mark.parametrize("order", [[MIDDLEWARE, GUID], [GUID, MIDDLEWARE]])
@pytest.mark.parametrize("server", ["wsgi", "asgi"])
@pytest.mark.parametrize("given", [None, GIVEN])
@pytest.mark.parametrize("name", ["Correlation-ID", "X-Request-ID"])
def test_the_id_of_django_guid_is_the_requests(
    order: list[str], server: str, given: str | None, name: str, log: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project():  # it reads its settings once, when it is imported
        from django_guid.config import settings as of_django_guid
    monkeypatch.setitem(of_django_guid.settings, "GUID_HEADER_NAME", name)
    settings: dict[str, Any] = {
        "INSTALLED_APPS": ["obs_django", "django_guid"],
        "MIDDLEWARE": order,
        "ROOT_URLCONF": Urls,
    }
    with project(**settings):
        found = [ids(server, {name: given} if given else {}) for _ in range(2)]
    for one in found:
        assert len(set(one)) == 1
        assert len(one) == (3 if name == "Correlation-ID" else 2), "each header once"
    assert {one[0] for one in found} == ({given} if given else {found[0][0], found[1][0]})
    assert [record.request_id for record in log.records] == [  # type: ignore[attr-defined]
        one[0] for one in found for _ in ("in the view", "access line")
    ]


def ids(server: str, headers: dict[str, str]) -> list[str]:
    """Return the IDs that a client gets."""
    done: Any
    if server == "wsgi":
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        done = call(wsgi_app(), "/", HTTP_HOST="shop.test", **environ)
    else:
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        done = get(asgi_app(), "/", headers=[(b"host", b"shop.test"), *pairs])
    return [value for name in ID_HEADERS for value in done.all(name)]


def test_asgi_correlation_id_around_django_adds_the_one_header(log: Caught) -> None:
    with project(ROOT_URLCONF=Urls):
        answer = get(CorrelationIdMiddleware(asgi_app()), "/", headers=[(b"host", b"shop.test")])
    [own_id] = answer.all("x-request-id")
    assert [record.request_id for record in log.records] == [own_id] * 2  # type: ignore[attr-defined]
