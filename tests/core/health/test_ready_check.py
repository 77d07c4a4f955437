"""What ready-made checks have in common: libraries that are missing, and what they tell of themselves."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from obs_middleware import ConfigError, Observer
from obs_middleware.health import ready_made
from tests.core.health.probing import detail
from tests.core.support import eventually, python

MAKE = """
import sys
sys.modules[{module!r}] = None  # as if it were not installed
from obs_middleware import ConfigError
from obs_middleware.health import ready_made
try:
    ready_made.{call}
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("call", "module", "package"),
    [
        ("sqlalchemy_engine(None)", "sqlalchemy", "sqlalchemy"),
        ("psycopg_connection('')", "psycopg", "psycopg"),
        ("psycopg_pool(None)", "psycopg_pool", "psycopg-pool"),
        ("asyncpg_pool(None)", "asyncpg", "asyncpg"),
        ("redis_client('')", "redis", "redis"),
        ("kombu_connection('')", "kombu", "kombu"),
        ("queue_length('', 'mail', warn_at=1)", "kombu", "kombu"),
        ("celery_workers(None)", "kombu", "kombu"),
    ],
)
def test_check_whose_library_is_missing_names_the_package(call: str, module: str, package: str) -> None:
    said = python(MAKE.format(call=call, module=module))
    assert said.startswith(f"the check {call.partition('(')[0]} needs {package}, which can't be imported")
    assert said.strip().endswith(f"pip install {package}")


def test_package_of_checks_imports_no_library() -> None:
    code = """
import sys
import obs_middleware
before = set(sys.modules)
import obs_middleware.health.ready_made
libraries = "sqlalchemy psycopg asyncpg redis kombu ssl http.client asyncio".split()
print(set(libraries) & (set(sys.modules) - before) or "none")
"""
    assert python(code).strip() == "none"


@pytest.mark.parametrize("address", ["cache", "cache:port", ":11211", ""])
def test_address_of_memcached_that_is_none_is_an_error(address: str) -> None:
    with pytest.raises(ConfigError, match="memcached_server wants"):
        ready_made.memcached_server(address)


@pytest.mark.hangs
@pytest.mark.parametrize(("answer", "status"), [(b"VERSION 1.6\r\n", "pass"), (b"ERROR\r\n", "fail")])
def test_memcached_is_asked_over_a_unix_socket_too(
    answer: bytes, status: str, own: Observer, tmp_path: Path
) -> None:
    path = str(tmp_path / "memcached")
    own.health.add("gone", ready_made.memcached_server(f"{path}-gone"))
    eventually(lambda: "FileNotFoundError" in detail(own, "gone").get("output", ""))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        own.health.add("cache", ready_made.memcached_server(path))
        detail(own, "cache")
        with listener.accept()[0] as connection:
            assert connection.recv(100) == b"version\r\n"
            connection.sendall(answer)
            eventually(lambda: detail(own, "cache").get("output") != "no answer yet")
    found = detail(own, "cache")
    assert found["status"] == status
    assert found.get("output") == (
        None if status == "pass" else "ConnectionError: memcached has answered b'ERROR\\r\\n'"
    )


def test_queue_without_a_bound_is_an_error() -> None:
    with pytest.raises(ConfigError, match="queue_length wants a bound"):
        ready_made.queue_length("amqp://", "mail")


def test_answer_tells_what_kind_of_component_was_asked(own: Observer) -> None:
    own.health.add("disk", ready_made.disk_space())
    own.health.add("cache", ready_made.memcached_server("127.0.0.1:1"), component_type="cache")
    eventually(lambda: detail(own, "disk")["status"] == "pass")
    assert detail(own, "disk")["componentType"] == "system"
    assert detail(own, "cache")["componentType"] == "cache"
