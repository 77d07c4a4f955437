"""Databases: SQLAlchemy's engines, psycopg, asyncpg. Each asks `SELECT 1`.

A check of a pool borrows one of the app's connections and gives it back, so that it costs none. A pool from which
nobody gets a connection in time fails, as the app's requests do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from traceback import clear_frames
from typing import Any

from obs_middleware.health.cutting import cut_after, ended_after
from obs_middleware.health.ready_check import DATASTORE, KeptConnection, ReadyCheck, given, library

_SELECT = "SELECT 1"
_EARLY = 0.9  # of the time limit, at which the check itself is cancelled


def sqlalchemy_engine(engine: Any) -> ReadyCheck:
    """Check the database of an Engine or AsyncEngine of SQLAlchemy.

    Args:
        engine: it, or a function that returns it.
    """
    return _SqlAlchemyEngine(engine, library("sqlalchemy", "sqlalchemy", "sqlalchemy_engine"))


def psycopg_connection(conninfo: str) -> ReadyCheck:
    """Check a PostgreSQL database over a connection of its own, which it keeps.

    Args:
        conninfo: as psycopg has it: `postgresql://app@db/shop`, or `host=db dbname=shop`.
    """
    return _PsycopgConnection(conninfo, library("psycopg", "psycopg", "psycopg_connection"))


def psycopg_pool(pool: Any) -> ReadyCheck:
    """Check the database of psycopg's ConnectionPool or AsyncConnectionPool.

    Args:
        pool: it, or a function that returns it.
    """
    library("psycopg_pool", "psycopg-pool", "psycopg_pool")
    return _PsycopgPool(pool)


def asyncpg_pool(pool: Any) -> ReadyCheck:
    """Check the database of a pool of asyncpg.

    Args:
        pool: it, or a function that returns it, because a pool is often made after the check.
    """
    library("asyncpg", "asyncpg", "asyncpg_pool")
    return _AsyncpgPool(pool)


class _SqlAlchemyEngine(ReadyCheck):
    component_type = DATASTORE

    def __init__(self, engine: Any, sqlalchemy: Any) -> None:
        self._engine = engine
        self._select = sqlalchemy.select(sqlalchemy.literal(1))
        self._lost = sqlalchemy.exc.DBAPIError

    def __call__(self) -> Awaitable[None] | None:
        engine = given(self._engine)
        if hasattr(engine, "sync_engine"):
            return self._ask_async(engine)
        try:
            self._ask(engine)
        except self._lost as error:
            if not error.connection_invalidated:
                raise
            self._ask(engine)  # the server has been started anew; the pool has forgotten its connections now
        return None

    def _ask(self, engine: Any) -> None:
        with engine.connect() as connection:
            pooled = connection.connection
            try:
                with cut_after(self.timeout_seconds, pooled.dbapi_connection):
                    connection.execute(self._select)
            except TimeoutError:
                connection.invalidate()
                raise

    async def _ask_async(self, engine: Any) -> None:
        try:
            await self._select_async(engine)
        except self._lost as error:
            if not error.connection_invalidated:
                raise
            await self._select_async(engine)

    async def _select_async(self, engine: Any) -> None:
        try:
            connection = await engine.connect()
        except BaseException as error:
            clear_frames(error.__traceback__)  # they would hold psycopg's half-open connection
            raise
        try:
            pooled = await connection.get_raw_connection()
            async with ended_after(self.timeout_seconds * _EARLY, pooled.driver_connection):
                await connection.execute(self._select)
        finally:
            await connection.close()


class _PsycopgConnection(KeptConnection[Any]):
    component_type = DATASTORE

    def __init__(self, conninfo: str, psycopg: Any) -> None:
        super().__init__()
        self._conninfo = conninfo
        self._connect: Callable[..., Any] = psycopg.connect

    def _open(self, seconds: float) -> Any:
        whole = max(1, round(seconds))  # libpq knows whole seconds only
        return self._connect(self._conninfo, connect_timeout=whole, autocommit=True)

    def _ask(self, connection: Any, seconds: float) -> None:
        with cut_after(seconds, connection):
            connection.execute(_SELECT)


class _PsycopgPool(ReadyCheck):
    component_type = DATASTORE

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def __call__(self) -> Awaitable[None] | None:
        pool = given(self._pool)
        borrowed = pool.connection(timeout=self.timeout_seconds)
        if hasattr(borrowed, "__aenter__"):
            return self._ask_async(borrowed)
        with borrowed as connection, cut_after(self.timeout_seconds, connection):
            connection.execute(_SELECT)
        return None

    async def _ask_async(self, borrowed: Any) -> None:
        async with borrowed as connection, ended_after(self.timeout_seconds * _EARLY, connection):
            await connection.execute(_SELECT)


class _AsyncpgPool(ReadyCheck):
    component_type = DATASTORE

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def __call__(self) -> None:
        pool = given(self._pool)
        connection = await pool.acquire(timeout=self.timeout_seconds)
        try:
            async with ended_after(self.timeout_seconds * _EARLY, connection):
                await connection.fetchval(_SELECT)
        finally:
            await pool.release(connection)
