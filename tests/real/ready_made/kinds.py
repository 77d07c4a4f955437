"""Every ready-made check of a server: how it is made, and how the server is asked for the connections it holds."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from obs_middleware.health import ready_made
from tests.real.ready_made.servers import Servers, rows


class Kind(NamedTuple):
    """One check."""

    name: str
    server: str
    make: Callable[
        [int, Loop], tuple[Any, Callable[[], object]]
    ]  # a port: the check, and what ends the app's own


class Loop:
    """An event loop that serves an app in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def app_loop() -> Iterator[Loop]:
    loop = Loop()
    try:
        yield loop
    finally:
        loop.end()


def _nothing() -> None:
    pass


def _engine(url: str) -> Callable[[int, Loop], Any]:
    def make(port: int, _: Loop) -> Any:
        import sqlalchemy

        engine = sqlalchemy.create_engine(url.format(port=port))
        return ready_made.sqlalchemy_engine(engine), engine.dispose

    return make


def _async_engine(url: str) -> Callable[[int, Loop], Any]:
    def make(port: int, loop: Loop) -> Any:
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine(url.format(port=port))
        return ready_made.sqlalchemy_engine(lambda: engine), lambda: loop.run(engine.dispose())

    return make


def _psycopg_connection(port: int, _: Loop) -> Any:
    return ready_made.psycopg_connection(f"postgresql://app@127.0.0.1:{port}/postgres"), _nothing


def _psycopg_pool(port: int, _: Loop) -> Any:
    from psycopg_pool import ConnectionPool

    dsn = f"postgresql://app@127.0.0.1:{port}/postgres"
    pool = ConnectionPool(dsn, min_size=1, max_size=1, open=True, reconnect_timeout=2)
    return ready_made.psycopg_pool(pool), pool.close


def _psycopg_async_pool(port: int, loop: Loop) -> Any:
    from psycopg_pool import AsyncConnectionPool

    async def opened() -> Any:
        dsn = f"postgresql://app@127.0.0.1:{port}/postgres"
        pool = AsyncConnectionPool(dsn, min_size=1, max_size=1, open=False, reconnect_timeout=2)
        await pool.open()
        return pool

    pool = loop.run(opened())
    return ready_made.psycopg_pool(pool), lambda: loop.run(pool.close())


def _asyncpg_pool(port: int, loop: Loop) -> Any:
    import asyncpg

    async def opened() -> Any:
        dsn = f"postgresql://app@127.0.0.1:{port}/postgres?sslmode=disable"
        return await asyncpg.create_pool(dsn, min_size=0, max_size=5)  # no floor, which it restores by itself

    pool = loop.run(opened())

    async def ended() -> None:
        pool.terminate()

    return ready_made.asyncpg_pool(lambda: pool), lambda: loop.run(ended())


def _redis(port: int, _: Loop) -> Any:
    import redis

    client = redis.Redis(port=port)
    return ready_made.redis_client(client), client.close


def _redis_url(port: int, _: Loop) -> Any:
    return ready_made.redis_client(f"redis://127.0.0.1:{port}/0"), _nothing


def _async_redis(port: int, loop: Loop) -> Any:
    from redis import asyncio as redis

    client = redis.Redis(port=port)
    return ready_made.redis_client(client), lambda: loop.run(client.aclose())


def _memcached(port: int, _: Loop) -> Any:
    return ready_made.memcached_server(f"127.0.0.1:{port}"), _nothing


def _kombu(port: int, _: Loop) -> Any:
    return ready_made.kombu_connection(f"amqp://guest:guest@127.0.0.1:{port}//"), _nothing


def _kombu_on_redis(port: int, _: Loop) -> Any:
    return ready_made.kombu_connection(f"redis://127.0.0.1:{port}/0"), _nothing


KINDS = [
    Kind(
        "sqlalchemy_engine, psycopg",
        "postgres",
        _engine("postgresql+psycopg://app@127.0.0.1:{port}/postgres"),
    ),
    Kind("sqlalchemy_engine, pymysql", "mariadb", _engine("mysql+pymysql://root@127.0.0.1:{port}/mysql")),
    Kind(
        "sqlalchemy_engine, asyncpg",
        "postgres",
        _async_engine("postgresql+asyncpg://app@127.0.0.1:{port}/postgres?ssl=disable"),
    ),
    Kind(
        "sqlalchemy_engine, async psycopg",
        "postgres",
        _async_engine("postgresql+psycopg://app@127.0.0.1:{port}/postgres"),
    ),
    Kind("psycopg_connection", "postgres", _psycopg_connection),
    Kind("psycopg_pool", "postgres", _psycopg_pool),
    Kind("psycopg_pool, async", "postgres", _psycopg_async_pool),
    Kind("asyncpg_pool", "postgres", _asyncpg_pool),
    Kind("redis_client", "redis", _redis),
    Kind("redis_client, URL", "redis", _redis_url),
    Kind("redis_client, async", "redis", _async_redis),
    Kind("memcached_server", "memcached", _memcached),
    Kind("kombu_connection, Redis", "redis", _kombu_on_redis),
    Kind("kombu_connection", "rabbitmq", _kombu),
]


def held(servers: Servers, name: str) -> int:
    """Ask a server how many connections it has besides the one that asks."""
    return count(name, servers.port(name))


def count(name: str, port: int) -> int:
    """Ask the server at a port."""
    return _COUNTS[name](port)


def _by_postgres(port: int) -> int:
    import psycopg

    query = (
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(f"postgresql://app@127.0.0.1:{port}/postgres") as connection:
        return len(rows(connection, query))


def _by_mariadb(port: int) -> int:
    import pymysql

    with pymysql.connect(host="127.0.0.1", port=port, user="root") as connection:
        query = "SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> CONNECTION_ID()"
        return len(rows(connection, query))


def _by_redis(port: int) -> int:
    import redis

    with redis.Redis(port=port) as client:
        return len(client.client_list()) - 1


def _by_memcached(port: int) -> int:
    import socket

    def count() -> int:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"stats\r\n")
            text = b""
            while b"END" not in text:
                text += connection.recv(65536)
            return int(text.partition(b"STAT curr_connections ")[2].split()[0])

    return count() - _idle_memcached.setdefault(port, count())


def _by_rabbitmq(port: int) -> int:
    """Count the sockets at its port; `rabbitmqctl list_connections` starts an Erlang of its own for seconds."""
    return sum(line[1].endswith(f":{port:04X}") for line in _established())


def own_sockets(port: int) -> int:
    """Count the sockets of this process that are connected to a port."""
    files = set()
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            files.add(os.readlink(file))
    return sum(line[2].endswith(f":{port:04X}") and f"socket:[{line[9]}]" in files for line in _established())


def _established() -> list[list[str]]:
    texts = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for text in texts for line in text.splitlines()[1:]]
    return [line for line in lines if line[3] == "01"]


_idle_memcached: dict[int, int] = {}
_COUNTS: dict[str, Callable[[int], int]] = {
    "postgres": _by_postgres,
    "mariadb": _by_mariadb,
    "redis": _by_redis,
    "memcached": _by_memcached,
    "rabbitmq": _by_rabbitmq,
}
