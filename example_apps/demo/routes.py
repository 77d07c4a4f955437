"""The table of routes, read from the four metrics pages, and whether it says what was sent."""

from collections import Counter
from collections.abc import Mapping

from example_apps.demo import logs, pages
from example_apps.demo.pages import Route
from example_apps.demo.paper import Claim, Paper
from example_apps.demo.plan import EVENTS, RECOMMENDATIONS, WEBHOOK, WIDGET, WRONG_ORDERS
from example_apps.demo.processes import Running
from example_apps.demo.traffic import Hit
from example_apps.demo.waiting import until

QUEUE_SECONDS = 20.0  # that the jobs of the traffic take at most, those that fail and come again too
SLOW_SECONDS = 0.25  # a little less than a deep recommendation takes


def show(paper: Paper, services: Mapping[str, Running], sent: Counter[Hit]) -> list[Claim]:
    """Print the table, and compare it with the hits that were sent."""
    texts = until(
        lambda: pages.read_all(services),
        lambda found: pages.hits(found) == sent and not _waiting_jobs(found),
        QUEUE_SECONDS,
    )

    paper.heading("What the four metrics pages say")
    header = ["service", "method", "route", "count", "p50", "p95", "errors", "of which"]
    paper.table(header, [row for name in services for row in _rows(name, texts[name])], right=(3, 4, 5, 6))
    paper.line()
    paper.line("p50 and p95 in ms, estimated from the histogram's buckets as Prometheus would do it")
    return [
        *_claims_of_counts(texts, services, sent),
        *_claims_of_routes(texts),
        *_claims_of_own_metrics(texts, sent),
    ]


def _rows(service: str, page: str) -> list[list[str]]:
    found = sorted(pages.routes(page).items(), key=lambda item: (not item[0][1], item[0][1], item[0][0]))
    return [_row(service, method, template, route) for (method, template), route in found]


def _row(service: str, method: str, template: str, route: Route) -> list[str]:
    quantiles = [f"{1000 * route.quantile_seconds(quantile):.0f}" for quantile in (0.5, 0.95)]
    errors = ", ".join(f"{count} {error}" for error, count in sorted(route.errors.items()))
    error_count = str(sum(route.errors.values()) or "")
    return [service, method, template or "(no route)", str(route.count), *quantiles, error_count, errors]


def _claims_of_counts(
    texts: Mapping[str, str], services: Mapping[str, Running], sent: Counter[Hit]
) -> list[Claim]:
    counted = pages.hits(texts)
    logged = until(lambda: logs.hits(services), lambda found: found == sent)
    requests = sum(sent.values())
    return [
        Claim(
            f"the pages count all {requests} requests by method, route and status, as they were sent",
            counted == sent,
            _difference(counted, sent),
        ),
        Claim("the logs hold one access line for each of them", logged == sent, _difference(logged, sent)),
    ]


def _claims_of_routes(texts: Mapping[str, str]) -> list[Claim]:
    widgets = pages.route(texts["tokpulse"], "GET", WIDGET)
    events = pages.route(texts["tokpulse"], "GET", EVENTS)
    slow = pages.route(texts["audotics"], "GET", RECOMMENDATIONS)
    p95 = slow.quantile_seconds(0.95)
    return [
        Claim(
            "requests that failed are counted under the exception that failed them",
            widgets.errors == {"KeyError": widgets.statuses["500"]},
            str(dict(widgets.errors)),
        ),
        Claim(
            "clients that left half way are counted as such, with the status that they were sent",
            events.errors == {"client_disconnect": events.statuses["200"]},
            str(dict(events.errors)),
        ),
        Claim(
            "slow answers show in the p95 of their route",
            p95 > SLOW_SECONDS,
            f"{p95:.3f} s",
        ),
    ]


def _claims_of_own_metrics(texts: Mapping[str, str], sent: Counter[Hit]) -> list[Claim]:
    page = texts["tokpulse"]
    done, again, failed, rejected = (
        pages.total(page, "tokpulse_webhook_processed_total", status=status)
        for status in ("ok", "duplicate", "failed", "rejected")
    )
    tasks = pages.total(texts["zerostate"], "zerostate_tasks_total", status="completed")
    paid = pages.total(texts["zerostate"], "zerostate_receipts_total", status="verified")
    seen = (done + again, failed, rejected, tasks, paid)
    wanted = (
        sent["tokpulse", "POST", WEBHOOK, "202"] - WRONG_ORDERS,
        WRONG_ORDERS,
        sent["tokpulse", "POST", WEBHOOK, "401"],
        sent["utilityfog", "POST", "/messages", "202"],
        sent["utilityfog", "POST", "/messages", "202"],
    )
    return [
        Claim("the services' own metrics agree with that", seen == wanted, f"{seen} for {wanted}"),
        _claim_of_workers(texts["audotics"], sent["audotics", "POST", "/plays", "201"]),
    ]


def _claim_of_workers(page: str, sent: int) -> Claim:
    """Compare one scrape, which one of the workers has answered, with what all of them were sent."""
    workers = pages.label_values(page, "process_start_time_seconds", "worker")
    plays = pages.total(page, "song_plays_total")
    return Claim(
        f"one scrape of audotics, which runs two workers, counts all {sent} song plays",
        (len(workers), plays) == (2, sent),
        f"{plays:.0f} plays, workers {', '.join(sorted(workers)) or 'none'}",
    )


def _waiting_jobs(texts: Mapping[str, str]) -> float:
    return pages.total(texts["tokpulse"], "tokpulse_job_queue_size")


def _difference(seen: Counter[Hit], sent: Counter[Hit]) -> str:
    """Say which hits differ, the first few of them."""
    differing = [
        f"{seen[hit]} for {sent[hit]} of {' '.join(hit)}" for hit in seen | sent if seen[hit] != sent[hit]
    ]
    return "; ".join(differing[:5])
