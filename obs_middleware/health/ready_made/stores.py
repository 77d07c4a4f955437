"""Stores by key: Redis and memcached."""

from __future__ import annotations

import socket
from collections.abc import Awaitable
from typing import Any

from obs_middleware.errors import ConfigError
from obs_middleware.health.ready_check import DATASTORE, KeptConnection, ReadyCheck, given, library


def redis_client(client: Any) -> ReadyCheck:
    """Check a Redis or Valkey server by `PING`.

    A client that is synchronous, and a URL, get one connection of their own, with the check's time limit. Clients of
    asyncio and of a cluster are asked as they are, over one of their connections.

    Args:
        client: of redis-py; or a URL such as `redis://cache:6379/0`; or a function that returns one of them.
    """
    return _RedisClient(client, library("redis", "redis", "redis_client"))


def memcached_server(address: str) -> ReadyCheck:
    """Check a memcached server by `version`, over a connection of its own; no library is needed.

    Args:
        address: `cache:11211`, or the path of a Unix socket.

    Raises:
        ConfigError: it is neither.
    """
    host, _, port = address.rpartition(":")
    if not address.startswith("/") and not (host and port.isdecimal()):
        raise ConfigError(f"memcached_server wants 'host:port' or the path of a Unix socket, got {address!r}")
    return _MemcachedServer(address)


class _RedisClient(KeptConnection[Any]):
    component_type = DATASTORE

    def __init__(self, client: Any, redis: Any) -> None:
        super().__init__()
        self._client = client
        self._redis = redis

    def __call__(self) -> Awaitable[Any] | Any:
        client = given(self._client)
        pool = getattr(client, "connection_pool", None)
        if isinstance(client, str) or type(pool) in (
            self._redis.ConnectionPool,
            self._redis.BlockingConnectionPool,
        ):
            return super().__call__()
        return client.ping()  # asyncio's is awaited by who has called us; a cluster asks all its nodes

    def _open(self, seconds: float) -> Any:
        client = given(self._client)
        pools = self._redis.ConnectionPool
        pool = pools.from_url(client) if isinstance(client, str) else client.connection_pool
        limits = {"socket_connect_timeout": seconds, "socket_timeout": seconds, "retry": None}
        own = pools(pool.connection_class, max_connections=1, **{**pool.connection_kwargs, **limits})
        return self._redis.Redis(connection_pool=own)

    def _ask(self, connection: Any, seconds: float) -> None:
        connection.ping()

    def _hang_up(self, connection: Any) -> None:
        connection.connection_pool.disconnect()


class _MemcachedServer(KeptConnection[socket.socket]):
    component_type = DATASTORE

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def _open(self, seconds: float) -> socket.socket:
        if not self._address.startswith("/"):
            host, _, port = self._address.rpartition(":")
            return socket.create_connection((host.strip("[]"), int(port)), timeout=seconds)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(seconds)
            connection.connect(self._address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _ask(self, connection: socket.socket, seconds: float) -> None:
        connection.settimeout(seconds)
        connection.sendall(b"version\r\n")
        answer = connection.recv(200)
        if not answer.startswith(b"VERSION "):
            raise ConnectionError(f"memcached has answered {answer[:50]!r}")
