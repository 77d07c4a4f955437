"""The loops that run an ASGI app, asyncio's and trio's: neither waits for what we do in a thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from prometheus_client import CollectorRegistry

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import request


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer, and live a lifespan without work."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def made(**settings: Any) -> tuple[Observer, Any]:
    own = Observer(registry=CollectorRegistry(), log_setup=False, environment="development", **settings)
    return own, ObservabilityMiddleware(app, observer=own)


async def answer(wrapped: Any, path: str) -> tuple[int, bytes]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    await wrapped(request(path), receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def by_trio(serve: Callable[[Any], Awaitable[Any]]) -> Any:
    return trio.run(serve, trio.sleep)


def by_asyncio(serve: Callable[[Any], Any]) -> Any:
    return asyncio.run(serve(asyncio.sleep))


loops = pytest.mark.parametrize("run", [by_asyncio, by_trio])


@loops
def test_async_check_may_use_the_loop_that_serves(run: Any) -> None:
    own, wrapped = made()

    async def serve(sleep: Any) -> tuple[int, bytes]:
        @own.health.check("database", timeout_seconds=60)
        async def database() -> None:
            await sleep(0.001)

        return await answer(wrapped, "/health/ready")

    status, body = run(serve)
    assert (status, json.loads(body)["checks"]["database"][0]["status"]) == (200, "pass")


@loops
def test_check_that_exits_ends_no_loop(run: Any) -> None:
    own, wrapped = made()

    @own.health.check("database", timeout_seconds=60)
    async def database() -> None:
        raise SystemExit

    async def serve(sleep: Any) -> list[int]:
        statuses = [(await answer(wrapped, "/health/ready"))[0]]
        await sleep(0.01)
        return [*statuses, (await answer(wrapped, "/health/live"))[0]]

    assert run(serve) == [503, 200]


class Slow:
    """A collector that waits, until the loop has gone on."""

    def __init__(self) -> None:
        self.gone_on = threading.Event()

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> list[Any]:
        assert self.gone_on.wait(60)
        return []


@loops
def test_loop_goes_on_while_a_page_is_made(run: Any) -> None:
    own, wrapped = made()
    slow = Slow()
    own.registry.register(slow)

    async def serve(sleep: Any) -> int:
        pages: list[int] = []

        async def scrape() -> None:
            pages.append((await answer(wrapped, "/metrics"))[0])

        async def go_on() -> None:
            await sleep(0.01)
            slow.gone_on.set()

        if run is by_trio:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(scrape)
                nursery.start_soon(go_on)
        else:
            await asyncio.gather(scrape(), go_on())
        return pages[0]

    assert run(serve) == 200


@pytest.mark.parametrize("is_cancelled", [False, True])
@loops
def test_loop_goes_on_while_the_app_is_closed(
    run: Any, is_cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the server has no patience, and cancels the lifespan."""
    own, wrapped = made()
    gone_on = threading.Event()
    waited: list[bool] = []
    monkeypatch.setattr(own.gateway, "stopped", lambda: waited.append(gone_on.wait(60)))

    async def serve(sleep: Any) -> None:
        messages = ["lifespan.startup", "lifespan.shutdown"]

        async def receive() -> Any:
            return {"type": messages.pop(0)}

        async def send(message: Any) -> None: ...

        async def live() -> None:
            await wrapped({"type": "lifespan"}, receive, send)

        if run is by_trio:
            with trio.move_on_after(0.02 if is_cancelled else 60):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(live)
                    await sleep(0.01)
                    if not is_cancelled:
                        gone_on.set()
        else:
            task = asyncio.ensure_future(live())
            await sleep(0.01)
            if is_cancelled:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            else:
                gone_on.set()
                await task
        gone_on.set()

    run(serve)
    assert waited in ([], [True])
