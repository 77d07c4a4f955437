"""A readiness check that asks Django's database: one connection, closed as Django closes those of requests."""

from __future__ import annotations

import pytest

from tests.core.support import python

PROBES = """
import gc, logging, os, sys, threading
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["obs_django"], ALLOWED_HOSTS=["*"], SECRET_KEY="x", OBS_LOG_SETUP=False, ROOT_URLCONF=__name__,
    OBS_DJANGO_HEALTH_DATABASES=(),
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {name!r}, "CONN_MAX_AGE": {age}}}}},
)
django.setup()
logging.getLogger("obs.health").disabled = True  # which says that the check fails
from django.db import connection, connections
from django.db.backends.signals import connection_created
from obs_django import get_observer
from obs_middleware import RequestInfo

urlpatterns, opened, seen = [], [], []
connection_created.connect(lambda connection, **_: opened.append(connection), weak=False)
gateway = get_observer().gateway
gateway.started()

@get_observer().health.check("database", every_seconds=0, timeout_seconds=5)
def database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    seen.append(1)
    return {answer}

gc.disable()
while len(seen) < 5:
    gateway.reply(RequestInfo("GET", "/health/ready", "", "http", {{}}.get), "/health/ready")
while any(thread.name.startswith("obs-check") for thread in threading.enumerate()) and {ends}:
    pass
print(len(opened), sum(one.connection is not None for one in opened))
"""


def opened(tmp_path: object, *, age: int, answer: str = "True") -> list[int]:
    """Return how many connections five probes have opened, and how many of those are open."""
    ends = answer == "False"
    text = python(PROBES.format(name=f"{tmp_path}/shop.sqlite3", age=age, answer=answer, ends=ends))
    return [int(number) for number in text.split()]


def test_persistent_connection_is_opened_once(tmp_path: object) -> None:
    assert opened(tmp_path, age=600) == [1, 1]


def test_connection_that_must_not_persist_is_closed_after_each_run(tmp_path: object) -> None:
    count, left = opened(tmp_path, age=0)
    assert (count >= 5, left <= 1) == (True, True)


def test_check_that_fails_leaves_no_connection_behind(tmp_path: object) -> None:
    count, left = opened(tmp_path, age=600, answer="False")
    assert (count >= 5, left) == (True, 0)


HOOKS = """
import os, threading, time
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["obs_django"], SECRET_KEY="x", OBS_LOG_SETUP=False,
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {name!r}, "CONN_MAX_AGE": {age}}}}},
)
django.setup()
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from obs_django import exporters, metrics

opened, counted = [], []
connection_created.connect(lambda connection, **_: opened.append(connection), weak=False)

def count():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    counted.append(threading.get_ident())
    return 1

class Own:
    name, interval_seconds = "own", 0.02
    def export(self, collected):
        pass

metrics.gauge("rows", "Rows.", function=count)
exporters.add(Own())
exporters.start()
while len(counted) < 5:
    time.sleep(0.01)
exporters.stop()()
while any(thread.name == "obs-export" for thread in threading.enumerate()):
    time.sleep(0.01)
others = [one for one in opened if one.connection is not None and one._thread_ident != threading.get_ident()]
with transaction.atomic():
    metrics.snapshot()
    print(len(opened) >= 5, len(others), connection.connection is not None)
"""


@pytest.mark.parametrize("age", [0, 600])
def test_hooks_that_ask_the_database_leave_no_connection_and_break_no_transaction(
    tmp_path: object, age: int
) -> None:
    text = python(HOOKS.format(name=f"{tmp_path}/shop.sqlite3", age=age))
    assert text.split() == ["True", "0", "True"]
