"""The probes of a service whose database goes away for a while, and comes back."""

import time
from collections.abc import Mapping
from typing import Any

from example_apps.demo.paper import Claim, Paper
from example_apps.demo.processes import Running
from example_apps.demo.services import HEALTH_TOKEN
from example_apps.demo.waiting import until

PROBES = ("live", "ready", "startup")

Answers = dict[str, int]


def show(paper: Paper, services: Mapping[str, Running]) -> list[Claim]:
    """Take the database of tokpulse away, put it back, and print what the probes answer."""
    tokpulse = services["tokpulse"]
    away = tokpulse.database.with_suffix(".away")
    stages = [("all is well", *_watch(tokpulse, ready=200))]
    tokpulse.database.rename(away)
    try:
        stages.append(("its database file is taken away", *_watch(tokpulse, ready=503)))
    finally:
        away.rename(tokpulse.database)
    stages.append(("the file is put back", *_watch(tokpulse, ready=200)))

    paper.heading("The probes of tokpulse while its database is gone")
    header = ["", *PROBES, "seen after", "check database", "check audotics"]
    paper.table(header, [_row(*stage) for stage in stages], longest=32)
    paper.line()
    paper.line("what the checks say is for those who have the health token; others are answered")
    paper.line(f"GET {tokpulse.url}/health/ready  {tokpulse.get('/health/ready').text}")
    return _claims([answers for _, answers, _, _ in stages], tokpulse)


def _watch(service: Running, *, ready: int) -> tuple[Answers, float, dict[str, Any]]:
    """Wait until the ready probe answers so; give all answers, the time that it took, and the details."""
    began = time.monotonic()
    answers = until(lambda: _answers(service), lambda seen: seen["ready"] == ready)
    seconds = time.monotonic() - began
    return answers, seconds, service.get("/health/ready", token=HEALTH_TOKEN).json().get("checks", {})


def _answers(service: Running) -> Answers:
    return {probe: service.get(f"/health/{probe}").status_code for probe in PROBES}


def _row(stage: str, answers: Answers, seconds: float, checks: dict[str, Any]) -> list[str]:
    details = [_detail(checks.get(name, [{}])[0]) for name in ("database", "audotics")]
    return [stage, *(str(answers[probe]) for probe in PROBES), f"{seconds:.1f} s", *details]


def _detail(check: dict[str, Any]) -> str:
    status = str(check.get("status", "-"))
    return f"{status}: {check['output']}" if "output" in check else status


def _claims(answers: list[Answers], service: Running) -> list[Claim]:
    ready = [answer["ready"] for answer in answers]
    live = [answer["live"] for answer in answers]
    without, with_token = (
        service.get("/health/ready").json(),
        service.get("/health/ready", token=HEALTH_TOKEN).json(),
    )
    return [
        Claim(
            "ready says 200, 503 while the database is gone, and 200 again",
            ready == [200, 503, 200],
            str(ready),
        ),
        Claim("live says 200 all the time: a restart would not help", live == [200, 200, 200], str(live)),
        Claim(
            "details of the checks are for those who have the token",
            "checks" not in without and "checks" in with_token,
            f"without {without}, with {with_token}",
        ),
    ]
