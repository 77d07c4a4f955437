"""Brokers of messages, RabbitMQ above all, by kombu; the length of a queue; the workers of Celery."""

from __future__ import annotations

from typing import Any

from obs_middleware.errors import ConfigError
from obs_middleware.health.ready_check import (
    COMPONENT,
    DATASTORE,
    KeptConnection,
    ReadyCheck,
    graded,
    library,
)
from obs_middleware.health.result import Result

_ANSWERS_WITHIN = 0.6  # of the time limit: how long workers may take to answer
# What kombu calls time limits, by the kind of a transport.
_LIMITS = {
    "amqp": ("connect_timeout", "read_timeout", "write_timeout"),
    "redis": ("socket_connect_timeout", "socket_timeout"),
}


def kombu_connection(connection: Any) -> ReadyCheck:
    """Check a broker over a connection of its own: it opens a channel and closes it.

    Args:
        connection: of kombu, or a URL such as `amqp://app@rabbitmq//`.
    """
    return _KombuConnection(connection, library("kombu", "kombu", "kombu_connection"))


def queue_length(
    connection: Any, queue: str, *, warn_at: int | None = None, fail_at: int | None = None
) -> ReadyCheck:
    """Check how many messages wait in a queue, such as Celery's, `celery`.

    Args:
        connection: of kombu, or a URL; or `app.connection_for_read()` of Celery's app.
        queue: its name. A broker that has no such queue fails; Redis has none where nothing waits, and passes.
        warn_at: so many messages degrade readiness.
        fail_at: so many messages fail.

    Raises:
        ConfigError: neither bound is given.
    """
    if warn_at is None and fail_at is None:
        raise ConfigError("queue_length wants a bound: warn_at, fail_at or both")
    return _QueueLength(connection, library("kombu", "kombu", "queue_length"), queue, warn_at, fail_at)


def celery_workers(app: Any, *, at_least: int = 1) -> ReadyCheck:
    """Check that workers of Celery answer a ping.

    Args:
        app: Celery's app.
        at_least: so many must answer; the check asks no further when they have.
    """
    return _CeleryWorkers(app, library("kombu", "kombu", "celery_workers"), at_least)


class _KombuConnection(KeptConnection[Any]):
    component_type = DATASTORE

    def __init__(self, connection: Any, kombu: Any) -> None:
        super().__init__()
        self._connection = connection
        self._kombu = kombu

    def _open(self, seconds: float) -> Any:
        given = self._connection
        copy = self._kombu.Connection(given) if isinstance(given, str) else given.clone()
        limits = dict.fromkeys(_LIMITS.get(copy.transport.driver_type, ()), seconds)
        own = copy.clone(
            heartbeat=0,  # nobody would send any between two runs
            connect_timeout=seconds,
            transport_options={**copy.transport_options, **limits},
        )
        try:  # kombu has no way to try once: 0 is for ever in some of its releases
            own.ensure_connection(max_retries=1, interval_start=0, interval_step=0, interval_max=0)
        except BaseException:
            own.collect()
            raise
        return own

    def _ask(self, connection: Any, seconds: float) -> Any:
        connection.channel().close()

    def _hang_up(self, connection: Any) -> None:
        connection.collect()  # no goodbye, which a broker that hangs would not answer


class _QueueLength(_KombuConnection):
    def __init__(
        self, connection: Any, kombu: Any, queue: str, warn_at: int | None, fail_at: int | None
    ) -> None:
        super().__init__(connection, kombu)
        self._queue, self._warn_at, self._fail_at = queue, warn_at, fail_at

    def _ask(self, connection: Any, seconds: float) -> Result:
        with connection.channel() as channel:
            try:
                length = channel.queue_declare(queue=self._queue, passive=True).message_count
            except self._kombu.exceptions.ChannelError:
                if connection.transport.driver_type == "amqp":
                    raise
                length = 0  # the transport has only queues in which something is
        output = f"{length} messages wait in {self._queue}"
        warns = self._warn_at is not None and length >= self._warn_at
        fails = self._fail_at is not None and length >= self._fail_at
        return graded(length, "messages", output, warns=warns, fails=fails)


class _CeleryWorkers(_KombuConnection):
    component_type = COMPONENT

    def __init__(self, app: Any, kombu: Any, at_least: int) -> None:
        super().__init__(app.connection_for_write(), kombu)
        self._app, self._at_least = app, at_least

    def _ask(self, connection: Any, seconds: float) -> Result:
        mailbox = self._app.control.mailbox(connection)
        mailbox.producer_pool = None  # the app's own connections stay out of it
        answers = mailbox.multi_call(
            "ping", timeout=self.timeout_seconds * _ANSWERS_WITHIN, limit=self._at_least
        )
        output = f"{len(answers)} of {self._at_least} workers have answered"
        return graded(len(answers), "workers", output, warns=False, fails=len(answers) < self._at_least)
