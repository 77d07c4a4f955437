"""Send calls, and know beforehand what they must leave in the metrics and the logs.

A hit is (service, method, route, status). One call may hit several services.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from example_apps.demo.processes import Running

SECONDS = 4.0
CLIENTS = 8
TIMEOUT_SECONDS = 20.0

Hit = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Call:
    service: str
    method: str
    path: str
    status: int
    hits: tuple[Hit, ...]
    json: Any = None
    content: bytes | None = None  # in place of `json`, where the bytes are signed
    headers: Mapping[str, str] = field(default_factory=dict)
    leaves: bool = False  # reads the beginning of a stream and goes

    def __str__(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]} of {self.service}"

    @property
    def kind(self) -> str:
        if self.leaves:
            return "left half way"
        if self.status == 404:
            return "not found"
        if self.status >= 400:
            return "failing" if self.status >= 500 else "refused"
        return "slow" if self.path.endswith("?deep") else "good"


@dataclass(frozen=True, slots=True)
class Answer:
    call: Call
    status: int | None  # None: there was none
    problem: str = ""

    @property
    def is_as_expected(self) -> bool:
        return self.status == self.call.status


def send_all(
    calls: Sequence[Call], services: Mapping[str, Running], *, seconds: float = SECONDS
) -> list[Answer]:
    """Send calls from several clients at once, spread over some seconds.

    Each has a connection of its own, because uvicorn closes the one on which an app has raised. Who reuses it just then
    gets no answer.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    visitors = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))  # each comes for the first time
    with (
        httpx.Client(trust_env=False, timeout=TIMEOUT_SECONDS, limits=limits, cookies=visitors) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        futures = []
        for call in calls:
            futures.append(pool.submit(send, call, services, client))
            time.sleep(seconds / len(calls))
        return [future.result() for future in futures]


def send(call: Call, services: Mapping[str, Running], client: httpx.Client) -> Answer:
    url = services[call.service].url + call.path
    try:
        with client.stream(
            call.method, url, json=call.json, content=call.content, headers=call.headers
        ) as response:
            if call.leaves:
                next(response.iter_raw())
            else:
                response.read()
            return Answer(call, response.status_code)
    except httpx.HTTPError as error:
        return Answer(call, None, f"{type(error).__name__}: {error}")


def kinds_of(calls: Sequence[Call]) -> str:
    """Say how many calls there are of each kind."""
    counts = Counter(call.kind for call in calls)
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common())


def hits_of(calls: Sequence[Call]) -> Counter[Hit]:
    return Counter(hit for call in calls for hit in call.hits)
