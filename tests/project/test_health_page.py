"""The code of docs/health.md does what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.core.support import python

pytestmark = pytest.mark.once

TEXT = (Path(__file__).parents[2] / "docs/health.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
# No check is late on a busy machine.
PATIENT = """
from obs_middleware.health.registry import Health
for add in (Health.add, Health.check):
    add.__kwdefaults__["timeout_seconds"] = 60.0
"""


def test_first_app_answers_as_the_page_says() -> None:
    ask = """
from starlette.testclient import TestClient
with TestClient(app) as client:
    bearer = {"Authorization": "Bearer health-token"}
    while "no answer yet" in client.get("/health/ready", headers=bearer).text:  # on a busy machine
        pass
    for path, headers in (("/health/ready", {}), ("/health/ready", bearer), ("/health/orders/mail", {})):
        print(client.get(path, headers=headers).text)
"""
    env = {"OBS_LOG_SETUP": "false", "PYTHONWARNINGS": "ignore", "OBS_HEALTH_TOKEN": "health-token"}
    silent = "import logging\nlogging.disable()\n"
    printed = python(silent + PATIENT + BLOCKS[0] + ask, env=env)
    public, private, mail = map(json.loads, printed.splitlines())
    shown = re.findall(r"^(\{.*\})$", TEXT, re.MULTILINE)
    assert [public, mail] == [json.loads(shown[0]), {"status": "warn"}]
    assert without_times(private) == without_times(json.loads(shown[1]))


def without_times(answer: dict[str, object]) -> str:
    return re.sub(r'"time": "[^"]*"|\d+\.\d+', "", json.dumps(answer))


def test_listener_is_told() -> None:
    ask = """
import logging, threading
logging.disable()
from obs_middleware import RequestInfo
told = threading.Event()
observer.health.on_change(lambda _: told.set())  # after the one above
observer.health.add("database", lambda: False)
observer.gateway.reply(RequestInfo("GET", "/health", "", "http", {}.get), "/health")
told.wait(60)
"""
    assert python(PATIENT + BLOCKS[1] + ask) == "database unknown fail returned False\n"
