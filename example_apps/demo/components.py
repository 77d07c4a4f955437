"""What the services say of the parts that they depend on, to who has the health token."""

from collections.abc import Mapping
from typing import Any

from example_apps.demo.paper import Claim, Paper
from example_apps.demo.processes import Running
from example_apps.demo.services import HEALTH_TOKEN
from example_apps.demo.waiting import until

DEGRADED = {"coordination of utilityfog": "warn"}  # the traffic has put a node to sleep

Checks = dict[str, dict[str, Any]]  # by component


def show(paper: Paper, services: Mapping[str, Running]) -> list[Claim]:
    """Print the components of each service."""
    found = until(
        lambda: {name: _of(one) for name, one in services.items()}, lambda seen: _degraded(seen) == DEGRADED
    )
    paper.heading("The parts of each service")
    rows = [
        [service, component, check["status"], _observed(check), check.get("output", "")]
        for service, checks in found.items()
        for component, check in checks.items()
    ]
    paper.table(["service", "component", "status", "observed", "output"], rows, longest=40)
    degraded = _degraded(found)
    return [
        Claim(
            "a node that was put to sleep degrades utilityfog, which stays ready; all other parts work",
            degraded == DEGRADED,
            str(degraded),
        )
    ]


def _of(service: Running) -> Checks:
    checks = service.get("/health/ready", token=HEALTH_TOKEN).json().get("checks", {})
    return {component: check for component, (check,) in checks.items()}


def _observed(check: dict[str, Any]) -> str:
    return f"{check['observedValue']:g} {check['observedUnit']}" if "observedValue" in check else ""


def _degraded(found: Mapping[str, Checks]) -> dict[str, str]:
    """Give the status of what does not pass; a disk that is nearly full is the machine's own."""
    return {
        f"{component} of {service}": check["status"]
        for service, checks in found.items()
        for component, check in checks.items()
        if check["status"] != "pass" and component != "disk"
    }
