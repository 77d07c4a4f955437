"""Metrics, traces, logs, request IDs and health for any Python web app, that agree with each other."""

from obs_middleware.endpoints import Reply
from obs_middleware.exchange import Exchange, Outcome, bind, current_exchange
from obs_middleware.logs.context import ContextFilter, RedactingFilter
from obs_middleware.logs.formatter import JsonFormatter
from obs_middleware.observer import Observer
from obs_middleware.request import RequestInfo
from obs_middleware.settings import ConfigError, Settings
from obs_middleware.tracing.propagation import outgoing_headers

__all__ = [
    "ConfigError",
    "ContextFilter",
    "Exchange",
    "JsonFormatter",
    "Observer",
    "Outcome",
    "RedactingFilter",
    "Reply",
    "RequestInfo",
    "Settings",
    "bind",
    "current_exchange",
    "outgoing_headers",
]
