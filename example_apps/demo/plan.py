"""The calls of the tour: good, slow, failing, unknown, left half way, and full of what no log should hold."""

import json
import random
from typing import Any

from example_apps.demo.traffic import Call, Hit
from example_apps.tokpulse import signatures

EMAIL = "jane.roe@example.com"
CARD = "4111 1111 1111 1111"
PASSWORD = "correct-horse-battery"
TOKEN = "tok_9f8e7d6c5b4a3210"
BEARER = "Bearer shop-secret-1f2e3d4c"
SECRETS = (EMAIL, CARD, CARD.replace(" ", ""), PASSWORD, TOKEN, BEARER.removeprefix("Bearer "))

STORES = ("vinyl-cave", "north-records", "tape-heads")

WRONG_ORDERS = 5
WEBHOOK = "/webhooks/{topic}"
WIDGET = "/widgets/{surface}"
EVENTS = "/stores/{store_id}/events"
RECOMMENDATIONS = "/recommendations/<listener_id>"
RECOMMENDATION_CHAIN: tuple[Hit, ...] = (
    ("audotics", "GET", RECOMMENDATIONS, "200"),
    ("zerostate", "POST", "/guilds/<slug:name>/tasks/", "200"),
    ("utilityfog", "POST", "/messages", "202"),
)
FULL_CHAIN: tuple[Hit, ...] = (("tokpulse", "POST", WEBHOOK, "202"), *RECOMMENDATION_CHAIN)


def order(number: int, *, total: float | None = None) -> dict[str, Any]:
    """Build what a shop sends of an order, with more of its buyer than any log should ever hold."""
    lines = [9.5, 12.0, float(number % 7)]
    return {
        "order_id": f"order-{number}",
        "store_id": STORES[number % len(STORES)],
        "lines": lines,
        "total": sum(lines) if total is None else total,
        "customer": {"email": EMAIL, "credit_card": CARD, "password": PASSWORD, "country": "NZ"},
        "note": f"write to {EMAIL} if card {CARD} is refused",
    }


def chained_webhook(number: int) -> Call:
    """Build the webhook of a new order, which goes through all four services."""
    return _webhook(number, FULL_CHAIN)


def repeated_webhook(number: int) -> Call:
    """Build a webhook that comes a second time, and so goes no further than tokpulse."""
    return _webhook(number, FULL_CHAIN[:1])


def wrong_webhook(number: int) -> Call:
    """Build the webhook of an order whose lines do not make its total: it is queued, and a worker fails on it."""
    return _webhook(number, FULL_CHAIN[:1], total=1.0)


def _webhook(number: int, hits: tuple[Hit, ...], *, total: float | None = None) -> Call:
    content, signature = signed(order(number, total=total))
    headers = {"Authorization": BEARER, **signature}
    path = f"/webhooks/orders-paid?token={TOKEN}"
    return Call("tokpulse", "POST", path, 202, hits, content=content, headers=headers)


def signed(body: object, topic: str = "orders-paid") -> tuple[bytes, dict[str, str]]:
    """Give the bytes of a webhook, and the header that a shop signs them with."""
    content = json.dumps(body).encode()
    return content, {signatures.HEADER: signatures.signature_of(topic, content)}


def all_calls() -> list[Call]:
    """Give all calls of the tour, in an order that is mixed but the same each time."""
    calls = [*_to_tokpulse(), *_to_audotics(), *_to_zerostate(), *_to_utilityfog(), *_of_scanners()]
    random.Random(7).shuffle(calls)
    return calls


def _to_tokpulse() -> list[Call]:
    def call(method: str, path: str, route: str, status: int, **options: Any) -> Call:
        return Call("tokpulse", method, path, status, (("tokpulse", method, route, str(status)),), **options)

    widget = f"/widgets/home?store_id={{store}}&email={EMAIL}&access_token={TOKEN}"
    return [
        *(chained_webhook(number) for number in range(24)),
        *(repeated_webhook(number) for number in range(4)),
        *(wrong_webhook(number) for number in range(100, 100 + WRONG_ORDERS)),
        *[call("POST", "/webhooks/orders-lost", WEBHOOK, 422, json=order(200))] * 3,
        *[call("POST", "/webhooks/orders-paid", WEBHOOK, 401, json=order(201))] * 3,
        *(call("GET", widget.format(store=store), WIDGET, 200) for store in STORES * 10),
        *[call("GET", "/widgets/cart?store_id=tape-heads&currency=XTS", WIDGET, 500)] * 5,
        *[call("GET", "/shoppers/nobody+" + EMAIL, "/shoppers/{email}", 404)] * 3,
        *[call("GET", "/stores/vinyl-cave/events", EVENTS, 200, leaves=True)] * 4,
    ]


def _to_audotics() -> list[Call]:
    def call(method: str, path: str, route: str, status: int, **options: Any) -> Call:
        return Call("audotics", method, path, status, (("audotics", method, route, str(status)),), **options)

    deep = Call("audotics", "GET", "/recommendations/night-owl?deep", 200, RECOMMENDATION_CHAIN)
    return [
        *(call("GET", f"/songs/{number % 6 + 1}", "/songs/<int:song_id>", 200) for number in range(20)),
        *(
            call(
                "POST",
                "/plays",
                "/plays",
                201,
                json={"song_id": 1 + number % 6, "listener_id": f"fan-{number}"},
            )
            for number in range(12)
        ),
        *[call("POST", "/plays", "/plays", 404, json={"song_id": 99, "listener_id": "fan"})] * 3,
        *[deep] * 5,
    ]


def _to_zerostate() -> list[Call]:
    def call(method: str, path: str, route: str, status: int, **options: Any) -> Call:
        return Call(
            "zerostate", method, path, status, (("zerostate", method, route, str(status)),), **options
        )

    def pay(amount_units: int, status: int) -> Call:
        payment = {"payee": "node-4", "amount_units": amount_units}
        return call(
            "POST", "/guilds/rankers/payments/", "/guilds/<slug:name>/payments/", status, json=payment
        )

    trap = {"program": "mean", "values": []}
    return [
        *[call("GET", "/guilds/rankers/", "/guilds/<slug:name>/", 200)] * 12,
        *(call("POST", "/guilds/", "/guilds/", 201, json={"name": f"guild-{number}"}) for number in range(3)),
        *[pay(25, 201)] * 4,
        *[pay(2_000_000_000, 402)] * 3,
        *[call("POST", "/guilds/rankers/tasks/", "/guilds/<slug:name>/tasks/", 500, json=trap)] * 3,
    ]


def _to_utilityfog() -> list[Call]:
    def call(method: str, path: str, route: str, status: int, **options: Any) -> Call:
        return Call(
            "utilityfog", method, path, status, (("utilityfog", method, route, str(status)),), **options
        )

    node = "/nodes/{node_id}"
    return [
        *(call("GET", f"/nodes/{number % 13}", node, 200) for number in range(20)),
        *[call("GET", "/nodes/99", node, 404)] * 3,
        *[call("PUT", "/nodes/12/state", f"{node}/state", 204, json={"state": "asleep"})] * 2,
        *[call("GET", "/nodes/0/pulse", f"{node}/pulse", 200, leaves=True)] * 2,
    ]


def _of_scanners() -> list[Call]:
    """Paths that nobody has: however many, they are one series a service."""
    return [
        Call(service, "GET", path, 404, ((service, "GET", "", "404"),))
        for service in ("tokpulse", "audotics", "zerostate", "utilityfog")
        for path in ("/.env", f"/wp-login.php?password={PASSWORD}")
    ]
