"""Ready-made checks, one line each: `observer.health.add("database", sqlalchemy_engine(engine))`.

Each imports its library when it is made. docs/ready-made-checks.md has what each asks and what it observes.
"""

from obs_middleware.health.ready_made.brokers import celery_workers, kombu_connection, queue_length
from obs_middleware.health.ready_made.databases import (
    asyncpg_pool,
    psycopg_connection,
    psycopg_pool,
    sqlalchemy_engine,
)
from obs_middleware.health.ready_made.event_loop import event_loop_lag
from obs_middleware.health.ready_made.machine import disk_space, memory
from obs_middleware.health.ready_made.network import certificate_expiry, dns_name, http_url, tcp_port
from obs_middleware.health.ready_made.stores import memcached_server, redis_client

__all__ = [
    "asyncpg_pool",
    "celery_workers",
    "certificate_expiry",
    "disk_space",
    "dns_name",
    "event_loop_lag",
    "http_url",
    "kombu_connection",
    "memcached_server",
    "memory",
    "psycopg_connection",
    "psycopg_pool",
    "queue_length",
    "redis_client",
    "sqlalchemy_engine",
    "tcp_port",
]
