"""Alerts go the whole way: services that fall sick, real Prometheus, real Alertmanager, and a receiver at the end.

The rules are the checked-in ones; their windows and waits are thirty times shorter. That takes most of a minute,
because an alert must wait and a window must fill.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from monitoring.stack import running as stack
from monitoring.stack.configs import Speed
from monitoring.stack.running import Stack
from tests import installed, programs, running
from tests.installed import ROOT
from tests.running import Server

pytestmark = [
    pytest.mark.once,
    pytest.mark.timeout(600),  # the first test has the start of all and both waits in it
    pytest.mark.skipif(
        bool(stack.missing()), reason=f"no {stack.missing()} here (scripts/fetch-debian-testing)"
    ),
]

SERVICES = ("tokpulse", "audotics", "zerostate", "utilityfog")
TOKEN = "a-secret-token"
LIMIT_SECONDS = 150.0  # a slow machine; elsewhere it takes a fifth of it

# Alert and service: what reaches a receiver, and what another alert explains.
NOTIFIED = {
    ("TargetDown", "utilityfog"),
    ("HighErrorRatio", "tokpulse"),
    ("HighLatency", "tokpulse"),
    ("ErrorBudgetBurn", "tokpulse"),
    ("CardinalityOverflow", "tokpulse"),
    ("ExporterFailing", "audotics"),
    ("InternalErrors", "audotics"),
    ("HealthComponentDegraded", "audotics"),
    ("HealthComponentDown", "zerostate"),
    ("NetworkPartition", "zerostate"),
    ("ExecutionErrorRate", "zerostate"),
    ("PaymentFailures", "zerostate"),
}
EXPLAINED = {("CollectionStopped", "utilityfog"), ("PeerMessagesFailing", "zerostate")}


def faster(seconds: float) -> float:
    return min(max(seconds / 30, 5), 15)


@dataclass
class Seen:
    """What was seen, in the calm and after it."""

    firing_in_the_calm: set[tuple[str, str]]
    notified_in_the_calm: list[dict[str, Any]]
    watched: Stack

    def notifications(self) -> list[dict[str, Any]]:
        return notifications(self.watched)

    def alerts(self) -> dict[tuple[str, str], str]:
        """Return the state of each alert that Alertmanager has: active, or suppressed."""
        found = json.loads(self.watched.alertmanager.get("/api/v2/alerts").body)
        return {
            (one["labels"]["alertname"], one["labels"]["service"]): one["status"]["state"] for one in found
        }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("alerts")
    with ExitStack() as running_all:
        services = {name: running_all.enter_context(service(name, folder)) for name in SERVICES}
        running_all.enter_context(traffic(list(services.values())))
        watched = running_all.enter_context(
            stack.watching(
                {name: f"127.0.0.1:{one.port}" for name, one in services.items()},
                folder,
                token=TOKEN,
                speed=Speed(scrape="2s", durations=faster),
                waits={"group_wait": "1s", "group_interval": "2s"},
            )
        )
        # In the calm: every alert has had the time to fire, the one with the longest `for` too.
        wait_until(lambda: query(watched, "min_over_time(timestamp(up)[60s:1s]) < time() - 17") == 4)
        calm = firing(watched), notifications(watched)
        for name in ("tokpulse", "audotics", "zerostate"):
            assert services[name].get("/sick", "POST").status == 200
        services["utilityfog"].process.kill()
        found = Seen(*calm, watched)
        with suppress(TimeoutError):  # the tests say what is missing
            wait_until(lambda: notified(watched) >= NOTIFIED and set(found.alerts()) >= EXPLAINED)
        yield found


def service(name: str, folder: Path) -> Any:
    own = folder / name
    own.mkdir()
    env = installed.clean() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "SERVICE": name}
    command = [sys.executable, "-m", "uvicorn", "--port", "{port}", "tests.real.alerting_app:app"]
    return running.serve([*command, "--log-level", "warning"], folder=own, env=env, ready="/health/live")


class traffic:
    """Send requests to all of them, some in a second, until the block ends."""

    def __init__(self, services: list[Server]) -> None:
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(one, path))
            for one in services
            for path in ("/work", "/slow", "/health/ready")
        ]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _send(self, one: Server, path: str) -> None:
        while not self._end.wait(0.1):
            with suppress(OSError, HTTPException):  # one of them is killed
                one.get(path)


def notifications(watched: Stack) -> list[dict[str, Any]]:
    return list(json.loads(watched.receiver.get("/alerts").body))


def notified(watched: Stack) -> set[tuple[str, str]]:
    return {
        (alert["labels"]["alertname"], alert["labels"]["service"])
        for one in notifications(watched)
        for alert in one["alerts"]
        if alert["status"] == "firing"
    }


def firing(watched: Stack) -> set[tuple[str, str]]:
    found = json.loads(watched.prometheus.get("/api/v1/alerts").body)["data"]["alerts"]
    return {
        (one["labels"]["alertname"], one["labels"]["service"]) for one in found if one["state"] == "firing"
    }


def query(watched: Stack, text: str) -> int:
    found = json.loads(watched.prometheus.get(f"/api/v1/query?query={quote(text)}").body)
    return len([one for one in found["data"]["result"] if one["metric"].get("job") in SERVICES])


def wait_until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not is_true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)


def test_in_the_calm_no_alert_fires(seen: Seen) -> None:
    true_here = {"FastPathOff"} if not installed.has_compiler() else set()
    assert {alert for alert, _ in seen.firing_in_the_calm} <= true_here
    assert {one["groupLabels"]["alertname"] for one in seen.notified_in_the_calm} <= true_here


@pytest.mark.parametrize(("alert", "service"), sorted(NOTIFIED))
def test_an_alert_goes_through_alertmanager_to_the_receiver(alert: str, service: str, seen: Seen) -> None:
    assert (alert, service) in notified(seen.watched), sorted(firing(seen.watched))


@pytest.mark.parametrize(("alert", "service"), sorted(EXPLAINED))
def test_what_another_alert_explains_fires_and_is_held_back(alert: str, service: str, seen: Seen) -> None:
    with suppress(TimeoutError):
        wait_until(lambda: seen.alerts().get((alert, service)) == "suppressed")
    assert seen.alerts().get((alert, service)) == "suppressed", sorted(firing(seen.watched))
    assert (alert, service) not in notified(seen.watched)


def test_the_pager_gets_all_that_one_service_breaks_in_one_notification(seen: Seen) -> None:
    def together() -> list[set[str]]:
        return [
            {alert["labels"]["alertname"] for alert in one["alerts"]}
            for one in seen.notifications()
            if one["receiver"] == "pager" and one["groupLabels"] == {"service": "zerostate"}
        ]

    wanted = {"NetworkPartition", "ExecutionErrorRate", "PaymentFailures", "HealthComponentDown"}
    with suppress(TimeoutError):
        wait_until(lambda: any(wanted <= alerts for alerts in together()))
    assert any(wanted <= alerts for alerts in together()), together()


def test_each_team_hears_of_its_alerts_and_the_pager_of_critical_ones_alone(seen: Seen) -> None:
    hear = {"pager", "team-agents", "team-platform"}
    wait_until(lambda: hear <= {one["receiver"] for one in seen.notifications()})
    heard = defaultdict(set)
    for one in seen.notifications():
        for alert in one["alerts"]:
            heard[one["receiver"]].add((alert["labels"]["team"], alert["labels"]["severity"]))
    assert {severity for _, severity in heard["pager"]} == {"critical"}
    assert {team for team, _ in heard["team-agents"]} == {"agents"}
    assert {team for team, _ in heard["team-platform"]} == {"platform"}
    assert "everybody" not in heard


def test_the_fast_window_of_the_error_budget_holds_the_slow_ones_back(seen: Seen) -> None:
    def states() -> dict[str, str]:
        return {
            one["labels"]["window"]: one["status"]["state"]
            for one in json.loads(seen.watched.alertmanager.get("/api/v2/alerts").body)
            if (one["labels"]["alertname"], one["labels"]["service"]) == ("ErrorBudgetBurn", "tokpulse")
        }

    wanted = {"1h": "active", "1d": "suppressed", "3d": "suppressed"}
    with suppress(TimeoutError):
        wait_until(lambda: wanted.items() <= states().items())
    assert wanted.items() <= states().items()


def test_each_notification_links_to_a_runbook_that_opens(seen: Seen) -> None:
    for one in seen.notifications():
        for alert in one["alerts"]:
            page = alert["annotations"]["runbook_url"].partition(":9099")[2]
            answer = seen.watched.receiver.get(page)
            assert answer.status == 200
            assert answer.body.decode().startswith(f"# {alert['labels']['alertname']}\n")


def test_the_command_of_a_runbook_silences_its_alert(seen: Seen) -> None:
    page = (ROOT / "docs/runbooks/PaymentFailures.md").read_text()
    _, _, words = next(line for line in page.splitlines() if "silence add" in line).partition("silence add ")
    options = words.replace('"$USER"', "me").replace('"why"', "a-test").split()
    url = f"--alertmanager.url=http://127.0.0.1:{seen.watched.alertmanager.port}"
    command = [str(programs.find("amtool")), url, "silence", "add", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: seen.alerts().get(("PaymentFailures", "zerostate")) == "suppressed")
