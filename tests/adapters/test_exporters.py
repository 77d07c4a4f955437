"""Exports begin when an app serves, and not where it is only made, by a command or before workers are forked."""

from __future__ import annotations

import pytest

from tests.core.support import python

OWN = """
class Own:
    name, interval_seconds, count = "own", 0.01, 0
    def export(self, collected):
        Own.count += 1
import time
def exported(within):
    end = time.monotonic() + within
    while not Own.count and time.monotonic() < end:
        time.sleep(0.01)
    return Own.count > 0
"""
WSGI = """
from obs_middleware import Observer
from obs_wsgi import ObservabilityMiddleware
from wsgiref.util import setup_testing_defaults
observer = Observer(log_setup=False)
observer.exporters.add(Own())
def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]
app = ObservabilityMiddleware(app, observer)
print(exported(0.2))
environ = {}
setup_testing_defaults(environ)
list(app(environ, lambda *_: None))
print(exported(40))
"""
FLASK = """
from flask import Flask
from obs_flask import Observability
app = Flask(__name__)
Observability(app, log_setup=False)
app.extensions["obs"].exporters.add(Own())
print(exported(0.2))
app.test_client().get("/")
print(exported(40))
"""
DJANGO = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["obs_django"], ALLOWED_HOSTS=["*"], SECRET_KEY="x", ROOT_URLCONF=__name__, OBS_LOG_SETUP=False
)
django.setup()
urlpatterns = []
from obs_django import exporters
exporters.add(Own())
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
print(exported(0.2))
from django.test import Client
Client().get("/")
print(exported(40))
"""


@pytest.mark.parametrize("app", [WSGI, FLASK, DJANGO], ids=["wsgi", "flask", "django"])
def test_exports_begin_with_the_first_request(app: str) -> None:
    assert python(OWN + app, env={"PYTHONWARNINGS": "ignore"}).split() == ["False", "True"]
