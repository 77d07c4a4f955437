"""Log lines: JSON or for people, with the request's IDs and without secrets."""

from obs_middleware.logs.filters import ContextFilter, RedactingFilter
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.formatters.pretty import PrettyFormatter
from obs_middleware.logs.neighbours import LoguruPatcher, StructlogProcessor
from obs_middleware.logs.sentry import SentryScrubber

__all__ = [
    "ContextFilter",
    "JsonFormatter",
    "LoguruPatcher",
    "PrettyFormatter",
    "RedactingFilter",
    "SentryScrubber",
    "StructlogProcessor",
]
