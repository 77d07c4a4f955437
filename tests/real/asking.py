"""Questions to a Prometheus that a test has started."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.running import Server


def ask(prometheus: Server, path: str, **query: Any) -> Any:
    answer = json.loads(prometheus.get(f"/api/v1/{path}?{urlencode(query)}").body)
    assert answer["status"] == "success", answer
    return answer["data"]


def eventually(ask_once: Callable[[], Any]) -> Any:
    """Ask until there is an answer: the first scrape takes its time."""
    deadline = time.monotonic() + 15
    while not (found := ask_once()):
        assert time.monotonic() < deadline, "Prometheus has found nothing"
        time.sleep(0.1)
    return found
