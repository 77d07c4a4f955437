"""What was sent beside what the log says of it; and that no secret is in any log file or metrics page."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from example_apps.demo import logs, pages
from example_apps.demo.logs import Line
from example_apps.demo.paper import Claim, Paper
from example_apps.demo.plan import BEARER, EMAIL, SECRETS, TOKEN, order, signed
from example_apps.demo.processes import Running
from example_apps.demo.services import HEALTH_TOKEN, METRICS_TOKEN
from example_apps.demo.waiting import until

ORDER = order(1000, total=1.0)  # the total is wrong: its job fails, and the exception names the buyer
WIDGET = f"/widgets/cart?store_id=tape-heads&email={EMAIL}&token={TOKEN}"
SHOPPER = f"/shoppers/{EMAIL}"

Row = tuple[str, str, str]


def show(paper: Paper, services: Mapping[str, Running]) -> list[Claim]:
    """Send secrets, print what the log made of them, and look for them in everything that was written."""
    tokpulse = services["tokpulse"]
    received = _line_of(tokpulse, "POST", "/webhooks/orders-paid", lambda line: "order" in line)
    failed = until(lambda: _exception_line(tokpulse), bool)
    widget = _line_of(tokpulse, "GET", WIDGET, lambda line: "widget" in str(line["message"]))
    shopper = _line_of(tokpulse, "GET", SHOPPER, logs.is_access)
    rows = [*_order_rows(received), *_text_rows(failed, widget, shopper)]

    paper.heading("What was sent, and what the log says of it")
    paper.table(["", "sent", "in the log"], rows, longest=44)
    paper.line()
    paper.line("the log line of the order, whole:")
    paper.block(json.dumps(received, ensure_ascii=False))
    return _claims(rows, services)


def _line_of(service: Running, method: str, path: str, is_wanted: Callable[[Line], bool]) -> Line:
    """Send a request and find the wanted line in the log by the ID that the response carries."""
    content, signature = signed(ORDER)
    response = httpx.request(
        method,
        service.url + path,
        content=content if method == "POST" else None,
        headers={"Authorization": BEARER, **signature},
        trust_env=False,
        timeout=10.0,
    )
    request_id = response.headers.get("X-Request-ID")

    def wanted() -> list[Line]:
        lines = logs.lines_of(service)
        return [line for line in lines if line.get("request_id") == request_id and is_wanted(line)]

    return (until(wanted, bool) or [{}])[0]


def _exception_line(service: Running) -> Line:
    """Find the line of the order that failed, whoever logged it."""
    lines = [line for line in logs.lines_of(service) if str(ORDER["order_id"]) in str(line.get("exception"))]
    return lines[0] if lines else {}


def _order_rows(received: Line) -> Iterator[Row]:
    logged = received.get("order", {})
    for key in ("order_id", "note"):
        yield f"order.{key}", ORDER[key], str(logged.get(key))
    for key, value in ORDER["customer"].items():
        yield f"order.customer.{key}", value, str(logged.get("customer", {}).get(key))


def _text_rows(failed: Line, widget: Line, shopper: Line) -> Iterator[Row]:
    exception: dict[str, Any] = failed.get("exception") or {}
    message = f"order {ORDER['order_id']} of {EMAIL}: its lines make {sum(ORDER['lines']):.2f}, not 1.00"
    yield "message of the ValueError", message, str(exception.get("message"))
    yield from _query_rows(str(widget.get("message")))
    yield "path of a request", SHOPPER, str(shopper.get("path"))


def _query_rows(message: str) -> Iterator[Row]:
    logged = parse_qs(urlsplit(message).query)
    for key, (value,) in parse_qs(urlsplit(WIDGET).query).items():
        yield f"URL in a message, {key}=", value, ", ".join(logged.get(key, []))


def _claims(rows: list[Row], services: Mapping[str, Running]) -> list[Claim]:
    written = {
        **{f"log of {name}": service.log.read_text() for name, service in services.items()},
        **{f"metrics of {name}": page for name, page in pages.read_all(services).items()},
    }
    secrets = (*SECRETS, METRICS_TOKEN, HEALTH_TOKEN)
    leaks = [
        f"{secret!r} in the {place}"
        for secret in secrets
        for place, text in written.items()
        if secret in text
    ]
    kept, hidden = rows[0], [row for row in rows if any(secret in row[1] for secret in SECRETS)]
    unmarked = [name for name, _, logged in hidden if "REDACTED" not in logged]
    return [
        Claim("no secret that was sent is in any log file or metrics page", not leaks, "; ".join(leaks[:5])),
        Claim(
            "each is marked REDACTED where it was, and the rest of the line is kept",
            not unmarked and kept[1] == kept[2],
            ", ".join(unmarked) or str(kept),
        ),
    ]
