"""A scenario: real traffic and a real fault, then which metrics moved, and whether they moved as they should."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from example_apps.demo import pages, preflight, processes
from example_apps.demo.paper import Claim, Paper
from example_apps.demo.processes import Running
from example_apps.demo.services import SERVICES, Service, ports
from example_apps.demo.waiting import until

END_SECONDS = 30.0  # that the queues take at most, and the checks until they see that all is well again

Services = dict[str, Running]


@dataclass(frozen=True, slots=True)
class Series:
    """The sum of the series of a service that have a name and these labels."""

    service: str
    name: str
    labels: Mapping[str, str]

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return f"{self.name}{{{labels}}}" if labels else self.name

    def of(self, texts: Mapping[str, str]) -> float:
        return pages.total(texts[self.service], self.name, **self.labels)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a series should do, from before to after."""

    series: Series
    wants: str
    holds: Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    says: str
    services: tuple[str, ...]  # those that run
    play: Callable[
        [Services], list[Claim]
    ]  # sends the traffic, makes the fault, and says what it has seen itself
    expects: tuple[Expected, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1  # of each command beside a server


def series(service: str, name: str, **labels: str) -> Series:
    return Series(service, name, labels)


def grows(one: Series, by: float | None = None) -> Expected:
    """Expect so much more; without a number, anything more."""
    if by is None:
        return Expected(one, "more", lambda before, after: after > before)
    return Expected(one, f"{by:g} more", lambda before, after: after - before == by)


def stays(one: Series) -> Expected:
    return Expected(one, "as before", lambda before, after: after == before)


def ends_at(one: Series, value: float) -> Expected:
    return Expected(one, f"{value:g} in the end", lambda before, after: after == value)


def show(paper: Paper, scenario: Scenario, port_base: int) -> bool:
    """Play a scenario and print what moved; False if something that it claims did not hold."""
    wanted = {name: port for name, port in ports(port_base).items() if name in scenario.services}
    preflight.check_ports(wanted)
    paper.line(f"starting {', '.join(wanted)} …")
    chosen = [_set_for(scenario, service) for service in SERVICES if service.name in wanted]
    with (
        tempfile.TemporaryDirectory(prefix="obs-demo-") as directory,
        processes.running(wanted, Path(directory), chosen) as services,
    ):
        paper.heading(f"{scenario.name}: {scenario.says}")
        before = pages.read_all(services)
        claims = scenario.play(services)
        after = until(
            lambda: pages.read_all(services),
            lambda found: all(_has_held(one, before, found) for one in scenario.expects),
            END_SECONDS,
        )
    return show_ending(paper, scenario.expects, before, after, claims)


def show_ending(
    paper: Paper,
    expects: Sequence[Expected],
    before: Mapping[str, str],
    after: Mapping[str, str],
    claims: Sequence[Claim],
) -> bool:
    """Print what the series were and are, and the claims; tell whether all held."""
    rows = [
        [
            one.series.service,
            str(one.series),
            *(f"{one.series.of(texts):g}" for texts in (before, after)),
            one.wants,
            "" if _has_held(one, before, after) else "NOT",
        ]
        for one in expects
    ]
    paper.table(["service", "series", "before", "after", "wanted", ""], rows, right=(2, 3))
    paper.line()
    moved = [not row[-1] for row in rows]
    claims = [*claims, Claim(f"all {len(rows)} metrics moved as they should", all(moved))]
    for claim in claims:
        paper.claim(claim)
    return all(claim.held for claim in claims)


def _set_for(scenario: Scenario, service: Service) -> Service:
    environment = {**service.environment, **scenario.environment}
    return replace(service, environment=environment, beside=service.beside * scenario.workers)


def _has_held(one: Expected, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    return one.holds(one.series.of(before), one.series.of(after))
