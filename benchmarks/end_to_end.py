"""Requests per second and p99 behind real servers: all of them up at once, loaded in turn, in interleaved rounds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from benchmarks import servers, steady
from benchmarks.scrape import SCRAPED
from benchmarks.scraper import Scraper
from benchmarks.servers import Server
from benchmarks.summary import summary
from benchmarks.variants import VARIANTS

_TRIES = 4
_WHOLE_CORE = (
    0.94  # a server that is loaded as much as it can bear gets 0.97 and more, if nobody else is there
)


class Contender(NamedTuple):
    """One server."""

    framework: str
    variant: str
    has_access_log: bool = False


# Of the contenders: ours between the two that it is compared with, for what else the machine does changes in seconds.
_TURNS = (2, 3, 1, 4, 0)
_METRICS = {"fastapi": "instrumentator", "flask": "flask-exporter"}


def contenders(framework: str) -> list[Contender]:
    """Return whom we load; ours replaces the server's access log, the assembled stack writes its own."""
    return [
        Contender(framework, "bare"),
        Contender(framework, "bare", has_access_log=True),
        Contender(framework, _METRICS[framework]),
        Contender(framework, "assembled-10"),
        Contender(framework, "ours-10"),
    ]


def measure(
    framework: str, *, rounds: int, seconds: float, report: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Return one row for each contender: medians of the rounds, and of what it was to the bare app of its round."""
    servers.check()
    chosen = contenders(framework)
    with ExitStack() as stack:
        running = [
            stack.enter_context(Server(one.framework, one.variant, has_access_log=one.has_access_log))
            for one in chosen
        ]
        for server in running:
            servers.load(server, seconds=1)
        runs = [
            {
                which: servers.load(running[which], seconds=seconds)
                for which in _TURNS[:: 1 if number % 2 else -1]
            }
            for number in range(rounds)
        ]
        for contender, server in zip(chosen, running, strict=True):
            _prove_log(contender, server)
    rows = []
    bare, logged = (
        [run[chosen.index(Contender(framework, "bare", has_log))] for run in runs]
        for has_log in (False, True)
    )
    for number, contender in enumerate(chosen):
        own = [run[number] for run in runs]
        row = {
            **contender._asdict(),
            **_medians(own),
            "to_bare": _medians(_quotients(own, bare)),
            "to_logged": _medians(_quotients(own, logged)),
        }
        rows.append(row)
        report(f"{running[number].name:<32}{row['rps']:8.0f} requests/s   p99 {row['p99_ms']:6.1f} ms")
    return rows


def measure_scraped(
    *, rounds: int, seconds: float, report: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Return one row for each way to serve a full registry: quiet, and while scraped back to back."""
    servers.check()
    rows = []
    with ExitStack() as stack:
        running = [stack.enter_context(Server("fastapi", variant, fill=fill)) for variant, fill, _ in SCRAPED]
        runs: list[list[dict[str, Any]]] = [[] for _ in SCRAPED]
        for _ in range(rounds):
            for (_, _, path), server, own in zip(SCRAPED, running, runs, strict=True):
                own.append(_undisturbed(server, path, seconds))
        for (variant, fill, _), own in zip(SCRAPED, runs, strict=True):
            quiet, scraped = (_medians([run[when] for run in own]) for when in ("quiet", "scraped"))
            share = min(_share(run[when]) for run in own for when in ("quiet", "scraped"))
            rows.append(
                {
                    "variant": variant,
                    "fill": fill,
                    "quiet": quiet,
                    "scraped": scraped,
                    "scrapes": summary([run["scrapes"] for run in own])["median"],
                }
            )
            report(
                f"{variant:<14}{fill:<16}quiet {quiet['rps']:.0f}/s p99 {quiet['p99_ms']:.1f} ms, "
                f"scraped {scraped['rps']:.0f}/s p99 {scraped['p99_ms']:.1f} ms, {rows[-1]['scrapes']:.0f} scrapes"
                + (f"; disturbed, got {share:.0%} of its core" if share < _WHOLE_CORE else "")
            )
    return rows


def _undisturbed(server: Server, path: str, seconds: float) -> dict[str, Any]:
    """Load a server quiet and then scraped; once more, some times, where others have used its core meanwhile."""
    for _ in range(_TRIES):
        quiet = steady.load(server, seconds=seconds)
        scraper = Scraper(server.port, path)
        scraped = steady.load(server, seconds=seconds, during=scraper)
        if min(_share(quiet), _share(scraped)) >= _WHOLE_CORE:
            break
    return {"quiet": quiet, "scraped": scraped, "scrapes": scraper.count}


def _share(run: dict[str, float]) -> float:
    """Return the share of its core that a server has got, which it keeps busy all the time."""
    return run["rps"] * run["cpu_us"] / 1e6


def _quotients(own: list[dict[str, float]], other: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return what each run was to the other of its round: what else the machine does meanwhile lasts for minutes."""
    return [
        {name: mine[name] / theirs[name] for name in mine} for mine, theirs in zip(own, other, strict=True)
    ]


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: summary([run[name] for run in runs])["median"] for name in ("rps", "p99_ms", "cpu_us")}


def _prove_log(contender: Contender, server: Server) -> None:
    """Raise where lines are missing, or are there and should not be."""
    lines = sum(1 for line in server.log.open("rb") if b"/r0/42" in line)
    wanted = contender.has_access_log or "line" in VARIANTS[contender.variant].tells
    if wanted != (lines > 1000):
        raise AssertionError(f"{server.name} has written {lines} access lines")
