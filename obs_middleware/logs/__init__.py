"""Log lines: JSON or for people, with the request's IDs and without secrets."""

from obs_middleware.logs.filters import ContextFilter, RedactingFilter
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.formatters.pretty import PrettyFormatter

__all__ = ["ContextFilter", "JsonFormatter", "PrettyFormatter", "RedactingFilter"]
