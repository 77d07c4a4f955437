"""Metrics, traces, logs, request IDs and health for any Python web app, that agree with each other."""

from obs_middleware.errors import ConfigError
from obs_middleware.exchange import Exchange, Outcome, bind, current_exchange
from obs_middleware.observer import Observer
from obs_middleware.record import RequestRecord
from obs_middleware.reply import Reply
from obs_middleware.request import RequestInfo
from obs_middleware.settings import Settings
from obs_middleware.tracing.propagation import outgoing_headers
from obs_middleware.views import add_labels, leave_out

__all__ = [
    "ConfigError",
    "Exchange",
    "Observer",
    "Outcome",
    "Reply",
    "RequestInfo",
    "RequestRecord",
    "Settings",
    "add_labels",
    "bind",
    "current_exchange",
    "leave_out",
    "outgoing_headers",
]
