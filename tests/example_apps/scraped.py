"""Real scrapers scrape the example services under load: what they have stored must be what the clients have counted.

    python -m tests.example_apps.scraped [--seconds 60] [--workers 2]     exit 1 where something differs

It wants Prometheus, promtool and VictoriaMetrics (scripts/fetch-debian-testing).
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import isclose, nan
from pathlib import Path

import httpx

from example_apps.demo import pages, plan, processes, services, traffic
from example_apps.demo.processes import Running
from example_apps.demo.traffic import Answer, Call, Hit
from example_apps.demo.waiting import until
from tests import scrapers
from tests.running import Server, free_port
from tests.scrapers import Target, Values

CLIENTS = 8
FIRST = 10_000  # no order before has such a number
UNTHROTTLED = {"TOKPULSE_REQUESTS_PER_SECOND": "100000", "TOKPULSE_MOST_WAITING": "100000"}
# What moves without a request: with time, with a run of a check, with a scrape, which asks the database of zerostate.
MOVES = (
    *("process_", "python_", "cpython_", "asyncio_", "telemetry_", "obs_", "active_users", "db_client_"),
    *("health_check", "zerostate_p2p_"),  # peers gossip
)
DURATION = "http_server_request_duration_seconds"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A number of a service that the clients know: the sum of the series of a name with these labels."""

    service: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()

    def of(self, values: Values) -> float:
        return scrapers.total(values, self.name, **dict(self.labels))

    def __str__(self) -> str:
        pairs = ", ".join(f'{label}="{value}"' for label, value in self.labels)
        return f"{self.service} {self.name}{{{pairs}}}"


def calls(number: int) -> list[Call]:
    """Give some calls to each service; no two numbers have the same order."""

    def call(service: str, method: str, path: str, route: str, status: int, json: object = None) -> Call:
        return Call(service, method, path, status, ((service, method, route, str(status)),), json=json)

    play = {"song_id": 1 + number % 6, "listener_id": f"fan-{number % 50}"}
    payment = {"payee": "node-4", "amount_units": 2}
    return [
        plan.chained_webhook(FIRST + number),
        plan.wrong_webhook(2 * FIRST + number),
        call("tokpulse", "GET", "/widgets/home?store_id=vinyl-cave", "/widgets/{surface}", 200),
        call("audotics", "POST", "/plays", "/plays", 201, play),
        call("audotics", "GET", f"/songs/{number % 6 + 1}", "/songs/<int:song_id>", 200),
        call("zerostate", "POST", "/guilds/rankers/payments/", "/guilds/<slug:name>/payments/", 201, payment),
        call("zerostate", "GET", "/guilds/rankers/", "/guilds/<slug:name>/", 200),
        call("utilityfog", "POST", "/messages", "/messages", 202, {"kind": "rebalance", "subject": "all"}),
        call("utilityfog", "GET", "/nowhere", "", 404),
    ]


def load(running: Mapping[str, Running], rounds: Iterator[int]) -> list[Answer]:
    """Send the calls of all rounds from several clients at once; each is of a trace that is kept, 1, 2 and so on."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        httpx.Client(trust_env=False, timeout=60.0, limits=limits) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):

        def send(call: Call, number: int) -> Answer:
            parent = f"00-{number:032x}-{number:016x}-01"
            return traffic.send(
                replace(call, headers={**call.headers, "traceparent": parent}), running, client
            )

        futures: list[Future[Answer]] = []
        numbers = itertools.count(1)
        for round_ in rounds:
            futures += [pool.submit(send, call, next(numbers)) for call in calls(round_)]
            if len(futures) > 3 * CLIENTS:
                futures[-3 * CLIENTS].result()  # not more wait than that
        return [future.result() for future in futures]


def wanted_of(answers: Sequence[Answer], *, chained: bool) -> Counter[Wanted]:
    """Give what these answers must have added to each number."""
    hits: Counter[Hit] = Counter()
    for answer in answers:
        assert answer.is_as_expected, f"{answer.call}: {answer.status} {answer.problem}"
        hits.update(hit for hit in answer.call.hits if chained or hit[0] == answer.call.service)
    found: Counter[Wanted] = Counter()
    for (service, method, route, status), count in hits.items():
        labels = {"http_request_method": method, "http_route": route, "http_response_status_code": status}
        found[_wanted(service, f"{DURATION}_count", **labels)] = count
        found[_wanted(service, f"{DURATION}_bucket", **labels, le="inf")] = count
        if service == "audotics":
            found[_wanted(service, "http_requests_total", method=method, path=route, status=status)] = count
        if service == "tokpulse":
            found[
                _wanted(service, "tokpulse_api_requests_total", method=method, route=route, code=status)
            ] = count
    orders = sum(answer.call.hits == plan.FULL_CHAIN for answer in answers)
    failed = hits["tokpulse", "POST", plan.WEBHOOK, "202"] - orders
    tasks = hits["zerostate", "POST", "/guilds/<slug:name>/tasks/", "200"]
    paid = hits["zerostate", "POST", "/guilds/<slug:name>/payments/", "201"]
    found[_wanted("tokpulse", "tokpulse_webhook_processed_total", status="ok")] = orders
    found[_wanted("tokpulse", "tokpulse_webhook_processed_total", status="failed")] = failed
    found[_wanted("audotics", "song_plays_total")] = hits["audotics", "POST", "/plays", "201"]
    found[_wanted("zerostate", "zerostate_tasks_total", status="completed")] = tasks
    found[_wanted("zerostate", "zerostate_receipts_total", status="verified")] = tasks
    found[_wanted("zerostate", "zerostate_payments_total", status="success")] = tasks + paid
    found[_wanted("utilityfog", "coordination_message_latency_seconds_count")] = hits[
        "utilityfog", "POST", "/messages", "202"
    ]
    return found


def _wanted(service: str, name: str, **labels: str) -> Wanted:
    return Wanted(service, name, tuple(labels.items()))


def targets_of(running: Mapping[str, Running]) -> list[Target]:
    return [
        Target(name, int(one.url.rpartition(":")[2]), one.service.metrics_path, services.METRICS_TOKEN)
        for name, one in running.items()
    ]


@contextmanager
def scraping(running: Mapping[str, Running], folder: Path, interval: str) -> Iterator[dict[str, Server]]:
    """Run both scrapers until the block ends; each has scraped all services when it begins."""
    targets = targets_of(running)
    with ExitStack() as stack:
        found = {}
        for run in (scrapers.prometheus, scrapers.victoria_metrics):
            own = folder / run.__name__
            own.mkdir()
            found[run.__name__] = stack.enter_context(run(targets, own, interval))
        for server in found.values():
            scrapers.wait_until_up(server, targets)
        yield found


def values_of(running: Mapping[str, Running]) -> dict[str, Values]:
    return {name: scrapers.on_page(page) for name, page in pages.read_all(running).items()}


def stored_in(server: Server, running: Mapping[str, Running]) -> dict[str, Values]:
    return {name: scrapers.stored(server, name) for name in running}


def wrong_in(
    server: Server, running: Mapping[str, Running], before: Mapping[str, Values], wanted: Counter[Wanted]
) -> list[str]:
    """Say what a scraper has stored otherwise than the clients have counted and the pages show, after some patience."""

    def look() -> list[str]:
        stored = stored_in(server, running)
        return [
            *_other_than_sent(stored, before, wanted),
            *(text for name, page in values_of(running).items() for text in _other_than(page, stored[name])),
        ]

    return until(look, lambda found: not found, patience_seconds=60.0)  # a busy machine misses scrapes


def _other_than_sent(
    stored: Mapping[str, Values], before: Mapping[str, Values], wanted: Counter[Wanted]
) -> Iterator[str]:
    for one, count in wanted.items():
        seen, sum_ = one.of(stored[one.service]), one.of(before[one.service]) + count
        if seen != sum_:
            yield f"{one}: {seen:.0f} for {sum_:.0f}"


def _other_than(page: Values, stored: Values) -> Iterator[str]:
    for (name, labels), value in page.items():
        if name.startswith(MOVES) or name.endswith("_created"):
            continue
        seen = stored.get((name, labels), nan)
        if not isclose(seen, value, rel_tol=1e-9):  # VictoriaMetrics keeps 12 digits
            yield f"{name}{dict(labels)}: {seen} for {value}"


def complaints(page: str) -> set[str]:
    """Return what `promtool check metrics` says of a page; names that are meant are left out."""
    done = subprocess.run(
        [str(scrapers.PROMTOOL), "check", "metrics"],
        input=page,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr  # 3: there are complaints
    return {line for line in done.stderr.splitlines() if not _is_meant(line)}


def _is_meant(complaint: str) -> bool:
    """Tell whether a complaint is about a name that is meant: its declaration says lint=False."""
    name, _, text = complaint.partition(" ")
    return (
        (name.startswith("tokpulse_") and "'camelCase'" in text)  # the label storeId
        or (name.startswith("tokpulse_widget_") and "abbreviated units" in text)
        or (name == "zerostate_guild_total" and '"_total" suffix' in text)
    )


def exemplars_of(prometheus: Server, job: str) -> list[dict[str, str]]:
    """Return the labels of the exemplars of durations that Prometheus has stored."""
    now = time.time()
    query = {"query": f'{DURATION}_bucket{{job="{job}"}}', "start": now - 3600, "end": now + 60}
    found = scrapers.ask(prometheus, "query_exemplars", **query)
    return [exemplar["labels"] for series in found for exemplar in series["exemplars"]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all services with several workers under load, and print what was counted and what is stored."""
    parser = argparse.ArgumentParser(prog="python -m tests.example_apps.scraped", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of each service (default: %(default)s)")
    parser.add_argument("--interval", default="1s", help="between two scrapes (default: %(default)s)")
    options = parser.parse_args(arguments)
    if missing := scrapers.missing():
        print(f"not here: {missing}. The cure: scripts/fetch-debian-testing", file=sys.stderr)
        return 2
    many = [
        replace(service, workers=options.workers, environment={**service.environment, **UNTHROTTLED})
        for service in services.SERVICES
    ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="obs-scraped-")))
        ports = {service.name: free_port() for service in many}
        running = stack.enter_context(processes.running(ports, folder, many))
        before = values_of(running)
        scraping_them = stack.enter_context(scraping(running, folder, options.interval))
        answers = load(running, rounds_for(options.seconds))
        return 1 if report(running, scraping_them, before, answers) else 0


def rounds_for(seconds: float) -> Iterator[int]:
    """Count rounds until the time is over."""
    end = time.monotonic() + seconds
    return itertools.takewhile(lambda _: time.monotonic() < end, itertools.count())


def report(
    running: Mapping[str, Running],
    servers: Mapping[str, Server],
    before: Mapping[str, Values],
    answers: Sequence[Answer],
) -> list[str]:
    """Print what both have stored beside what the clients have counted; return what is wrong."""
    wanted = wanted_of(answers, chained=True)
    wrong = [
        f"{name}: {text}"
        for name, server in servers.items()
        for text in wrong_in(server, running, before, wanted)
    ]
    stored = {name: stored_in(server, running) for name, server in servers.items()}
    print(f"{len(answers)} calls, {sum(len(answer.call.hits) for answer in answers)} requests\n")
    print(f"{'clients':>8}", *(f"{name:>16}" for name in servers), " number")
    for one, count in wanted.items():
        print(f"{count:8}", *(f"{one.of(stored[name][one.service]):16.0f}" for name in servers), f" {one}")
    for service, page in pages.read_all(running).items():
        values = scrapers.on_page(page)
        wrong += sorted(complaints(page))
        workers = pages.label_values(page, "process_start_time_seconds", "worker")
        exemplars = exemplars_of(servers["prometheus"], service)
        print(
            f"\n{service}: {len(values)} series, {len(workers)} workers, {len(exemplars)} exemplars stored",
            end="",
        )
    print(
        "\n\n"
        + ("\n".join(wrong) or "all are equal, and promtool complains about no name but those that are meant")
    )
    return wrong


if __name__ == "__main__":
    sys.exit(main())
