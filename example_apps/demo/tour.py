"""The tour: traffic, then one section after the other, then what held and what did not."""

from collections.abc import Mapping

from example_apps.demo import components, drain, plan, probes, redaction, routes, trace, traffic
from example_apps.demo.paper import Claim, Paper
from example_apps.demo.processes import Running
from example_apps.demo.services import HEALTH_TOKEN, METRICS_TOKEN


def show(paper: Paper, services: Mapping[str, Running]) -> bool:
    """Print the tour; False if something that it claims did not hold."""
    _show_urls(paper, services)
    claims = [*_claims_of_start(services), *_claims_of_access(services)]

    calls = plan.all_calls()
    paper.heading("Traffic")
    paper.line(f"{len(calls)} calls in {traffic.SECONDS:.0f} s: {traffic.kinds_of(calls)} …")
    claims += _claims_of_answers(traffic.send_all(calls, services))

    followed = plan.chained_webhook(900)
    claims += trace.show(paper, services, followed)
    claims += routes.show(paper, services, traffic.hits_of([*calls, followed]))
    claims += redaction.show(paper, services)
    claims += components.show(paper, services)
    claims += probes.show(paper, services)
    claims += drain.show(paper, services["utilityfog"])

    paper.heading("What held")
    for claim in claims:
        paper.claim(claim)
    held = sum(claim.held for claim in claims)
    paper.line()
    paper.line(f"{held} of {len(claims)} hold")
    return held == len(claims)


def show_what_to_try(paper: Paper, services: Mapping[str, Running]) -> None:
    tokpulse = services["tokpulse"]
    paper.heading("Yours to try, until Ctrl-C")
    paper.line(f"curl -i '{tokpulse.url}/widgets/home?store_id=vinyl-cave&token=secret'")
    paper.line(f"curl -H 'Authorization: Bearer {METRICS_TOKEN}' {tokpulse.metrics_url}")
    paper.line(f"curl -H 'Authorization: Bearer {HEALTH_TOKEN}' {services['zerostate'].url}/health/data")
    paper.line(f"curl '{services['audotics'].url}/recommendations/me?deep'")
    paper.line(f"curl -N {services['utilityfog'].url}/nodes/0/pulse")
    paper.line(f"tail -f {tokpulse.directory.parent}/*/{tokpulse.log.name}")


def _show_urls(paper: Paper, services: Mapping[str, Running]) -> None:
    paper.heading("Four services, each calls the next")
    rows = [
        [name, one.service.runs_on, str(one.service.workers), one.url, one.metrics_url]
        for name, one in services.items()
    ]
    paper.table(["service", "runs on", "workers", "url", "metrics"], rows, right=(2,))
    paper.line()
    paper.line("probes of each: /health/live  /health/ready  /health/startup")


def _claims_of_start(services: Mapping[str, Running]) -> list[Claim]:
    statuses = {name: one.get("/health/startup").status_code for name, one in services.items()}
    return [Claim("the startup probes of all four say 200", set(statuses.values()) == {200}, str(statuses))]


def _claims_of_access(services: Mapping[str, Running]) -> list[Claim]:
    tokpulse = services["tokpulse"]
    statuses = [
        tokpulse.get(tokpulse.service.metrics_path, token=token).status_code for token in ("", METRICS_TOKEN)
    ]
    return [
        Claim(
            "the metrics page of tokpulse is for those who have the token",
            statuses == [401, 200],
            f"{statuses}",
        )
    ]


def _claims_of_answers(answers: list[traffic.Answer]) -> list[Claim]:
    odd = [
        f"{answer.call}: {answer.status or answer.problem}" for answer in answers if not answer.is_as_expected
    ]
    return [Claim(f"all {len(answers)} calls were answered as they should be", not odd, "; ".join(odd[:5]))]
