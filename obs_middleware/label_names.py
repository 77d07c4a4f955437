"""How labels may be called: those of any metric, and those that an app adds to our HTTP metrics."""

from __future__ import annotations

import re

# Names that begin with two underscores are Prometheus' own: https://prometheus.io/docs/concepts/data_model/
_matches = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*").fullmatch
TAKEN_LABELS = (
    "le",
    "quantile",
    "http_request_method",
    "http_route",
    "http_response_status_code",
    "error_type",
)


def is_label_name(word: object) -> bool:
    """Tell whether a label may have this name."""
    return isinstance(word, str) and _matches(word) is not None


def may_be_added(word: object) -> bool:
    """Tell whether a label may have this name beside those of our HTTP metrics."""
    return is_label_name(word) and word not in TAKEN_LABELS
