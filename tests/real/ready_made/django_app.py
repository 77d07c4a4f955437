"""A Django project on real servers, in a process of its own; it runs one scene and prints what it has seen as JSON.

python -m tests.real.ready_made.django_app SCENE '{"postgres": 5432, "mariadb": 3306, …}'
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import django
import pymysql
from django.conf import settings
from django.core.management import call_command

from obs_middleware import RequestInfo
from obs_middleware.health import checks as health_checks
from obs_middleware.health.registry import Health

# A busy machine answers late.
health_checks._WAIT_SECONDS = 10.0
(Health.add.__kwdefaults__ or {})["timeout_seconds"] = 30.0
FOLDER = Path(tempfile.mkdtemp())
PORTS: dict[str, int] = {}
BEARER = {"authorization": "Bearer health-token"}
# As Django's documentation has it for PyMySQL; its version number is that of mysqlclient.
pymysql.version_info = (2, 2, 7, "final", 0)
pymysql.install_as_MySQLdb()


def set_up(**others: Any) -> None:
    local = {"HOST": "127.0.0.1", "CONN_MAX_AGE": 600}
    postgres = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "app",
        "PORT": PORTS["postgres"],
    }
    mariadb = {
        "ENGINE": "django.db.backends.mysql",
        "NAME": "mysql",
        "USER": "root",
        "PORT": PORTS["mariadb"],
    }
    django_redis = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"redis://127.0.0.1:{PORTS['redis']}/0",
    }
    memcached = {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": f"127.0.0.1:{PORTS['memcached']}",
    }
    given: dict[str, Any] = {
        "INSTALLED_APPS": ["obs_django", "django.contrib.contenttypes", "django.contrib.auth"],
        "SECRET_KEY": "x",
        "OBS_LOG_SETUP": False,
        "OBS_HEALTH_TOKEN": "health-token",
        "DATABASES": {
            "default": {**local, **postgres},
            "shop": {**local, **mariadb},
            "file": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(FOLDER / "shop.sqlite3")},
        },
        "CACHES": {
            "default": django_redis,
            "other": memcached,
            "none": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        },
        "MEDIA_ROOT": str(FOLDER),
    }
    settings.configure(**{**given, **others})
    django.setup()


def probe() -> tuple[int, dict[str, Any]]:
    from obs_django import get_observer

    gateway = get_observer().gateway
    gateway.started()
    reply = gateway.reply(RequestInfo("GET", "/health/ready", "", "http", BEARER.get), "/health/ready")
    checks = json.loads(reply.body).get("checks", {})
    return reply.status, {name: found[0] for name, found in checks.items()}


def probe_until(status: int, *, all_fail: bool = False) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while True:
        found, checks = probe()
        states = [(check["status"], check.get("output")) for check in checks.values()]
        is_answered = all(output != "no answer yet" for _, output in states)
        if found == status and is_answered and (not all_fail or {state for state, _ in states} == {"fail"}):
            return checks
        assert time.monotonic() < deadline, (found, checks)
        time.sleep(0.02)


def register(**checks: Any) -> None:
    from obs_django import get_observer

    for name, check in checks.items():
        get_observer().health.add(name, check, every_seconds=0)


def many() -> Any:
    """Probe 300 times, and count the connections to the servers."""
    from tests.real.ready_made.kinds import own_sockets

    set_up(OBS_DJANGO_HEALTH_DATABASES=())
    from obs_django.ready_made import django_cache, django_database

    counted = ("postgres", "mariadb", "redis", "memcached")
    databases = {f"database:{alias}": django_database(alias) for alias in ("default", "shop", "file")}
    register(**databases, **{f"cache:{alias}": django_cache(alias) for alias in ("default", "other", "none")})
    probe_until(200)
    statuses = {probe()[0] for _ in range(300)}
    return {
        "statuses": [*statuses],
        "held": {name: own_sockets(PORTS[name]) for name in counted},
    }


def cut() -> Any:
    """Probe before and after PostgreSQL has cut the connection that waits."""
    import psycopg

    set_up(OBS_DJANGO_HEALTH_DATABASES=())
    from obs_django.ready_made import django_database

    register(database=django_database())
    probe_until(200)
    with psycopg.connect(f"postgresql://app@127.0.0.1:{PORTS['postgres']}/postgres") as connection:
        backends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.execute(f"{backends} AND backend_type = 'client backend'")
    return [probe()[0] for _ in range(3)]


def pooled() -> Any:
    """Probe a database whose connections Django takes from a pool of psycopg."""
    postgres = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "app",
        "HOST": "127.0.0.1",
        "PORT": PORTS["postgres"],
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 2}},
    }
    set_up(DATABASES={"default": postgres})
    from django.db import connection

    checks = probe_until(200)
    connection.close_pool()
    return [check["status"] for check in checks.values()]


def databases() -> Any:
    """Probe without having registered anything."""
    set_up()
    return {name: check["status"] for name, check in probe_until(200).items()}


def left_out() -> Any:
    set_up(OBS_DJANGO_HEALTH_DATABASES=["file"])
    return [*probe_until(200)]


def unknown() -> Any:
    from django.core.checks import run_checks

    set_up(OBS_DJANGO_HEALTH_DATABASES=["shops"])
    return [str(message.msg) for message in run_checks() if message.id == "obs.E001"]


def down() -> Any:
    """Probe with a default database that is gone, and another one."""
    set_up()
    settings.DATABASES["default"]["PORT"] = 1
    checks = probe_until(503)
    return {name: check["status"] for name, check in checks.items()}


def other_down() -> Any:
    set_up()
    settings.DATABASES["shop"]["PORT"] = 1
    return {name: check["status"] for name, check in probe_until(200).items()}


def migrations() -> Any:
    """Probe before and after the migrations have run."""
    set_up(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(FOLDER / "new.sqlite3")}}
    )
    from obs_django.ready_made import django_migrations

    register(migrations=django_migrations())
    before = probe_until(503)["migrations"]
    call_command("migrate", verbosity=0)
    return [before, probe_until(200)["migrations"]]


def storage() -> Any:
    """Probe with a folder that is there, and with one that is gone."""
    set_up(OBS_DJANGO_HEALTH_DATABASES=())
    from obs_django.ready_made import django_storage

    register(reads=django_storage(), writes=django_storage(writes=True))
    probe_until(200)
    left = [path.name for path in FOLDER.iterdir() if path.name.startswith("obs-health")]
    settings.MEDIA_ROOT = "/dev/null/gone"
    from django.core.files.storage import storages

    storages["default"].__dict__.update(location="/dev/null/gone", base_location="/dev/null/gone")
    return [left, {name: check["status"] for name, check in probe_until(503, all_fail=True).items()}]


def cache_gone() -> Any:
    """Probe with a cache that nobody serves, and with one that hides it."""
    gone = {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": "127.0.0.1:1"}
    hidden = {**gone, "OPTIONS": {"ignore_exc": True}}
    set_up(OBS_DJANGO_HEALTH_DATABASES=(), CACHES={"default": gone, "hidden": hidden})
    from obs_django.ready_made import django_cache

    register(gone=django_cache(), hidden=django_cache("hidden"))
    return {name: check["status"] for name, check in probe_until(503, all_fail=True).items()}


if __name__ == "__main__":
    PORTS.update(json.loads(sys.argv[2]))
    print(json.dumps(globals()[sys.argv[1]]()))
