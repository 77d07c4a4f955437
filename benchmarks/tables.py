"""Every part of a run as a table."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from benchmarks.apps import FRAMEWORKS
from benchmarks.markdown import number, table
from benchmarks.results import Results, added, cheapest, grown, instructed
from benchmarks.summary import ratio
from benchmarks.variants import METRICS_PEERS, VARIANTS

_FILLS = {
    "ours": "our metrics, 200 routes × 3 methods × 4 statuses",
    "ours-same-size": "our metrics, as many samples",
    "user": "a user's histogram, 200 × 3 × 4",
    "counters": "a user's counter, gauge and summary, 200 × 3 × 4 × 3",
}


def request_tables(results: Results) -> list[str]:
    """Return a table for each framework, number of routes, kind of response and exporter."""
    tables = ["## One request, in process"] if results.get("request") else []
    for (framework, routes, kind, exporter), rows in groupby(
        results.get("request") or [],
        key=lambda row: tuple(row[key] for key in ("framework", "routes", "kind", "exporter")),
    ):
        where = {"routes": routes, "kind": kind, "exporter": exporter}
        title = f"### {FRAMEWORKS[framework]}{'' if routes == 1 else f', {routes} routes, the last one hit'}"
        title += ", a stream of 100 chunks" if kind == "stream" else ""
        title += ", spans encoded and sent" if exporter == "otlp" else ""
        tables.append(f"{title}\n\n{_request_table(results, framework, list(rows), where)}")
    return tables


def _request_table(
    results: Results, framework: str, rows: list[dict[str, Any]], where: dict[str, Any]
) -> str:
    to = {**where, "exporter": "drop"}  # they make no spans
    no_op, metrics = added(results, framework, "no-op", **to), cheapest(results, framework, **to)
    lines = []
    for row in rows:
        spread = row["added_us"]
        lines.append(
            [
                VARIANTS[row["variant"]].label,
                number(spread["median"]),
                f"{number(spread['low'])} to {number(spread['high'])}",
                number(row["bare_us"]),
                _thousands(results, row),
                *(
                    number(ratio(spread["median"], other), digits=2)
                    for other in (row["bare_us"], no_op, metrics)
                ),
            ]
        )
    return table(
        [
            "",
            "adds µs",
            "quartiles",
            "bare µs",
            "adds 1000 instructions",
            "÷ bare",
            "÷ no-op",
            "÷ cheapest metrics",
        ],
        lines,
    )


def _thousands(results: Results, row: dict[str, Any]) -> str:
    if row["exporter"] != "drop":
        return number(None)
    where = {"routes": row["routes"], "kind": row["kind"]}
    count = instructed(results, row["framework"], row["variant"], **where)
    return number(None if count is None else count / 1000)


def _against_table(results: Results) -> str:
    """Return what ours adds now and in the earlier commit."""
    keys = ("framework", "kind", "routes")
    places = dict.fromkeys(
        tuple(row[key] for key in keys) for row in results.get("request", ()) if row["exporter"] == "drop"
    )
    rows = []
    for framework, kind, routes in places:
        where: dict[str, Any] = {"kind": kind, "routes": routes}
        for percent in (10, 100):
            now, before = f"ours-{percent}", f"before-{percent}"
            times = [added(results, framework, name, **where) for name in (before, now)]
            counts = [instructed(results, framework, name, **where) for name in (before, now)]
            if times[0] is None:
                continue
            name = f"{FRAMEWORKS[framework]}, {percent} %"
            name += ", a stream" if kind == "stream" else "" if routes == 1 else f", {routes} routes"
            thousands = [None if count is None else count / 1000 for count in counts]
            cells = [*times, ratio(times[1], times[0]), *thousands, ratio(counts[1], counts[0])]
            rows.append(
                [name, *(number(cell, digits=2 if at in (2, 5) else 1) for at, cell in enumerate(cells))]
            )
    head = ["what ours adds", "before µs", "now µs", "now ÷ before"]
    return table([*head, "before 1000 instructions", "now", "now ÷ before"], rows) if rows else ""


def other_tables(results: Results) -> list[str]:
    """Return what else was measured."""
    makers = {
        "against": ("Now ÷ before", _against_table),
        "request": ("With 200 routes ÷ with 1 route", _flat_table),
        "server": ("Behind a server, one worker, under wrk", _server_table),
        "pages": ("The metrics page", _page_table),
        "stalls": ("The event loop while the page is scraped", _stall_table),
        "scraped": ("uvicorn while the page is scraped back to back", _scraped_table),
        "memory": ("Memory over the bare app, MB resident", _memory_table),
        "series": ("Series after unknown paths and methods", _series_table),
        "garbage": ("The garbage collector in 10 000 requests", _garbage_table),
    }
    made = ((title, make(results)) for part, (title, make) in makers.items() if results.get(part))
    return [f"## {title}\n\n{text}" for title, text in made if text]


def _flat_table(results: Results) -> str:
    shown = {
        framework: label
        for framework, label in FRAMEWORKS.items()
        if _flatness(results, framework, "ours-10")
    }
    rows = [
        [
            VARIANTS[name].label,
            *(number(_flatness(results, framework, name), digits=2) for framework in shown),
        ]
        for name in ("request-id", *METRICS_PEERS, "assembled-10", "ours-10")
    ]
    return table(["what is added", *shown.values()], rows)


def _flatness(results: Results, framework: str, variant: str) -> float | None:
    return ratio(added(results, framework, variant, routes=200), added(results, framework, variant))


def _server_table(results: Results) -> str:
    rows = []
    for row in results["server"]:
        name = f"{FRAMEWORKS[row['framework']]}, {VARIANTS[row['variant']].label}"
        name += ", the server's access log" if row["has_access_log"] else ""
        rows.append(
            [
                name,
                f"{row['rps']:.0f}",
                number(row["to_bare"]["rps"], digits=2),
                number(row["p99_ms"]),
                number(row["cpu_us"]),
            ]
        )
    return table(["", "requests/s", "÷ bare", "p99 ms", "server's CPU µs per request"], rows)


def _page_table(results: Results) -> str:
    rows = [
        [
            f"{_FILLS[row['fill']]}{', gzip' if row['gzip'] else ''}",
            str(row["ours"]["samples"]),
            number(row["theirs"]["ms"]),
            number(row["ours"]["ms"]),
            number(row["ours"]["first_ms"]),
            number(ratio(row["theirs"]["ms"], row["ours"]["ms"]), digits=2),
            f"{row['ours']['bytes'] / 1e6:.2f}",
        ]
        for row in results["pages"]
    ]
    return table(
        ["", "samples", "prometheus-client ms", "ours ms", "ours, first ms", "times faster", "MB"], rows
    )


def _stall_table(results: Results) -> str:
    rows = [
        [_scraped_name(row), number(row["quiet_ms"], digits=2), number(row["longest_ms"], digits=2)]
        for row in results["stalls"]
    ]
    return table(["", "longest stall ms, quiet", "while scraped"], rows)


def _scraped_table(results: Results) -> str:
    rows = [
        [
            _scraped_name(row),
            *(f"{row[when]['rps']:.0f}" for when in ("quiet", "scraped")),
            *(number(row[when]["p99_ms"]) for when in ("quiet", "scraped")),
            number(ratio(row["scraped"]["p99_ms"], row["quiet"]["p99_ms"]), digits=2),
        ]
        for row in results["scraped"]
    ]
    return table(["", "requests/s, quiet", "scraped", "p99 ms, quiet", "scraped", "÷ quiet"], rows)


def _scraped_name(row: dict[str, Any]) -> str:
    return f"{VARIANTS[row['variant']].label}: {_FILLS[row['fill']]}"


def _memory_table(results: Results) -> str:
    rows = [
        [
            f"{FRAMEWORKS[row['framework']]}, {VARIANTS[row['variant']].label}",
            *(
                number(grown(results, row["framework"], row["variant"], when=when))
                for when in ("import", "first", "after", "page")
            ),
        ]
        for row in results["memory"]
        if row["variant"] != "bare"
    ]
    count = results["memory"][0]["requests"]
    return table(
        [
            "",
            "imported",
            "first request",
            f"after {count} requests, 1000 routes, 10 000 unknown paths",
            "and a metrics page",
        ],
        rows,
    )


def _series_table(results: Results) -> str:
    rows = [
        [
            f"{FRAMEWORKS[row['framework']]}, {VARIANTS[row['variant']].label}",
            str(row["before"]),
            str(row["after"]),
        ]
        for row in results["series"]
    ]
    return table(
        ["samples on the page", "after one of each", f"after {results['series'][0]['unknown']} of each"], rows
    )


def _garbage_table(results: Results) -> str:
    rows = [
        [
            f"{FRAMEWORKS[row['framework']]}, {VARIANTS[row['variant']].label}",
            *(str(count) for count in row["collections"]),
            number(row["longest_ms"]),
        ]
        for row in results["garbage"]
    ]
    return table(["collections of generation", "0", "1", "2", "longest pause ms"], rows)
